"""The rules for Python of the module rules_python. This file is used if the main module names it."""

load("@rules_python//python:defs.bzl", "py_binary", "py_library", "py_runtime", "py_runtime_pair", "py_test")

py = struct(
    binary = py_binary,
    library = py_library,
    runtime = py_runtime,
    runtime_pair = py_runtime_pair,
    test = py_test,
)
