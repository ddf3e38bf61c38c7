# Written by `cotter emit bazel`; what is changed here is lost.

"""Runs unittest as Bazel wants a test to be: run_unittest.py FILE... [ARGUMENT...]"""

import os
import runpy
import sys
import unittest

files = [argument for argument in sys.argv[1:] if argument.endswith(".py")]
options = [argument for argument in sys.argv[1:] if not argument.endswith(".py")]
if os.environ.get("TESTBRIDGE_TEST_ONLY"):
    options += ["-k", os.environ["TESTBRIDGE_TEST_ONLY"]]

# By path, for a file of tests need not lie in a package.
module = sys.modules["__main__"]
for file in files:
    sys.path.insert(0, os.path.dirname(os.path.abspath(file)))
    for name, value in runpy.run_path(file, run_name=os.path.basename(file)[:-3]).items():
        if isinstance(value, type) and issubclass(value, unittest.TestCase):
            setattr(module, name, value)
unittest.main(module=module, argv=[sys.argv[0], *options])
