"""The packages that the article pinned are there, in exactly those versions, and the app's own run."""

import importlib
import importlib.metadata
import unittest

PINNED = {
    "attrs": "20.3.0",
    "click": "7.1.2",
    "Flask": "1.1.2",
    "iniconfig": "1.1.1",
    "itsdangerous": "1.1.0",
    "Jinja2": "2.11.2",
    "MarkupSafe": "1.1.1",
    "packaging": "20.4",
    "pluggy": "0.13.1",
    "py": "1.9.0",
    "pyparsing": "2.4.7",
    "pytest": "6.1.2",
    "six": "1.15.0",
    "toml": "0.10.2",
    "Werkzeug": "1.0.1",
}


class Packages(unittest.TestCase):
    def test_versions(self):
        self.assertEqual({name: importlib.metadata.version(name) for name in PINNED}, PINNED)

    def test_those_of_the_app_run(self):
        import flask

        app = flask.Flask("app")
        app.add_url_rule("/", "page", lambda: flask.render_template_string("{{ 6 * 7 }}"))
        self.assertEqual(app.test_client().get("/").data, b"42")

    def test_what_was_built_here_is_native(self):
        self.assertTrue(importlib.import_module("markupsafe._speedups").__file__.endswith(".so"))
