"""What a worker process keeps, and for whom."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from http_enrich_spark.worker import WorkerPlan, WorkerResourceManager
from tests.support.deadline import within
from tests.support.pipelines import load

MEMORY = {"engine": "memory", "handler": "tests.support.api:unordered"}


def plan(password: str = "one", **changes: Any) -> WorkerPlan:
    blocks = {
        "transport": MEMORY,
        "middleware": [{"type": "bearer", "token": "${conn.api.password}"}],
        "endpoint.headers": {"X": "${conn.api.password}"},
    }
    return WorkerPlan.of(load(blocks | changes, {"AIRFLOW_CONN_API": f"http://me:{password}@h.test"}))


@pytest.fixture
def managers() -> Iterator[list[WorkerResourceManager]]:
    """Take managers that are closed after the test."""
    managers: list[WorkerResourceManager] = []
    yield managers
    for manager in {id(each): each for each in managers}.values():
        if manager.alive:
            manager.close()


def test_equal_plans_share_a_manager(managers: list[WorkerResourceManager]) -> None:
    """Every task brings its own copy of the plan, and must not open connections of its own."""
    plans = [plan(), plan(), pickle.loads(pickle.dumps(plan()))]

    managers += [WorkerResourceManager.get(each) for each in plans]

    assert len({id(each) for each in managers}) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"endpoint.path": "/v2/${row.icao}"},
        {"execution.concurrency": 3},
        {"transport": MEMORY | {"base_timeout": 7}},
        {"response.headers": ["ETag"]},
        {"middleware": []},
        {"password": "two"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_different_plan_has_another_manager(
    managers: list[WorkerResourceManager], other: dict[str, Any]
) -> None:
    """A changed secret counts: nobody may go on with the old one."""
    managers += [WorkerResourceManager.get(plan()), WorkerResourceManager.get(plan(**other))]

    assert managers[0] is not managers[1]
    assert WorkerResourceManager.get(plan()) is managers[0]


def test_after_close_there_is_a_new_one(managers: list[WorkerResourceManager]) -> None:
    first = WorkerResourceManager.get(plan())
    first.close()
    managers.append(WorkerResourceManager.get(plan()))

    assert (first.alive, managers[0].alive) == (False, True)
    assert managers[0] is not first


def test_a_manager_whose_loop_has_died_is_replaced(managers: list[WorkerResourceManager]) -> None:
    first = WorkerResourceManager.get(plan())
    first.loop.call_soon_threadsafe(first.loop.stop)
    first._thread.join()
    managers.append(WorkerResourceManager.get(plan()))
    first.loop.close()

    assert managers[0] is not first


def test_one_thread_serves_all_callers(managers: list[WorkerResourceManager]) -> None:
    async def where() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    managers.append(WorkerResourceManager.get(plan()))

    assert [managers[0].call(where()) for _ in range(2)] == [managers[0].loop] * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_its_own_manager(managers: list[WorkerResourceManager]) -> None:
    """Spark forks its Python workers, and a fork copies the manager but not its thread."""
    parents = WorkerResourceManager.get(plan())
    managers.append(parents)

    with parents._lock:  # as when another thread is just taking a manager
        child = os.fork()
        if child == 0:
            signal.alarm(10)  # ends a child that hangs
            own = WorkerResourceManager.get(plan())
            os._exit(42 if own is not parents and own.call(asyncio.sleep(0, "works")) == "works" else 1)
    _, status = within(20, lambda: os.waitpid(child, 0))

    assert os.waitstatus_to_exitcode(status) == 42
    assert WorkerResourceManager.get(plan()) is parents


def test_a_plan_shows_no_secret() -> None:
    """It is what travels to the workers, and what errors there print."""
    shown = repr(plan(password="canary-7f3a"))

    assert "***" in shown
    assert "canary-7f3a" not in shown


def test_a_transport_that_cannot_be_built_leaves_no_thread_behind() -> None:
    """Spark tries the task again, which would add a thread each time."""
    plan = WorkerPlan.of(load({"transport": {"engine": "memory", "handler": "no_such_module:answer"}}))
    before = threading.active_count()

    with pytest.raises(ModuleNotFoundError):
        WorkerResourceManager.get(plan)

    assert threading.active_count() == before
