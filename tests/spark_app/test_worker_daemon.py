"""The daemon that asks before it kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from http_enrich_spark.worker_daemon import PatientOs, _kill_child

READY = "print('ready', flush=True); time.sleep(60)"
OBEDIENT = f"import time; {READY}"
STUBBORN = f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY}"


@pytest.fixture
def daemon() -> Iterator[PatientOs]:
    before = signal.getsignal(signal.SIGALRM)
    yield PatientOs(grace=0.2)
    signal.signal(signal.SIGALRM, before)


def started(program: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.stdout.close()
    return process


@pytest.mark.parametrize(("program", "by"), [(OBEDIENT, signal.SIGTERM), (STUBBORN, signal.SIGKILL)])
def test_who_does_not_end_in_time_is_killed(daemon: PatientOs, program: str, by: int) -> None:
    process = started(program)
    daemon.kill(process.pid, signal.SIGKILL)

    assert process.wait(timeout=10) == -by


def test_several_are_killed_in_their_turn(daemon: PatientOs) -> None:
    processes = [started(STUBBORN) for _ in range(3)]
    for each in processes:
        daemon.kill(each.pid, signal.SIGKILL)
        time.sleep(0.05)

    assert [each.wait(timeout=10) for each in processes] == [-signal.SIGKILL] * 3


def test_other_signals_go_through_at_once(daemon: PatientOs) -> None:
    process = started(OBEDIENT)
    daemon.kill(process.pid, signal.SIGINT)

    assert process.wait(timeout=10) != 0
    assert daemon.getpid() == os.getpid()


def test_who_has_ended_already_is_the_callers_affair(daemon: PatientOs) -> None:
    """Spark's daemon expects the error."""
    process = started(OBEDIENT)
    process.kill()
    process.wait()

    with pytest.raises(ProcessLookupError):
        daemon.kill(process.pid, signal.SIGKILL)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_stranger_with_the_number_of_a_worker_is_spared() -> None:
    """Numbers of processes are given out again."""
    stranger = started(OBEDIENT)
    other_daemon = os.fork()
    if other_daemon == 0:
        _kill_child(stranger.pid)
        os._exit(0)
    os.waitpid(other_daemon, 0)

    with pytest.raises(subprocess.TimeoutExpired):
        stranger.wait(timeout=0.1)
    stranger.kill()
    stranger.wait()
