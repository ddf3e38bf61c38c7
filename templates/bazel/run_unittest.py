"""Runs unittest as Bazel expects of a test: run_unittest.py FILE... [ARGUMENT...]"""

import importlib.util
import os
import sys
import unittest

SHARDS = int(os.environ.get("TEST_TOTAL_SHARDS") or "1")
SHARD = int(os.environ.get("TEST_SHARD_INDEX") or "0")

if os.environ.get("TEST_SHARD_STATUS_FILE"):
    # Bazel checks that the tests know their shard.
    open(os.environ["TEST_SHARD_STATUS_FILE"], "a").close()

files = [argument for argument in sys.argv[1:] if argument.endswith(".py")]
options = [argument for argument in sys.argv[1:] if not argument.endswith(".py")]
if os.environ.get("TESTBRIDGE_TEST_ONLY"):
    options += ["-k", os.environ["TESTBRIDGE_TEST_ONLY"]]


def tests(suite):
    """Returns the tests of a suite and of the suites in it, in their order."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests(test)
        else:
            yield test


class Loader(unittest.TestLoader):
    """Loads each file by its path as a separate module, because a file of tests need not be in a package."""

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
        return self.suiteClass(test for at, test in enumerate(tests(suite)) if at % SHARDS == SHARD)


program = unittest.main(argv=[sys.argv[0], *options], testLoader=Loader(), exit=False)
# Since 3.12, it is an error if no test ran, but a shard may have no tests.
is_idle = SHARDS > 1 and program.result.testsRun == 0
sys.exit(0 if program.result.wasSuccessful() and (is_idle or program.result.testsRun or sys.version_info < (3, 12)) else 1)
