"""A Spark application in a process of its own that does what it is told, one line at a time."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 300


class Application:
    """The running application, as its test sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, command: str, **options: Any) -> None:
        """Have it do *command*, a method of `tests.support.enriching.Commands`."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([command, options]) + "\n")
        self.process.stdin.flush()

    def ask(self, command: str, **options: Any) -> Any:
        """Have it do *command* and return what that returns."""
        self.tell(command, **options)
        return json.loads(self._said.get(timeout=START_SECONDS))

    def end(self) -> None:
        """Have it end by itself."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=START_SECONDS)

    def processes(self, program: str) -> list[int]:
        """Return its descendants whose command line has *program*."""
        return [pid for pid in members(self.process.pid) if program in command_of(pid)]

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.put(line)


@contextmanager
def application(
    folder: Path, master: str, certificate: Path, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Application]:
    """Start an application on *master* with the Spark *settings*; nothing of it is left after the block."""
    environment = os.environ | {
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SSL_CERT_FILE": str(certificate),
    }
    with (folder / "application.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.enriching", master, json.dumps(dict(settings))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    try:
        yield Application(process)
    finally:
        for pid in members(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(timeout=10)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()


def left_behind(session: int, seconds: float) -> list[int]:
    """Return the processes of *session* that are still there when *seconds* have passed."""
    deadline = time.monotonic() + seconds
    while (found := members(session)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def members(session: int) -> list[int]:
    """Return the living processes of *session*; Spark's daemons are in groups of their own."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            state, _, _, its_session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state != "Z":
                found.append(int(entry.name))
    return found


def command_of(pid: int) -> str:
    """Return the command line of the process *pid*; nothing if it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""
