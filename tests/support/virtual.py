"""An event loop whose time passes only while everybody waits, so that hours of many rows take a moment."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from http_enrich_middleware import WorkerRuntime

from .chain import BASE_URL, EPOCH

T = TypeVar("T")


class _Skipping(selectors.DefaultSelector):
    """Instead of waiting for the next timer it lets the clock jump there."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            msg = "everybody waits, and nothing will ever happen"
            raise RuntimeError(msg)
        self.now += timeout
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        now: float = self._skipping.now
        return now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* in virtual time; `asyncio.sleep` and the loop's timers take none."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)


def virtual_runtime(seed: int = 7) -> WorkerRuntime:
    """Return a runtime on the clock of the running loop, whose dice fall the same way every time."""
    loop = asyncio.get_running_loop()
    return WorkerRuntime(
        clock=loop.time,
        now=lambda: EPOCH + loop.time(),
        uniform=random.Random(seed).uniform,
        base_url=BASE_URL,
    )
