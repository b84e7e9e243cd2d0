"""
Gives Airflow a home of its own before anything imports it, hurries Java, and quiets a library.

Also divides the tests among processes, if there are several (`pytest -n 2 --no-loadscope-reorder`).
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support.spark_archive import OPTIONS

_home = tempfile.mkdtemp(prefix="http-enrich-airflow-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

os.environ["JDK_JAVA_OPTIONS"] = OPTIONS

# It logs from a finalizer, when the streams of the test run are closed already.
logging.getLogger("py4j").setLevel(logging.WARNING)

LONGEST = ["tests/provider/airflow/", "tests/spark_app/chaos/"]
"""Folders whose tests share what is dear to start. They go first, so that no process waits for another."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first."""
    places = [*LONGEST, None]
    items.sort(key=lambda item: places.index(_longest(item.nodeid)))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Let one process do all tests of a file."""
    return _ByFile(config, log)


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]  # ships no types
    """Keeps the tests of a file together, and those of the longest folders."""

    def _split_scope(self, nodeid: str) -> str:
        return _longest(nodeid) or nodeid.partition("::")[0]


def _longest(nodeid: str) -> str | None:
    return next((folder for folder in LONGEST if nodeid.startswith(folder)), None)
