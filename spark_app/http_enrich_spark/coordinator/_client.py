"""The worker's side; it lives on the worker's event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar
from uuid import uuid4

import aiohttp
import msgspec

from http_enrich_middleware import (
    Ask,
    Grant,
    LocalPermits,
    PermitSource,
    Rate,
    RefusedError,
    RunState,
)

from ._brake import SharedBrake
from ._link import Link
from ._messages import (
    Hello,
    Lease,
    LeaseRequest,
    Message,
    Orders,
    Sync,
    TokenAnswer,
    TokenRequest,
    Welcome,
)
from ._rates import source_name
from ._remote_permits import RemotePermits
from ._tokens import digest, owner_name
from ._totals import Totals

A = TypeVar("A")

SYNC_EVERY = 1.0
"""Seconds between two messages with counts."""

_CONNECT, _ANSWER, _LONGEST = 1.0, 3.0, 30.0
"""Seconds until a driver that cannot be reached is given up: to connect, for counts, and for a turn."""

_HELLO_TRIES, _HELLO_PAUSE = 10, 1.0


class UnreachableError(Exception):
    """The driver gives no answer, or none that is of use."""


class Client:
    """
    A worker's line to its coordinator.

    *run* is stopped when the driver says so, *take* returns what was counted since the last time, and *slots*
    is how many workers there may be, for when the driver cannot be reached. `permits`, `ask_through` and
    `brake` are for the worker's `WorkerRuntime`.
    """

    def __init__(self, link: Link, run: RunState, take: Callable[[], Totals], *, slots: int) -> None:
        self._link, self._run, self._take, self._slots = link, run, take, slots
        self.brake = SharedBrake(self._paused)
        self._worker = uuid4().hex
        self._session: aiohttp.ClientSession | None = None
        self._unsent: Sync | None = None
        self._seq = 0
        self._pause = 0.0
        self._urgent = asyncio.Event()
        self._turn = asyncio.Lock()
        self._permits: list[RemotePermits] = []
        self._owners = 0
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to send counts, and to hear how the run stands."""
        self._session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {self._link.secret}"})
        self._task = asyncio.get_running_loop().create_task(self._keep_in_touch())

    async def close(self) -> None:
        """Send the last counts and end."""
        for permits in self._permits:
            permits.close()
        if self._task is not None:
            self._task.cancel()
            await self.sync(timeout=0.5)
        if self._session is not None:
            await self._session.close()

    # What middleware call.

    def permits(self, rates: Sequence[Rate]) -> PermitSource:
        """Return the permits of the next rate limit for the cluster, in the order of the chain."""
        source = source_name(len(self._permits), rates)
        shares = [rate.share(self._slots) for rate in rates]
        own = LocalPermits(shares, clock=time.monotonic, sleep=asyncio.sleep)

        async def ask(want: int, unused: int) -> Lease | None:
            request = LeaseRequest(worker=self._worker, source=source, want=want, unused=unused)
            with suppress(UnreachableError):
                return await self._call("/v1/lease", request, Lease, _LONGEST)
            return None

        permits = RemotePermits(ask, own, clock=time.monotonic)
        self._permits.append(permits)
        return permits

    def ask_through(self, owner: str, ask: Ask) -> Ask:
        """Return a way to ask the driver for the token of *owner*, and to *ask* oneself where it has none."""
        self._owners += 1
        owner, last = owner_name(owner, self._owners), ""

        async def ask_driver() -> Grant:
            nonlocal last
            # Asked again, this worker has found its last one refused or at its end.
            request = TokenRequest(worker=self._worker, owner=owner, refused=digest(last) if last else None)
            try:
                answer = await self._call("/v1/token", request, TokenAnswer, _LONGEST)
            except UnreachableError:
                return await ask()
            if answer.refusal is not None:
                raise RefusedError(answer.refusal)
            if answer.unavailable is not None:
                return await ask()
            last = answer.text
            return Grant(answer.text, answer.lifetime)

        return ask_driver

    def _paused(self, seconds: float) -> None:
        self._pause = max(self._pause, seconds)
        self._urgent.set()

    # What the worker calls.

    async def sync(self, timeout: float = _ANSWER) -> None:
        """Send what was counted, and heed what the driver says; nothing happens if it cannot be reached."""
        async with self._turn:
            with suppress(UnreachableError):
                # What was not acknowledged goes first, as it was: it may have been counted.
                while self._unsent is not None:
                    await self._send(self._unsent, timeout)
                self._unsent = self._message()
                await self._send(self._unsent, timeout)

    async def _send(self, message: Sync, timeout: float) -> None:
        orders = await self._call("/v1/sync", message, Orders, timeout)
        self._unsent = None
        self._heed(orders)

    def _message(self) -> Sync:
        self._seq += 1
        pause, self._pause = self._pause, 0.0
        run = self._run
        return Sync(
            worker=self._worker,
            seq=self._seq,
            totals=self._take(),
            stopped=run.stopped,
            outage=run.outage,
            pause=pause,
        )

    def _heed(self, orders: Orders) -> None:
        if orders.stop is not None:
            self._run.stop(orders.stop)
        if orders.pause > 0:
            self.brake.heed(orders.pause)

    async def _keep_in_touch(self) -> None:
        # At once for the first time: the run may have been stopped, or paused, before this worker was there.
        while True:
            self._urgent.clear()
            await self.sync()
            with suppress(TimeoutError):
                async with asyncio.timeout(SYNC_EVERY):
                    await self._urgent.wait()

    async def _call(self, path: str, message: Message, answer: type[A], timeout: float) -> A:
        if self._session is None:
            raise UnreachableError
        return await call(self._session, self._link.url + path, message, answer, timeout)


async def call(
    session: aiohttp.ClientSession, url: str, message: Message, answer: type[A], timeout: float
) -> A:
    """Send *message* and return its answer; raises `UnreachableError`."""
    limits = aiohttp.ClientTimeout(total=timeout, sock_connect=_CONNECT)
    try:
        async with session.post(url, data=msgspec.msgpack.encode(message), timeout=limits) as response:
            if response.status != 200:
                msg = f"status {response.status}"
                raise UnreachableError(msg)
            return msgspec.msgpack.decode(await response.read(), type=answer)
    except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
        raise UnreachableError(type(error).__name__) from error


def fetch_secrets(link: Link) -> list[str]:
    """
    Ask for the secrets of the plan, from a thread without an event loop.

    Raises `UnreachableError`, with what to do, when the driver gives no answer for a while.
    """
    return asyncio.run(_fetch_secrets(link))


async def _fetch_secrets(link: Link) -> list[str]:
    headers = {"Authorization": f"Bearer {link.secret}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for left in reversed(range(_HELLO_TRIES)):
            try:
                hello = Hello(worker=uuid4().hex)
                welcome = await call(session, f"{link.url}/v1/hello", hello, Welcome, _ANSWER)
                return welcome.secrets
            except UnreachableError as error:
                if not left:
                    msg = (
                        f"this executor cannot reach the driver at {link.url} ({error}), which has the "
                        "credentials of the API: let it through, or set spark.driver.host to an address that "
                        "executors can reach"
                    )
                    raise UnreachableError(msg) from None
            await asyncio.sleep(_HELLO_PAUSE)
    raise AssertionError
