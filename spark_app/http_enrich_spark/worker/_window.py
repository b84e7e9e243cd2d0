"""A bounded window of work between Spark's thread and the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
W = TypeVar("W")
R = TypeVar("R")

FLUSH_SECONDS = 0.05
"""A finished answer waits at most this long for company on its way to Spark's thread."""

_LIVENESS_SECONDS = 1.0
_DIED = "the worker's event loop has died"


class LoopDiedError(RuntimeError):
    """The event loop of the worker is gone; Spark's retry of the task gets a new one."""


class Window(Generic[T, W, R]):
    """
    Keeps up to *concurrency* items in work and hands results over as they finish.

    *work* is done for each item, *begin* and *finish* for many of them at once, all on the event loop.
    At most three times *concurrency* items are taken from the input ahead of
    their results, so memory does not grow with the partition. Order is not kept.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Callable[[T], Awaitable[W]],
        finish: Callable[[list[W]], list[R]],
        *,
        concurrency: int,
        begin: Callable[[Sequence[T]], None] = lambda items: None,
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        self._loop = loop
        self._begin, self._work, self._complete = begin, work, finish
        self._concurrency = concurrency
        self._alive = alive
        self._waiting: deque[T] = deque()
        self._idle: list[asyncio.Future[None]] = []
        self._results: SimpleQueue[list[R] | BaseException] = SimpleQueue()
        self._finished: list[W] = []
        self._timer: asyncio.TimerHandle | None = None
        self._consumers: list[asyncio.Task[None]] = []
        self._stopped = False

    def run(self, items: Iterator[T]) -> Iterator[list[R]]:
        """Work off *items*; yields lists of results, none of them empty."""
        self._call(self._start)
        try:
            yield from self._pump(items)
        finally:
            with suppress(LoopDiedError):  # then nothing is left to stop
                self._call(self._stop)

    def _pump(self, items: Iterator[T]) -> Iterator[list[R]]:
        outstanding = 0
        while chunk := list(islice(items, self._concurrency)):
            outstanding += len(chunk)
            self._call(partial(self._feed, chunk))
            while outstanding > 2 * self._concurrency:
                results = self._next()
                outstanding -= len(results)
                yield results
        while outstanding:
            results = self._next()
            outstanding -= len(results)
            yield results

    def _call(self, step: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(step)
        except RuntimeError:
            raise LoopDiedError(_DIED) from None

    def _next(self) -> list[R]:
        while True:
            try:
                results = self._results.get(timeout=_LIVENESS_SECONDS)
            except Empty:
                if not self._alive():
                    raise LoopDiedError(_DIED) from None
                continue
            if isinstance(results, BaseException):
                raise results
            return results

    # What follows runs on the event loop.

    def _start(self) -> None:
        self._consumers = [self._loop.create_task(self._consume()) for _ in range(self._concurrency)]

    def _stop(self) -> None:
        self._stopped = True
        for consumer in self._consumers:
            consumer.cancel()

    def _feed(self, chunk: Sequence[T]) -> None:
        try:
            self._begin(chunk)
        except Exception as error:  # noqa: BLE001 - raised again on Spark's thread
            self._results.put(error)
            return
        self._waiting.extend(chunk)
        idle, self._idle = self._idle, []
        for consumer in idle:
            if not consumer.done():
                consumer.set_result(None)

    async def _consume(self) -> None:
        waiting, work, finish = self._waiting, self._work, self._finish
        try:
            while True:
                while waiting:
                    finish(await work(waiting.popleft()))
                more = self._loop.create_future()
                self._idle.append(more)
                await more
        except asyncio.CancelledError:
            if not self._stopped:
                # The work cancelled itself; nobody else would tell the waiting thread.
                self._results.put(LoopDiedError("the work was cancelled from within"))
            raise
        except Exception as error:  # noqa: BLE001 - raised again on Spark's thread
            self._results.put(error)

    def _finish(self, result: W) -> None:
        self._finished.append(result)
        if len(self._finished) >= self._concurrency:
            self._flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        finished, self._finished = self._finished, []
        if not finished:
            return
        try:
            self._results.put(self._complete(finished))
        except Exception as error:  # noqa: BLE001 - a timer has nobody else to tell
            self._results.put(error)
