from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from http_enrich_demo.processes import free_ports, running, tail

# A child in a process group of its own, like Airflow's tasks and Spark's workers, which ignores TERM.
PROGRAM = """
import os, signal, time
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(os.getpid(), flush=True)
time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    with suppress(OSError):  # there is no such process any more
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def first_line(log: Path) -> str:
    deadline = time.monotonic() + 60
    while not (text := tail(log)):
        assert time.monotonic() < deadline, "the program did not start"
        time.sleep(0.01)
    return text


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")
def test_stopping_a_program_stops_children_that_resist(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running([sys.executable, "-c", PROGRAM], os.environ, log, grace=0.1) as process:
        child = int(first_line(log))
        assert is_alive(child)

    assert process.returncode is not None
    assert not is_alive(child)


def test_free_ports_are_different_ones_that_can_be_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = free_ports(3)
    offers = iter([first, second, second, third])
    monkeypatch.setattr("random.randrange", lambda *_: next(offers))
    with socket.create_server(("127.0.0.1", first)):
        assert sorted(free_ports(2)) == sorted([second, third])
