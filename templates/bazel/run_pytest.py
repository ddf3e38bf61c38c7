"""Runs pytest as Bazel wants a test to be: run_pytest.py FILE... [ARGUMENT...]"""

import os
import sys

import pytest

SHARDS = int(os.environ.get("TEST_TOTAL_SHARDS") or "1")
SHARD = int(os.environ.get("TEST_SHARD_INDEX") or "0")


class Shard:
    """Leaves this shard its part of the tests: each in its turn."""

    @staticmethod
    def pytest_collection_modifyitems(config, items):
        """Takes away what other shards run."""
        config.hook.pytest_deselected(items=[item for at, item in enumerate(items) if at % SHARDS != SHARD])
        items[:] = items[SHARD::SHARDS]


if os.environ.get("TEST_SHARD_STATUS_FILE"):
    # Bazel wants to see that the tests know of their shard.
    open(os.environ["TEST_SHARD_STATUS_FILE"], "a").close()
arguments = ["-p", "no:cacheprovider", *sys.argv[1:]]
if os.environ.get("XML_OUTPUT_FILE"):
    arguments.append("--junitxml=" + os.environ["XML_OUTPUT_FILE"])
if os.environ.get("TESTBRIDGE_TEST_ONLY"):
    arguments += ["-k", os.environ["TESTBRIDGE_TEST_ONLY"]]
if os.environ.get("TESTBRIDGE_TEST_RUNNER_FAIL_FAST") == "1":
    arguments.append("--exitfirst")
status = pytest.main(arguments, plugins=[Shard] if SHARDS > 1 else [])
# A shard may have nothing to do.
sys.exit(0 if SHARDS > 1 and status == pytest.ExitCode.NO_TESTS_COLLECTED else status)
