# Written by `cotter emit bazel`; what is changed here is lost.

"""Runs pytest as Bazel wants a test to be: run_pytest.py FILE... [ARGUMENT...]"""

import os
import sys

import pytest

arguments = ["-p", "no:cacheprovider", *sys.argv[1:]]
if os.environ.get("XML_OUTPUT_FILE"):
    arguments.append("--junitxml=" + os.environ["XML_OUTPUT_FILE"])
if os.environ.get("TESTBRIDGE_TEST_ONLY"):
    arguments += ["-k", os.environ["TESTBRIDGE_TEST_ONLY"]]
if os.environ.get("TESTBRIDGE_TEST_RUNNER_FAIL_FAST") == "1":
    arguments.append("--exitfirst")
sys.exit(pytest.main(arguments))
