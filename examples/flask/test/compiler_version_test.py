"""The interpreter is the pinned one, and the packages are the locked ones."""

import importlib.metadata
import os
import platform
import sys

import flask


def test_interpreter_lies_in_the_pinned_repository():
    assert "cotter_python_" in sys.executable
    assert os.path.basename(os.path.dirname(sys.executable)) == "bin"


def test_version_is_exactly_the_pinned_one():
    assert platform.python_version() == "3.11.2"


def test_flask_tells_its_version():
    assert importlib.metadata.version("flask").split(".")[0] in ("1", "3")
    assert flask.Flask("app").name == "app"
