"""Holds what a worker process keeps from its first row to its end."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import ClassVar

from http_enrich_middleware import (
    Bulk,
    Handler,
    RunState,
    Snapshot,
    WorkerRuntime,
    build_bulk_chain,
    with_defaults,
)
from http_enrich_spark._ending import at_end
from http_enrich_spark._logs import log_to, logger
from http_enrich_spark.coordinator import Client, Link
from http_enrich_transport import TransportEngine, TransportRuntimeFactory, new_event_loop

from ._garbage import collect_seldom
from ._plan import WorkerPlan
from ._request import RequestBuilder
from ._tally import Tally

MAX_PLANS = 4
"""
Plans whose connections a process keeps open. A changed secret or option makes another plan, and a
long-lived application would collect them; but runs that take turns must not open everything anew.
"""

CLOSE_SECONDS = 1.5
"""Less than a worker is given before it is killed, and enough for a TLS peer far away."""

_REPORT_SECONDS = 3.0
"""More than the driver takes to answer; whoever waits is a task at its end."""

_DRAIN_SECONDS = 10.0
"""More than a busy event loop takes to answer; a dead one never does."""


class WorkerResourceManager:
    """
    One event loop on one thread, with one transport and one middleware chain.

    There is one manager per process and plan. It is created by the first task
    that asks for it, and reused by every later task of the same process. When
    the process ends, however that is, its connections are closed properly.
    """

    _managers: ClassVar[list[WorkerResourceManager]] = []
    """Those of this process; whose plan was asked for last stands last."""
    _lock: ClassVar[threading.Lock] = threading.Lock()

    @classmethod
    def get(cls, plan: WorkerPlan) -> WorkerResourceManager:
        """Return this process's manager for *plan*."""
        return cls._take(plan, tasks=0)

    @classmethod
    @contextmanager
    def lease(cls, plan: WorkerPlan) -> Iterator[WorkerResourceManager]:
        """Return this process's manager for *plan*, which stays open at least until the end of the block."""
        manager = cls._take(plan, tasks=1)
        try:
            yield manager
        finally:
            with cls._lock:
                manager._tasks -= 1

    @classmethod
    def close_all(cls) -> None:
        """
        Close every transport, at the end of the process.

        Takes no lock: it interrupts the main thread, which may hold it.
        """
        deadline = time.monotonic() + CLOSE_SECONDS
        managers = list(cls._managers)
        for manager in managers:
            manager._stop()
        for manager in managers:
            manager._thread.join(max(0.0, deadline - time.monotonic()))

    @classmethod
    def _take(cls, plan: WorkerPlan, *, tasks: int) -> WorkerResourceManager:
        at_end(cls.close_all)
        with cls._lock:
            manager = next((each for each in cls._managers if each._serves(plan)), None)
            manager = manager or cls(plan)
            manager._job = plan.job
            manager._tasks += tasks
            others = [each for each in cls._managers if each.alive and each is not manager]
            cls._managers = [*others, manager]
            idle = [each for each in others if not each._tasks]
            extra = max(0, len(others) + 1 - MAX_PLANS)
            # Another one for the same plan is one that has given up.
            surplus = [each for n, each in enumerate(idle) if n < extra or each.plan == plan]
            for each in surplus:
                each._stopping = True  # nobody else may take it from here on
        for each in surplus:
            each.close()
        manager._wait()
        return manager

    @classmethod
    def _forget(cls) -> None:
        """Start anew in a forked child, which has its parent's managers but not their threads."""
        cls._managers, cls._lock = [], threading.Lock()

    def __init__(self, plan: WorkerPlan) -> None:
        log_to(sys.stderr)
        self.plan = plan
        self.builder = RequestBuilder(plan.endpoint)
        self.redactor = plan.redactor
        self.run = RunState()
        self.tally = Tally(Counter(), self.run)
        self._client: Client | None = None
        self.loop = new_event_loop()
        self.bulk: Bulk
        self.handler: Handler
        self._job = plan.job
        self._runtime: WorkerRuntime
        self._tasks = 0
        self._stopping = False
        self._opened: Future[None] = Future()
        self._life: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._serve, name="http-enrich", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the event loop still runs."""
        return self._thread.is_alive()

    @property
    def usable(self) -> bool:
        """Whether it can take further work."""
        return self.alive and not self._stopping

    def _serves(self, plan: WorkerPlan) -> bool:
        """Say whether it may take work for *plan*; a run that was given up must not end the next one."""
        given_up = self.run.stopped is not None and self._job != plan.job
        return self.usable and self.plan == plan and not given_up

    def drain(self) -> Snapshot:
        """Return what the middleware have counted since the last time; nothing if the loop is dead."""
        taken: Future[Snapshot] = Future()

        def take() -> None:
            self.tally.before_reset()
            taken.set_result(self._runtime.metrics.drain(self._runtime.counters))

        try:
            self.loop.call_soon_threadsafe(take)
            return taken.result(_DRAIN_SECONDS)
        except (RuntimeError, TimeoutError):
            # The rows are answered and paid for: figures are not worth a task.
            logger.warning("the counts of this worker are lost: its event loop does not answer")
            return Snapshot()

    def report(self) -> None:
        """Tell the driver now what was counted; it does not matter if that fails."""
        client = self._client
        if client is not None:
            with suppress(RuntimeError, TimeoutError):
                asyncio.run_coroutine_threadsafe(client.sync(), self.loop).result(_REPORT_SECONDS)

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Close the transport and end the thread; whatever is not done after *timeout* is left behind."""
        self._stop()
        self._thread.join(timeout)
        with self._lock:
            if self in self._managers:
                self._managers.remove(self)

    def _wait(self) -> None:
        """Wait until the transport is open; raises what has kept it from opening."""
        try:
            self._opened.result()
        except BaseException:
            self.close()
            raise

    def _stop(self) -> None:
        self._stopping = True
        with suppress(RuntimeError):  # the loop has ended already
            self.loop.call_soon_threadsafe(self._cancel)

    # What follows runs on the thread of the event loop.

    def _cancel(self) -> None:
        # Once only: a second time would cut the closing short.
        if self._life is not None and not self._life.cancelling():
            self._life.cancel()

    def _serve(self) -> None:
        """Run the event loop; even when something stops it, the transport is closed on the way out."""
        error: BaseException | None = None
        try:
            with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                runner.run(self._live())
        except BaseException as caught:  # noqa: BLE001 - whoever waits for the transport is told
            error = caught
        if not self._opened.done():
            self._opened.set_exception(error or RuntimeError("closed while it was opened"))
        elif not isinstance(error, asyncio.CancelledError):  # which is how it is told to end
            logger.error("the event loop has died: %r", error)

    async def _live(self) -> None:
        self._life = asyncio.current_task()
        if self._stopping:
            return
        factory = TransportRuntimeFactory(self.plan.transport, base_url=self.plan.endpoint.base_url)
        engine = factory.create()
        try:
            # Not `async with`: what a warm-up has opened when it is cut short has to be closed as well.
            await engine.__aenter__()
            self._runtime = self._runtime_with(engine)
            self.tally = Tally(self._runtime.counters, self.run)
            if self.plan.link is not None:
                await self._connect(self.plan.link)
            steps = with_defaults(self.plan.middleware)
            self.bulk, self.handler = build_bulk_chain(steps, engine, self._runtime)
            collect_seldom()
            self._opened.set_result(None)
            await asyncio.Event().wait()
        finally:
            self._stopping = True
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    if self._client is not None:
                        await self._client.close()
                    await engine.__aexit__(None, None, None)

    async def _connect(self, link: Link) -> None:
        """Let permits, tokens and the brake be those of the whole cluster."""
        client = Client(link, self.run, lambda: self.tally.take(), slots=self.plan.slots)
        self._runtime = replace(
            self._runtime,
            cluster_permits=client.permits,
            ask_through=client.ask_through,
            brake=client.brake,
        )
        await client.open()
        self._client = client

    def _runtime_with(self, engine: TransportEngine) -> WorkerRuntime:
        plan = self.plan
        return WorkerRuntime(
            warmup=lambda: engine.warmup,
            base_url=plan.endpoint.base_url,
            base_timeout=plan.transport.base_timeout,
            concurrency=plan.concurrency,
            slots=plan.slots,
            pipeline=plan.pipeline,
            window=plan.window,
            redactor=self.redactor,
            run=self.run,
        )


os.register_at_fork(after_in_child=WorkerResourceManager._forget)
