"""Runs pytest as Bazel expects of a test: run_pytest.py FILE... [ARGUMENT...]"""

import os
import sys

import pytest

SHARDS = int(os.environ.get("TEST_TOTAL_SHARDS") or "1")
SHARD = int(os.environ.get("TEST_SHARD_INDEX") or "0")


class Shard:
    """Selects the tests of this shard, in turn."""

    @staticmethod
    def pytest_collection_modifyitems(config, items):
        """Removes the tests that other shards run."""
        config.hook.pytest_deselected(items=[item for at, item in enumerate(items) if at % SHARDS != SHARD])
        items[:] = items[SHARD::SHARDS]


if os.environ.get("TEST_SHARD_STATUS_FILE"):
    # Bazel checks that the tests know their shard.
    open(os.environ["TEST_SHARD_STATUS_FILE"], "a").close()
arguments = ["-p", "no:cacheprovider", *sys.argv[1:]]
if os.environ.get("XML_OUTPUT_FILE"):
    arguments.append("--junitxml=" + os.environ["XML_OUTPUT_FILE"])
if os.environ.get("TESTBRIDGE_TEST_ONLY"):
    arguments += ["-k", os.environ["TESTBRIDGE_TEST_ONLY"]]
if os.environ.get("TESTBRIDGE_TEST_RUNNER_FAIL_FAST") == "1":
    arguments.append("--exitfirst")
status = pytest.main(arguments, plugins=[Shard] if SHARDS > 1 else [])
# A shard may have no tests.
sys.exit(0 if SHARDS > 1 and status == pytest.ExitCode.NO_TESTS_COLLECTED else status)
