"""Connections and a Spark for tasks that need no real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.fake_spark import FakeSpark
from tests.support.tasks import CANARY


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> None:
    api = {"conn_type": "http", "host": "http://api.test", "password": CANARY}
    monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps(api))
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local[1]"}')


@pytest.fixture
def fake_spark(tmp_path: Path) -> FakeSpark:
    folder = tmp_path / "fake-spark"
    folder.mkdir()
    return FakeSpark(folder)
