"""Holds what a worker process keeps from its first row to its end."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Coroutine
from typing import Any, ClassVar, TypeVar

from http_enrich_middleware import Handler, WorkerRuntime, build_chain, with_defaults
from http_enrich_spark._logs import log_to
from http_enrich_transport import TransportEngine, TransportRuntimeFactory

from ._plan import WorkerPlan
from ._request import RequestBuilder

T = TypeVar("T")


class WorkerResourceManager:
    """
    One event loop on one thread, with one transport and one middleware chain.

    There is one manager per process and plan. It is created by the first task
    that asks for it, and reused by every later task of the same process.
    """

    _managers: ClassVar[list[WorkerResourceManager]] = []
    _owner: ClassVar[int] = 0
    _lock: ClassVar[threading.Lock] = threading.Lock()

    @classmethod
    def get(cls, plan: WorkerPlan) -> WorkerResourceManager:
        """Return this process's manager for *plan*."""
        if cls._owner != os.getpid():
            # A fork copies the managers but not their threads; the lock may have been held.
            cls._owner, cls._managers, cls._lock = os.getpid(), [], threading.Lock()
        with cls._lock:
            for manager in cls._managers:
                if manager.alive and manager.plan == plan:
                    return manager
            cls._managers.append(cls(plan))
            return cls._managers[-1]

    def __init__(self, plan: WorkerPlan) -> None:
        log_to(sys.stderr)
        self.plan = plan
        self.builder = RequestBuilder(plan.endpoint)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="http-enrich", daemon=True)
        self._thread.start()
        try:
            self.engine, self.handler = self.call(self._open())
        except BaseException:
            self._end_loop()
            raise

    @property
    def alive(self) -> bool:
        """Whether the event loop still runs."""
        return self._thread.is_alive()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run *work* on the event loop and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def close(self) -> None:
        """Close the transport and end the thread."""
        with self._lock:
            self._managers.remove(self)
        self.call(self.engine.__aexit__(None, None, None))
        self._end_loop()

    def _end_loop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _open(self) -> tuple[TransportEngine, Handler]:
        plan = self.plan
        factory = TransportRuntimeFactory(plan.transport, base_url=plan.endpoint.base_url)
        engine = await factory.create().__aenter__()
        runtime = WorkerRuntime(warmup=lambda: engine.warmup)
        return engine, build_chain(with_defaults(plan.middleware), engine, runtime)
