"""What travels to the workers."""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Callable
from dataclasses import asdict

import pytest
from pyspark import cloudpickle

from http_enrich_spark.worker import EnrichBatches, WorkerPlan, WorkerResourceManager
from http_enrich_spark.worker._sealed import opened
from tests.support.pipelines import load

LIVING = ("asyncio", "aiohttp", "_thread", "threading", "http_enrich_spark.worker._manager")


def plan(password: str = "canary-7f3a") -> WorkerPlan:
    changes = {
        "transport": {"engine": "memory", "handler": "tests.support.api:unordered"},
        "middleware": [{"type": "bearer", "token": "${conn.api.password}"}],
        "endpoint.headers": {"X": "${conn.api.password}"},
    }
    return WorkerPlan.of(load(changes, {"AIRFLOW_CONN_API": f"http://me:{password}@h.test"}))


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_what_spark_ships_holds_nothing_that_lives(dumps: Callable[[object], bytes]) -> None:
    manager = WorkerResourceManager.get(plan())
    shipped = dumps(EnrichBatches(manager.plan, ["icao"]))
    parts = [shipped, pickle.loads(shipped)._plan.content]
    found = (argument for part in parts for _, argument, _ in pickletools.genops(part))
    names = {argument for argument in found if isinstance(argument, str)}
    manager.close()

    assert opened(pickle.loads(shipped)._plan) == plan()
    assert "http_enrich_spark.worker._plan" in names
    assert not [name for name in names if name.startswith(LIVING)]


@pytest.mark.parametrize("show", [repr, str, "{}".format, "%s".__mod__, lambda plan: repr(asdict(plan))])
def test_a_plan_shows_no_secret(show: Callable[[object], str]) -> None:
    """It is what errors and logs on the workers print."""
    shown = show(pickle.loads(pickle.dumps(plan())))

    assert "***" in shown
    assert "canary-7f3a" not in shown
