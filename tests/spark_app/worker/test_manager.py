"""What a worker process keeps, and for whom."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from http_enrich_spark.worker import WorkerPlan, WorkerResourceManager
from http_enrich_spark.worker._garbage import THRESHOLDS
from http_enrich_spark.worker._manager import MAX_PLANS
from tests.support.chain import row
from tests.support.deadline import within
from tests.support.endings import Endings, endings
from tests.support.pipelines import load

T = TypeVar("T")
MEMORY = {"engine": "memory", "handler": "tests.support.api:unordered"}


def plan(password: str = "one", **changes: Any) -> WorkerPlan:
    blocks = {
        "transport": MEMORY,
        "middleware": [{"type": "bearer", "token": "${conn.api.password}"}],
        "endpoint.headers": {"X": "${conn.api.password}"},
    }
    return WorkerPlan.of(load(blocks | changes, {"AIRFLOW_CONN_API": f"http://me:{password}@h.test"}))


def on_loop(manager: WorkerResourceManager, work: Awaitable[T]) -> T:
    async def wait() -> T:
        return await work

    return asyncio.run_coroutine_threadsafe(wait(), manager.loop).result(timeout=10)


def over_tls(peer: Endings) -> WorkerPlan:
    """Return a plan whose transport opens three connections to *peer*."""
    transport = {"tcp_connection": {"limit": 3}, "tls": {"ca_bundle": str(peer.certificate)}}
    changes: dict[str, Any] = {"endpoint.base_url": peer.url, "transport": transport}
    return plan(**changes)


def suppressed(work: Callable[..., object], *arguments: object) -> None:
    with suppress(BaseException):
        work(*arguments)


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Endings]:
    with endings(tmp_path) as server:
        yield server


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


def test_a_process_that_has_opened_one_collects_garbage_seldom(managers: list[WorkerResourceManager]) -> None:
    managers.append(WorkerResourceManager.get(plan()))

    assert gc.get_threshold() == THRESHOLDS
    assert gc.get_freeze_count() > 10_000


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
    async def where() -> threading.Thread:
        return threading.current_thread()

    managers.append(WorkerResourceManager.get(plan()))
    first, second = (on_loop(managers[0], where()) for _ in range(2))

    assert first is second is not threading.current_thread()


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
            os._exit(42 if own is not parents and on_loop(own, asyncio.sleep(0, "works")) == "works" else 1)
    _, status = within(20, lambda: os.waitpid(child, 0))

    assert os.waitstatus_to_exitcode(status) == 42
    assert WorkerResourceManager.get(plan()) is parents


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_leaves_its_parents_connections_alone(
    managers: list[WorkerResourceManager], peer: Endings
) -> None:
    """They share the selector: what the child unregisters is deaf in the parent."""
    managers.append(WorkerResourceManager.get(over_tls(peer)))
    assert peer.wait(lambda: peer.opened == 3, 10)

    child = os.fork()
    if child == 0:
        signal.alarm(10)
        managers.clear()
        gc.collect()
        os._exit(0)
    within(20, lambda: os.waitpid(child, 0))
    answered = on_loop(managers[0], managers[0].handler(row(url=f"{peer.url}/")))

    assert (answered.status, peer.opened) == (200, 3)


def test_several_threads_may_ask_at_once(managers: list[WorkerResourceManager], peer: Endings) -> None:
    together = threading.Barrier(8)

    def get(_: int) -> WorkerResourceManager:
        together.wait(timeout=10)
        return WorkerResourceManager.get(over_tls(peer))

    with ThreadPoolExecutor(8) as pool:
        managers += pool.map(get, range(8))

    assert len(set(managers)) == 1
    assert peer.wait(lambda: peer.opened == 3, 10)


# How it ends.


def stop_loop(manager: WorkerResourceManager) -> None:
    manager.loop.call_soon_threadsafe(manager.loop.stop)


def exit_on_loop(manager: WorkerResourceManager) -> None:
    manager.loop.call_soon_threadsafe(sys.exit)


@pytest.mark.parametrize(
    ("end", "logged"),
    [
        (WorkerResourceManager.close, []),
        (lambda _: WorkerResourceManager.close_all(), []),
        (stop_loop, ["the event loop has died: RuntimeError('Event loop stopped before Future completed.')"]),
        (exit_on_loop, ["the event loop has died: SystemExit()"]),
    ],
    ids=["close", "close_all", "loop stopped", "exit called"],
)
def test_every_end_says_goodbye_to_the_peer(
    peer: Endings,
    caplog: pytest.LogCaptureFixture,
    end: Callable[[WorkerResourceManager], None],
    logged: list[str],
) -> None:
    manager = WorkerResourceManager.get(over_tls(peer))
    assert peer.wait(lambda: peer.opened == 3, 10)
    end(manager)

    assert peer.all_ended(10)
    assert peer.ended == {"close_notify": 3}
    manager.close()
    assert caplog.messages == logged


@pytest.mark.filterwarnings("ignore:Unclosed connection:ResourceWarning")  # of the warm-up that was cut short
def test_an_end_while_the_connections_are_opened_closes_those_that_are_open(peer: Endings) -> None:
    peer.admits = 2
    asking = threading.Thread(target=lambda: suppressed(WorkerResourceManager.get, over_tls(peer)))
    asking.start()
    assert peer.wait(lambda: peer.opened == 2, 10)
    WorkerResourceManager.close_all()
    asking.join(timeout=10)

    gc.collect()
    assert not asking.is_alive()
    assert peer.ended == {"close_notify": 2}


def test_closing_takes_no_longer_than_it_may(managers: list[WorkerResourceManager]) -> None:
    """A process must end even if its event loop does not answer."""
    managers.append(WorkerResourceManager.get(plan()))
    released = threading.Event()
    managers[0].loop.call_soon_threadsafe(released.wait, 20)

    within(15, lambda: managers[0].close(timeout=0.05))
    within(15, WorkerResourceManager.close_all)
    released.set()

    assert managers[0] not in WorkerResourceManager._managers


def test_the_plan_that_was_asked_for_longest_ago_is_closed(managers: list[WorkerResourceManager]) -> None:
    """A long-lived application whose secrets change would collect connections."""
    passwords = [str(number) for number in range(MAX_PLANS)]
    managers += [WorkerResourceManager.get(plan(each)) for each in passwords]
    assert WorkerResourceManager.get(plan(passwords[0])) is managers[0]
    managers.append(WorkerResourceManager.get(plan("one_more")))

    assert [each.alive for each in managers] == [True, False, *[True] * (MAX_PLANS - 1)]


def test_a_plan_that_is_in_use_is_not_closed(managers: list[WorkerResourceManager]) -> None:
    with WorkerResourceManager.lease(plan("in_use")) as used:
        managers.append(used)
        managers += [WorkerResourceManager.get(plan(str(number))) for number in range(MAX_PLANS)]

        assert [each.alive for each in managers] == [True, False, *[True] * (MAX_PLANS - 1)]
    managers.append(WorkerResourceManager.get(plan("one_more")))

    assert not used.alive


def test_a_run_that_was_given_up_stays_so_and_does_not_end_the_next_one(
    managers: list[WorkerResourceManager],
) -> None:
    """The tasks of a run bring the same plan; those of another run an equal one."""
    first, second = plan(), plan()
    managers.append(WorkerResourceManager.get(second))  # the worker is there already
    stopped = WorkerResourceManager.get(first)
    managers.append(stopped)
    stopped.run.stop("no")

    same = WorkerResourceManager.get(pickle.loads(pickle.dumps(first)))
    managers.append(same)
    fresh = WorkerResourceManager.get(second)
    managers.append(fresh)

    assert managers[0] is stopped is same
    assert (fresh is stopped, fresh.run.stopped, stopped.run.stopped) == (False, None, "no")
    assert (stopped.alive, fresh.alive) == (False, True)
    assert WorkerResourceManager.get(second) is fresh


def test_a_transport_that_cannot_be_built_leaves_no_thread_behind() -> None:
    """Spark tries the task again, which would add a thread each time."""
    plan = WorkerPlan.of(load({"transport": {"engine": "memory", "handler": "no_such_module:answer"}}))
    before = set(threading.enumerate())

    with pytest.raises(ModuleNotFoundError):
        WorkerResourceManager.get(plan)

    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("engine", ["aiohttp", "pyreqwest"])
def test_a_file_that_is_missing_is_named(engine: str) -> None:
    transport = {"engine": engine, "tls": {"ca_bundle": "/no/such.pem"}}

    with pytest.raises(FileNotFoundError, match=r"/no/such\.pem"):
        WorkerResourceManager.get(plan(transport=transport))
