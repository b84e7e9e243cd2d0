"""The ends of a process that holds something."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from http_enrich_spark._ending import at_end

PRELUDE = """
import ctypes, os, signal, sys, time
from http_enrich_spark._ending import Ending

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup leaves it ignored

def say(word):
    os.write(1, word.encode() + b" ")

def send(number):
    os.kill(os.getpid(), number)

"""
CLOSES = "ending.add(lambda: say('closed'))\n"


def run(program: str, *, grace: float = 2.0) -> tuple[str, int]:
    """Run *program*; returns what it said, and its exit status."""
    program = f"{PRELUDE}ending = Ending({grace})\n{program}"
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, timeout=20)
    return done.stdout.strip(), done.returncode


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("os._exit(3)", 3),
        ("sys.exit(3)", 3),
        ("send(signal.SIGTERM); time.sleep(9)", 128 + signal.SIGTERM),
        ("send(signal.SIGHUP); time.sleep(9)", 128 + signal.SIGHUP),
        ("signal.signal(signal.SIGHUP, signal.SIG_DFL); send(signal.SIGHUP)", 128 + signal.SIGHUP),
    ],
    ids=["_exit", "exit", "SIGTERM", "SIGHUP", "reset by Spark"],
)
def test_every_end_closes_once(end: str, status: int) -> None:
    assert run(CLOSES + end) == ("closed", status)


def test_a_signal_that_comes_while_closing_does_not_cut_it_short() -> None:
    """Spark closes the connection to its worker and sends the signal at the same time."""
    program = """
def close():
    send(signal.SIGHUP), send(signal.SIGTERM), time.sleep(0.05), say("closed")
ending.add(close)
os._exit(0)
"""
    assert run(program) == ("closed", 0)


def test_what_fails_to_close_stops_neither_the_others_nor_the_end() -> None:
    assert run(CLOSES + "ending.add(lambda: 1 / 0)\nos._exit(7)") == ("closed", 7)


def test_a_hook_that_is_added_by_every_task_runs_once() -> None:
    program = "close = lambda: say('closed')\nfor _ in range(3): ending.add(close)\nos._exit(0)"

    assert run(program) == ("closed", 0)


def test_a_process_whose_main_thread_is_stuck_in_c_ends_as_well() -> None:
    """Python's signal handlers run only between its own instructions."""
    stuck = """
lock, libc = ctypes.create_string_buffer(64), ctypes.CDLL(None)
libc.pthread_mutex_lock(lock)
parent = os.getpid()
if os.fork() == 0:
    while open(f"/proc/{parent}/task/{parent}/stat").read().rpartition(")")[2].split()[0] != "S":
        pass  # until its main thread sleeps
    os.kill(parent, signal.SIGTERM), os._exit(0)
libc.pthread_mutex_lock(lock)
"""
    assert run(CLOSES + stuck, grace=0.2) == ("closed", 1)


@pytest.mark.parametrize("end", ["os._exit(5)", "send(signal.SIGTERM); time.sleep(9)"])
def test_a_forked_child_ends_as_if_nothing_was_there(end: str) -> None:
    """A worker's function may fork; what is open belongs to the worker."""
    program = f"""
child = os.fork()
if child == 0:
    {end}
say(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
os._exit(0)
"""
    status = 5 if "_exit" in end else -signal.SIGTERM

    assert run(CLOSES + program) == (f"{status} closed", 0)


@pytest.mark.parametrize("order", ["{theirs}{ours}", "{ours}{theirs}"])
def test_whoever_handles_a_signal_differently_keeps_it(order: str) -> None:
    theirs = "signal.signal(signal.SIGTERM, lambda *_: say('theirs'))\n"
    end = "send(signal.SIGTERM); time.sleep(0.4); say('alive'); os._exit(0)"

    assert run(order.format(theirs=theirs, ours=CLOSES) + end, grace=0.2) == ("theirs alive closed", 0)


TASK = """
from pyspark import TaskContext
TaskContext._setTaskContext(TaskContext())
"""


@pytest.mark.parametrize(("task", "closed"), [("", ""), (TASK, "closed")])
def test_only_where_spark_runs_a_task_something_is_installed(task: str, closed: str) -> None:
    program = "from http_enrich_spark._ending import at_end\nat_end(lambda: say('closed'))\nos._exit(0)"

    assert run(task + program) == (closed, 0)


def test_this_process_is_left_alone() -> None:
    before = os._exit, signal.signal, signal.getsignal(signal.SIGTERM)
    at_end(lambda: None)

    assert (os._exit, signal.signal, signal.getsignal(signal.SIGTERM)) == before
