"""One Airflow for all tests of this folder, which is gone before the tests of other folders begin."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.real_airflow import RealAirflow, real_airflow
from tests.support.recording_api import RecordingApi, recording_api

_until_left = ExitStack()


@pytest.fixture(scope="session")
def items(tmp_path_factory: pytest.TempPathFactory) -> RecordingApi:
    return _until_left.enter_context(recording_api(tmp_path_factory.mktemp("items"), latency=0.1))


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory, items: RecordingApi) -> Iterator[RealAirflow]:
    connection = json.dumps({"conn_type": "http", "host": items.url})
    settings = {"AIRFLOW_CONN_ITEMS_API": connection}
    with _until_left:
        yield _until_left.enter_context(real_airflow(tmp_path_factory.mktemp("real"), settings))


def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Stop it after the last test of this folder: it takes time and memory even while nobody uses it."""
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        _until_left.close()
