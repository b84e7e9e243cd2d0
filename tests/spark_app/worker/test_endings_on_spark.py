"""How the connections of real Spark workers end, as the peer sees it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from http_enrich_spark._session import DAEMON
from tests.support.application import Application, application, left_behind
from tests.support.endings import Endings, endings
from tests.support.enriching import LIMIT, ROWS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

OUR_DAEMON = {"spark.python.daemon.module": DAEMON, "spark.python.task.killTimeout": "100ms"}

LOCAL = "local[2]"
CLUSTER = "local-cluster[1,2,1024]"  # the executor is a process of its own
EXECUTOR = "CoarseGrainedExecutorBackend"


class Run(NamedTuple):
    """An application and the server that it talks to."""

    app: Application
    peer: Endings


@contextmanager
def started(folder: Path, master: str, settings: Mapping[str, str]) -> Iterator[Run]:
    with endings(folder) as peer, application(folder, master, peer.certificate, settings) as app:
        yield Run(app, peer)


@pytest.fixture(scope="module", autouse=True)
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """An application that has nothing to do any more: Spark's minute passes while the other tests run."""
    with started(tmp_path_factory.mktemp("idle"), LOCAL, {}) as run:
        run.app.ask("run", url=run.peer.url)
        yield run


def busy(app: Application, peer: Endings) -> None:
    """Have two workers wait for an answer on every one of their connections."""
    before = peer.held
    app.ask("hold", url=peer.url)
    assert peer.wait(lambda: peer.held == before + 2 * LIMIT, 300)


def test_all_partitions_of_all_jobs_share_the_connections_of_their_worker(tmp_path: Path) -> None:
    """And when Spark stops, the workers say goodbye on each of them."""
    with started(tmp_path, LOCAL, {}) as (app, peer):
        workers = app.ask("run", url=peer.url)
        assert peer.opened == LIMIT * len(workers)
        assert app.ask("run", url=peer.url, stages=2) == workers
        assert peer.opened == LIMIT * len(workers)
        assert peer.answered == 3 * ROWS

        app.ask("stop")
        assert peer.all_ended(10)
        app.end()
        assert left_behind(app.process.pid, 10) == []
    assert peer.ended == {"close_notify": LIMIT * len(workers)}


def test_cancelled_workers_say_goodbye(tmp_path: Path) -> None:
    """Spark wants them killed, which its own daemon does without a warning."""
    with started(tmp_path, LOCAL, OUR_DAEMON) as (app, peer):
        busy(app, peer)
        app.ask("cancel")
        assert peer.all_ended(20)
        assert peer.ended == {"close_notify": 2 * LIMIT}

        assert app.ask("run", url=peer.url) != []  # there are new ones


@pytest.mark.parametrize("settings", [{}, OUR_DAEMON], ids=["Spark's daemon", "our daemon"])
def test_workers_of_an_executor_that_ends_say_goodbye(tmp_path: Path, settings: dict[str, str]) -> None:
    with started(tmp_path, CLUSTER, settings) as (app, peer):
        app.ask("run", url=peer.url)
        (executor,) = app.processes(EXECUTOR)
        os.kill(executor, signal.SIGTERM)
        assert peer.all_ended(20)
        assert 0 < peer.opened == peer.ended["close_notify"]

        busy(app, peer)  # on another executor, which Spark has started in its place
        (executor,) = app.processes(EXECUTOR)
        before = peer.opened
        os.kill(executor, signal.SIGKILL)
        assert peer.wait(lambda: peer.ended.total() >= before, 20)
        assert peer.ended == {"close_notify": before}


def test_idle_workers_say_goodbye(idle: Run) -> None:
    """Spark ends a worker that has had nothing to do for a minute."""
    assert idle.peer.all_ended(100)
    assert idle.app.process.poll() is None
    assert 0 < idle.peer.opened == idle.peer.ended["close_notify"]
