"""No row lasts longer than its deadline, and no one else's cancellation is swallowed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from http_enrich_transport import TransportRequest
from http_enrich_transport._deadlines import TICK_SECONDS, Deadlines
from tests.support.faults import attempt, engine_for, outcome
from tests.support.names import resolving
from tests.support.peer import full_backlog, greeting, repeating, sending, serving, silent


class SlowLoop:
    """A loop whose time passes when told to, in steps of a millisecond."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self._timers.append((self.now + delay, callback))

    def run_until(self, done: Callable[[], bool]) -> None:
        while not done():
            assert self._timers, "nobody looks at the deadlines any more"
            self.now += 0.001
            due = [each for each in self._timers if each[0] <= self.now]
            self._timers = [each for each in self._timers if each[0] > self.now]
            for _, callback in due:
                callback()


class Task:
    """Stands for a task under way."""

    def __init__(self) -> None:
        self.cancelled = 0

    def cancelling(self) -> int:
        return self.cancelled

    def cancel(self) -> None:
        self.cancelled += 1


@pytest.mark.parametrize("seconds", [0.001, 0.3, 4.99, 5.0, 5.3, 29.7])
@pytest.mark.parametrize("earlier", [0.0, 0.017, 0.049])
def test_a_deadline_fires_within_a_tenth_of_a_second(
    seconds: float, earlier: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiohttp rounds what is beyond five seconds up to a whole second."""
    loop: Any = SlowLoop()
    task: Any = Task()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    monkeypatch.setattr(asyncio, "current_task", lambda _: task)
    deadlines = Deadlines()
    deadlines.start(1000)  # the sweeper's tick has begun before
    loop.run_until(lambda: loop.now >= earlier)

    began = loop.now
    deadlines.start(seconds)
    loop.run_until(lambda: task.cancelled == 1)

    assert 0 <= loop.now - began - seconds + 1e-9 <= TICK_SECONDS + 0.002 < 0.1


@pytest.mark.asyncio(loop_factories=["asyncio"])  # one is enough for five seconds
@pytest.mark.parametrize("seconds", [0.3, 5.3])
async def test_the_engine_keeps_its_deadline(seconds: float) -> None:
    """N11: whole seconds would be 6."""
    loop = asyncio.get_running_loop()
    async with serving(silent) as server, engine_for(server.url, base_timeout=seconds) as engine:
        stalls: list[float] = []
        watching = asyncio.create_task(watch(stalls))
        began = loop.time()
        response = await engine.send(TransportRequest("POST", server.url))
        took = loop.time() - began
        watching.cancel()

    assert outcome(response) == ("total_timeout", "maybe_sent", None)
    assert seconds <= took < seconds + 0.1 + 3 * max(stalls)


async def watch(stalls: list[float]) -> None:
    """Note by how much the loop is late, which a busy machine makes it."""
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        await asyncio.sleep(0.01)
        stalls.append(loop.time() - began - 0.01)


async def test_the_deadline_of_a_request_replaces_that_of_the_engine() -> None:
    async with serving(silent) as server, engine_for(server.url, base_timeout=60) as engine:
        response = await engine.send(TransportRequest("POST", server.url, timeout=0.5))

    assert outcome(response) == ("total_timeout", "maybe_sent", None)


async def test_the_deadline_counts_the_wait_for_a_connection() -> None:
    async with serving(silent) as server, engine_for(server.url, tcp_connection={"limit": 1}) as engine:
        first = asyncio.create_task(engine.send(TransportRequest("POST", server.url, timeout=60)))
        await asyncio.sleep(0)
        second = await engine.send(TransportRequest("POST", server.url, timeout=0.1))
        first.cancel()

    assert outcome(second) == ("total_timeout", "not_sent", None)
    assert server.connections <= 1


async def test_the_deadline_counts_the_name() -> None:
    """N5"""
    with resolving(api_test=None):
        response = await attempt("http://api.test/", base_timeout=0.1, connect_timeout=60)

    assert outcome(response) == ("dns_timeout", "not_sent", None)


async def test_the_deadline_counts_the_connection() -> None:
    """N2"""
    async with full_backlog() as url:
        response = await attempt(url, base_timeout=0.1, connect_timeout=60)

    assert outcome(response) == ("connect_timeout", "not_sent", None)


async def test_the_deadline_counts_the_handshake() -> None:
    """T3"""
    async with greeting(silent) as server:
        response = await attempt(server.url, base_timeout=0.1, connect_timeout=60)

    assert outcome(response) == ("connect_timeout", "not_sent", None)


async def test_the_deadline_counts_the_head() -> None:
    """N12"""
    async with serving(repeating(b"HTTP/1.1 200 OK\r\nX: ", b"x", pause=0.01)) as server:
        response = await attempt(server.url, base_timeout=0.5)

    assert outcome(response) == ("total_timeout", "maybe_sent", None)


async def test_the_deadline_counts_the_body() -> None:
    """N14"""
    async with serving(repeating(b"HTTP/1.1 200 OK\r\n\r\n", b"x", pause=0.01)) as server:
        response = await attempt(server.url, base_timeout=0.5)

    assert outcome(response) == ("total_timeout", "responded", 200)


async def test_a_limit_on_connecting_does_not_end_what_is_connected() -> None:
    slow = sending(b"HTTP/1.1 200 OK\r\n", b"Content-Length: 2\r\n", *[b"X: y\r\n"] * 60, b"\r\nhi")
    async with serving(slow) as server:
        response = await attempt(server.url, connect_timeout=0.5)

    assert outcome(response) == (None, "responded", 200)


async def test_a_deadline_leaves_the_task_as_it_was() -> None:
    """A task that counts as cancelled would break every `asyncio.timeout` around it."""
    task = asyncio.current_task()
    assert task is not None
    async with serving(silent) as server, engine_for(server.url) as engine:
        async with asyncio.timeout(30):
            response = await engine.send(TransportRequest("GET", server.url, timeout=0.5))
        await asyncio.sleep(0)

    assert (outcome(response)[0], task.cancelling()) == ("total_timeout", 0)


async def test_a_timeout_around_a_request_wins() -> None:
    async with serving(silent) as server, engine_for(server.url) as engine:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await engine.send(TransportRequest("GET", server.url))


async def test_a_cancelled_request_is_cancelled() -> None:
    async with serving(silent) as server, engine_for(server.url) as engine:
        task = asyncio.create_task(engine.send(TransportRequest("GET", server.url)))
        while not server.requests:  # noqa: ASYNC110 - the peer is on the same loop
            await asyncio.sleep(0)
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_cancellation_at_the_very_deadline_wins() -> None:
    """Both arrive before the task runs again."""
    async with serving(silent) as server, engine_for(server.url) as engine:
        task = asyncio.create_task(engine.send(TransportRequest("GET", server.url)))
        while not server.requests:  # noqa: ASYNC110 - the peer is on the same loop
            await asyncio.sleep(0)
        running: Any = engine
        (under_way,) = running._deadlines._attempts
        under_way.expire()
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_task_that_was_cancelled_before_is_not_freed_by_a_deadline() -> None:
    """What is sent while cleaning up has a deadline, too."""
    left: list[int] = []

    async def clean_up() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            response = await engine.send(TransportRequest("GET", server.url, timeout=0.5))
            task = asyncio.current_task()
            assert task is not None
            assert outcome(response)[0] == "total_timeout"
            left.append(task.cancelling())

    async with serving(silent) as server, engine_for(server.url) as engine:
        cleaning = asyncio.create_task(clean_up())
        await asyncio.sleep(0)
        cleaning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cleaning

    assert left == [1]
