"""Looks up host names: cached, one lookup per name at a time, and none in the way of another."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

THREADS = 32
"""
A lookup that hangs holds a thread for as long as the system's resolver likes.

asyncio's own pool has six on a machine of two cores; six dead names would stop every other one.
"""

STALE_SECONDS = 3600.0
"""An address may serve this long after its time if the resolver fails; RFC 8767 §4 allows days."""

STALE_AFTER = 1.8
"""Seconds to wait for a resolver before a known address is used (RFC 8767 §5, client response timer)."""

RECHECK_SECONDS = 30.0
"""So long nobody asks a resolver again that has failed, while an old address serves (RFC 8767 §5)."""

NEGATIVE_SECONDS = 1.0
"""A name that does not exist is not asked for again within this time."""

_FLAGS = socket.AI_ADDRCONFIG
"""Leave out IPv6 addresses where there is no IPv6."""


class _Answer(NamedTuple):
    addresses: tuple[str, ...]
    expires_at: float
    stale_until: float = 0.0
    error: OSError | None = None


class HostResolver:
    """
    Finds the addresses of hosts with the system's resolver.

    *ttl* is in seconds, *clock* returns monotonic seconds, *getaddrinfo* is
    `socket.getaddrinfo` or acts like it. Lives on one event loop.
    """

    def __init__(
        self,
        ttl: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        getaddrinfo: Callable[..., Any] | None = None,
        stale_after: float = STALE_AFTER,
    ) -> None:
        self._ttl = ttl
        self._clock = clock
        self._getaddrinfo = getaddrinfo or socket.getaddrinfo
        self._stale_after = stale_after
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="http-enrich-dns")
        self._known: dict[tuple[str, int], _Answer] = {}
        self._flights: dict[tuple[str, int], asyncio.Task[_Answer]] = {}

    async def lookup(self, host: str, family: int = socket.AF_UNSPEC) -> tuple[str, ...]:
        """
        Return the addresses of *host*, in another order each time.

        Raises `OSError` as `socket.getaddrinfo` does.
        """
        key = (host, family)
        answer = self._known.get(key)
        if answer is None or answer.expires_at <= self._clock():
            answer = await self._fresh(key, answer)
        if answer.error is not None:
            raise answer.error
        return self._turned(key, answer)

    def close(self) -> None:
        """Let go of the threads; one that hangs ends when its lookup does."""
        for flight in self._flights.values():
            flight.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _turned(self, key: tuple[str, int], answer: _Answer) -> tuple[str, ...]:
        """Spread connections over the addresses of a host."""
        known = self._known.get(key, answer)
        if known.addresses:  # others that waited for the same answer may have turned it already
            answer = known
        first, *others = answer.addresses
        self._known[key] = answer._replace(addresses=(*others, first))
        return answer.addresses

    async def _fresh(self, key: tuple[str, int], old: _Answer | None) -> _Answer:
        flight = self._flight(key)
        stale = old if old is not None and self._clock() < old.stale_until else None
        # Whoever waits may be cancelled; the others still want the answer.
        await asyncio.wait({flight}, timeout=self._stale_after if stale else None)
        answer = flight.result() if flight.done() and not flight.cancelled() else None
        if stale is not None and (answer is None or _may_pass(answer.error)):
            answer = self._known[key] = stale._replace(expires_at=self._clock() + RECHECK_SECONDS)
        return answer or _failed(socket.EAI_AGAIN, "the resolver is closed")

    def _flight(self, key: tuple[str, int]) -> asyncio.Task[_Answer]:
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.ensure_future(self._ask(key))
            flight.add_done_callback(lambda _: self._flights.pop(key, None))
        return flight

    async def _ask(self, key: tuple[str, int]) -> _Answer:
        loop = asyncio.get_running_loop()
        host, family = key
        try:
            found = await loop.run_in_executor(
                self._threads, self._getaddrinfo, host, None, family, socket.SOCK_STREAM, 0, _FLAGS
            )
        except UnicodeError:  # a label of more than 63 bytes
            return _failed(socket.EAI_NONAME, "no such name")
        except OSError as error:
            answer = _Answer((), self._clock() + NEGATIVE_SECONDS, error=error)
            if not _may_pass(error):
                self._known[key] = answer
            return answer
        addresses = tuple(dict.fromkeys(str(each[4][0]) for each in found))
        expires_at = self._clock() + self._ttl
        self._known[key] = _Answer(addresses, expires_at, expires_at + STALE_SECONDS)
        return self._known[key]


def _failed(number: int, message: str) -> _Answer:
    return _Answer((), 0.0, error=socket.gaierror(number, message))


def _may_pass(error: OSError | None) -> bool:
    """Say whether *error* speaks of the resolver; that a name does not exist is an answer."""
    return error is not None and error.errno not in (socket.EAI_NONAME, socket.EAI_NODATA)
