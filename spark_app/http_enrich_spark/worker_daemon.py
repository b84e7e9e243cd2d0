"""
Spark's Python daemon, except that a worker that Spark wants killed may close its connections first.

Spark starts it when `spark.python.daemon.module` names it, before it ships any
code: it has to be installed where the workers run. Without it a cancelled task
drops its connections; all other ends are orderly either way.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from typing import Any

from pyspark import daemon

from http_enrich_spark._ending import GRACE_SECONDS


class PatientOs:
    """The module `os` for Spark's daemon: SIGKILL becomes SIGTERM, and SIGKILL for who is late."""

    def __init__(self, grace: float = GRACE_SECONDS) -> None:
        self._grace = grace
        self._deadlines: dict[int, float] = {}
        signal.signal(signal.SIGALRM, self._kill_the_late)
        os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGALRM, signal.SIG_DFL))

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def kill(self, pid: int, number: int) -> None:
        """Send *number* to *pid*; SIGKILL only to who is still there after some grace."""
        if number != signal.SIGKILL:
            return os.kill(pid, number)
        os.kill(pid, signal.SIGTERM)
        self._deadlines.setdefault(pid, time.monotonic() + self._grace)
        return self._set_alarm()

    def _set_alarm(self) -> None:
        # A timer, because the daemon forks: a thread of its own could break its children.
        if self._deadlines:
            left = min(self._deadlines.values()) - time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, max(left, 0.01))

    def _kill_the_late(self, *_: object) -> None:
        now = time.monotonic()
        for pid in [pid for pid, deadline in self._deadlines.items() if deadline <= now]:
            del self._deadlines[pid]
            _kill_child(pid)
        self._set_alarm()


def _kill_child(pid: int) -> None:
    """Kill *pid* if it still is a living child; otherwise another program may have its number by now."""
    with suppress(OSError):
        if os.waitpid(pid, os.WNOHANG) == (0, 0):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    daemon.os = PatientOs()  # type: ignore[attr-defined, assignment]
    # The workers, which are forked from here, take our code from what the driver has shipped.
    for module in [name for name in sys.modules if name.partition(".")[0] == "http_enrich_spark"]:
        del sys.modules[module]
    daemon.manager()
