"""APIs on virtual time, and a worker that sends rows to them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from http_enrich_middleware import MiddlewareConfig, RequestExchange, build_chain
from http_enrich_transport import MemoryEngine, TransportRequest, TransportResponse
from tests.support import virtual_time
from tests.support.chain import answer, row
from tests.support.virtual_time import clock

FINE = answer(200)


def rows(count: int) -> list[RequestExchange]:
    return [row(url=f"http://api.test/{number}") for number in range(count)]


class Api:
    """Takes down when requests came, and how many there were at a time in each second."""

    def __init__(self, respond: Callable[[int], TransportResponse] = lambda _: FINE, latency: float = 1.0):
        self.respond, self.latency = respond, latency
        self.starts: list[float] = []
        self.urls: list[str] = []
        self.active = 0
        self._peaks: Counter[int] = Counter()

    async def __call__(self, request: TransportRequest) -> TransportResponse:
        self.starts.append(clock())
        self.urls.append(request.url)
        self.active += 1
        second = int(clock())
        self._peaks[second] = max(self._peaks[second], self.active)
        try:
            return await self.serve()
        finally:
            self.active -= 1

    async def serve(self) -> TransportResponse:
        number = len(self.starts)
        await asyncio.sleep(self.latency)
        return self.respond(number)

    @property
    def rounds(self) -> list[int]:
        """How many requests came at each instant."""
        return list(Counter(self.starts).values())

    def peaks(self, begin: float, end: float) -> list[int]:
        """Return how many requests there were at most, in each second between *begin* and *end*."""
        return [peak for second, peak in self._peaks.items() if begin <= second < end]


class Shedding(Api):
    """Does so many requests at a time, and refuses the others at once."""

    def __init__(self, capacity: int, latency: float = 0.1) -> None:
        super().__init__(latency=latency)
        self.capacity = capacity

    async def serve(self) -> TransportResponse:
        if self.active > self.capacity:
            await asyncio.sleep(0.001)
            return answer(503)
        return await super().serve()


class Queueing(Api):
    """Does so many requests at a time, and lets the others wait."""

    def __init__(self, capacity: int, latency: float = 0.1) -> None:
        super().__init__(latency=latency)
        self.places = asyncio.Semaphore(capacity)

    async def serve(self) -> TransportResponse:
        async with self.places:
            return await super().serve()


class Metered(Api):
    """Allows so many requests a second on average, and turns the others away."""

    def __init__(self, per_second: float, refusal: TransportResponse, latency: float = 0.02) -> None:
        super().__init__(latency=latency)
        self.per_second, self.refusal = per_second, refusal
        self.left, self.filled = per_second, 0.0

    async def serve(self) -> TransportResponse:
        await asyncio.sleep(self.latency)
        self.left = min(self.per_second, self.left + (clock() - self.filled) * self.per_second)
        self.filled = clock()
        if self.left < 1:
            return self.refusal
        self.left -= 1
        return FINE


def sent(
    api: Callable[[TransportRequest], Awaitable[TransportResponse]],
    rows: Sequence[RequestExchange],
    *configs: MiddlewareConfig,
    concurrency: int = 16,
    at: Sequence[tuple[float, Callable[[], None]]] = (),
    **facts: Any,
) -> float:
    """
    Send *rows*, *concurrency* at a time as a worker does; return how long that took.

    *at* holds what happens meanwhile, with its times; *facts* are those of the runtime.
    """

    async def main() -> float:
        loop = asyncio.get_running_loop()
        runtime = virtual_time.runtime(concurrency=concurrency, **facts)
        chain, left = build_chain(configs, MemoryEngine(api), runtime), iter(rows)
        for when, what in at:
            loop.call_at(when, what)

        async def slot() -> None:
            for each in left:
                await chain(each)

        await asyncio.gather(*(slot() for _ in range(concurrency)))
        return clock()

    return virtual_time.run(main())
