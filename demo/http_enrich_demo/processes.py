"""Starts the demo's programs so that all they start in turn can be stopped with them."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def running(
    command: Sequence[str], env: Mapping[str, str], log: Path, *, grace: float = 10.0
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a session of its own, its output going to the log, and stop it at the end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop(process, grace)


def stop(process: subprocess.Popen[bytes], grace: float) -> None:
    """Stop a program and all of its session: ask with TERM, insist with KILL when the grace is over."""
    with _undisturbed():
        _signal(process.pid, signal.SIGTERM)
        if _wait_for_end(process, grace):
            return
        # Programs may start others while we look, hence again and again.
        for _ in range(20):
            _signal(process.pid, signal.SIGKILL)
            if _wait_for_end(process, 0.25):
                return


def free_ports(count: int) -> list[int]:
    """Return that many different loopback ports which are free, and stay so until a server has started."""
    found: set[int] = set()
    # Linux gives those from 32768 on to whoever wants any, and Airflow takes half a minute to bind its own.
    while len(found) < count:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.socket() as each:
            each.bind(("127.0.0.1", port))
            found.add(port)
    return list(found)


def stop_on_signals() -> None:
    """Treat TERM and a closed terminal like Ctrl-C, so that `finally` blocks run for them too."""
    for number in _STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup, where it is meant to be ignored
            signal.signal(number, _interrupt)


def tail(log: Path, lines: int = 40) -> str:
    """Return the last lines of a log, or nothing if there is no log."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore a second Ctrl-C while cleaning up after the first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_for_end(process: subprocess.Popen[bytes], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        if not _members(process.pid):
            process.wait()  # it has ended, but who has started it has to ask how
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)


def _signal(session: int, number: signal.Signals) -> None:
    for pid in _members(session):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _members(session: int) -> list[int]:
    """List the living processes of a session: Airflow and Spark put children into groups of their own."""
    found = []
    for entry in _process_table():
        with suppress(ProcessLookupError, FileNotFoundError, PermissionError):
            if os.getsid(entry) == session and not _is_zombie(entry):
                found.append(entry)
    return found


def _process_table() -> list[int]:
    if Path("/proc/self/stat").exists():
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    listed = subprocess.run(["ps", "-A", "-o", "pid="], capture_output=True, text=True, check=True)
    return [int(pid) for pid in listed.stdout.split()]


def _is_zombie(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    # The program's name stands in brackets and may hold anything; the state comes right after it.
    return Path("/proc/self").exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"
