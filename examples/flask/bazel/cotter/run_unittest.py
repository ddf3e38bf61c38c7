# Written by `cotter emit bazel`; what is changed here is lost.

"""Runs unittest as Bazel wants a test to be: run_unittest.py FILE... [ARGUMENT...]"""

import importlib.util
import os
import sys
import unittest

files = [argument for argument in sys.argv[1:] if argument.endswith(".py")]
options = [argument for argument in sys.argv[1:] if not argument.endswith(".py")]
if os.environ.get("TESTBRIDGE_TEST_ONLY"):
    options += ["-k", os.environ["TESTBRIDGE_TEST_ONLY"]]


class Loader(unittest.TestLoader):
    """Loads the files by path, each as a module of its own: a file of tests need not lie in a package."""

    def loadTestsFromModule(self, module, *args, **kwargs):
        if module is not sys.modules["__main__"]:
            return super().loadTestsFromModule(module, *args, **kwargs)
        suite = self.suiteClass()
        for number, file in enumerate(files):
            sys.path.insert(0, os.path.dirname(os.path.abspath(file)))
            name = os.path.basename(file)[:-3]
            if name in sys.modules:
                name = f"{name}_{number}"
            spec = importlib.util.spec_from_file_location(name, file)
            loaded = importlib.util.module_from_spec(spec)
            sys.modules[name] = loaded
            spec.loader.exec_module(loaded)
            suite.addTests(super().loadTestsFromModule(loaded, *args, **kwargs))
        return suite


unittest.main(argv=[sys.argv[0], *options], testLoader=Loader())
