"""Builds a wheel of the project in the working directory into the directory "wheel" beside it, by its own build backend. Source: PEP 517."""

import importlib
import os
import sys

try:
    import tomllib
except ImportError:
    from pip._vendor import tomli as tomllib

result = os.path.join(os.path.dirname(os.getcwd()), "wheel")
system = {}
if os.path.exists("pyproject.toml"):
    with open("pyproject.toml", "rb") as file:
        system = tomllib.load(file).get("build-system", {})
module, _, attribute = system.get("build-backend", "setuptools.build_meta:__legacy__").partition(":")
sys.path[:0] = [os.path.abspath(path) for path in system.get("backend-path", [])]
sys.argv = ["setup.py"]
backend = importlib.import_module(module)
for name in filter(None, attribute.split(".")):
    backend = getattr(backend, name)
wanted = getattr(backend, "get_requires_for_build_wheel", lambda *_: [])(None)
if wanted:
    print("its build asks for:", ", ".join(wanted), file=sys.stderr)
print(backend.build_wheel(result))
