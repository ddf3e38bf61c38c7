"""The rules for Python that Bazel contains. This file is used for WORKSPACE, and for modules of Bazel 7 that do not name rules_python. Newer versions of Bazel never load it."""

load("@bazel_tools//tools/python:toolchain.bzl", "py_runtime_pair")

py = struct(
    binary = native.py_binary,
    library = native.py_library,
    runtime = native.py_runtime,
    runtime_pair = py_runtime_pair,
    test = native.py_test,
)
