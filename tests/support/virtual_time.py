"""An event loop whose time passes only when nothing is left to do: hours take no time, nothing is luck."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from http_enrich_middleware import WorkerRuntime

T = TypeVar("T")


class _Impatient(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> Any:
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer instead of waiting for it; there must be no real input and output."""

    def __init__(self) -> None:
        super().__init__(_Impatient())
        self.now = 0.0

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self.now

    def _run_once(self) -> None:
        loop: Any = self
        if not loop._ready:
            due = [timer.when() for timer in loop._scheduled if not timer.cancelled()]
            if not due:
                msg = "everybody waits, and nothing will ever happen"
                raise RuntimeError(msg)
            self.now = max(self.now, min(due))
        super()._run_once()  # type: ignore[misc]


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* in virtual time, from 0 seconds on."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def clock() -> float:
    """Return the time of the running loop."""
    return asyncio.get_running_loop().time()


def runtime(**facts: Any) -> WorkerRuntime:
    """Return a worker runtime on virtual time."""
    return WorkerRuntime(clock=clock, now=lambda: 1_800_000_000.0 + clock(), **facts)
