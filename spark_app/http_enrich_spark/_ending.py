"""Closes what a Spark worker process holds, in whichever way Spark ends it."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

GRACE_SECONDS = 2.0
"""A process that was told to end has this long to do so by itself."""

_SIGNALS = (signal.SIGHUP, signal.SIGTERM)
"""Those by which Spark's daemon, or whoever looks after the machine, ends a worker."""

Hook = Callable[[], None]


def at_end(hook: Hook) -> None:
    """Call *hook* when this process ends, if it is a Spark worker; it has to bound its own time."""
    if _runs_a_task():
        _ending.add(hook)


def _runs_a_task() -> bool:
    """
    Return whether Spark has given this process a task, as it does to its workers only.

    Drivers, tests and tools end as they like: their `os._exit` is none of our business.
    """
    pyspark = sys.modules.get("pyspark.taskcontext")
    return pyspark is not None and pyspark.TaskContext.get() is not None


class Ending:
    """
    Runs hooks once, when this process ends by `os._exit`, SIGHUP, SIGTERM or by coming to its end.

    Spark's workers end by the first three, none of which runs `atexit`. Nothing
    in here takes a lock: the main thread may be interrupted while it holds any.
    """

    def __init__(self, grace: float = GRACE_SECONDS) -> None:
        self._grace = grace
        self._hooks: list[Hook] = []
        self._running = self._watching = self._patched = False
        self._exit, self._set_signal = os._exit, signal.signal

    def add(self, hook: Hook) -> None:
        """Run *hook* at the end; one that is there already stays there once."""
        if hook not in self._hooks:
            self._hooks.append(hook)
        if not self._patched:
            self._patch()
        if not self._watching and threading.current_thread() is threading.main_thread():
            self._watch()

    def run(self) -> None:
        """Run every hook that has not run yet."""
        self._running = True
        while self._hooks:
            with suppress(Exception):
                self._hooks.pop()()
        self._running = False

    def _patch(self) -> None:
        self._patched = True
        self._exit, self._set_signal = os._exit, signal.signal
        os._exit, signal.signal = self._leave, self._guard  # type: ignore[assignment]
        atexit.register(self.run)
        os.register_at_fork(after_in_child=self._forget)

    def _watch(self) -> None:
        self._watching = True
        self._end_if_stuck()
        for number in _SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                self._set_signal(number, self._on_signal)

    def _forget(self) -> None:
        """Let a forked child end as it would without us: what there is to close is its parent's."""
        self._hooks.clear()
        if self._watching:
            self._watching = False
            signal.set_wakeup_fd(-1)
            for number in _SIGNALS:
                if signal.getsignal(number) == self._on_signal:
                    self._set_signal(number, signal.SIG_DFL)

    def _leave(self, status: int) -> NoReturn:
        try:
            self.run()
        finally:
            self._exit(status)

    def _guard(self, number: int, handler: Any) -> Any:
        """Stand in for `signal.signal`: Spark sets both signals back to their default for every task."""
        if number in _SIGNALS and handler is signal.SIG_DFL and self._hooks:
            handler = self._on_signal
        return self._set_signal(number, handler)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        # A worker's connection to Spark ends just when the signal comes: whoever
        # is first closes everything, and the other must not cut that short.
        if not self._running:
            self._leave(128 + number)

    def _end_if_stuck(self) -> None:
        """Have a thread end the process when its main thread is busy in C code, where it sees no signal."""
        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)

        def wait() -> None:
            while signal.getsignal(os.read(read, 1)[0]) != self._on_signal:
                pass  # someone else's signal, or handled by someone else
            time.sleep(self._grace)
            self._leave(1)

        threading.Thread(target=wait, name="http-enrich-ending", daemon=True).start()


_ending = Ending()
