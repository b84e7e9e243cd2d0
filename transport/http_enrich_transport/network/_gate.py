"""Vets where a request would go, for engines that cannot vet the sockets they connect."""

from __future__ import annotations

import asyncio
import socket
from functools import lru_cache

from http_enrich_transport._deadlines import Attempt, Phase
from http_enrich_transport._errors import TransportErrorKind
from http_enrich_transport.config import NetworkEngineConfig

from ._dns import HostResolver
from ._egress import EgressBlockedError, EgressPolicy, host_of, is_address

_MIN_TTL = 1.0
"""Seconds; here every request asks, not every connection."""


class LookupFailedError(Exception):
    """The host has no address that we could find; *kind* says whose fault it is."""

    def __init__(self, error: OSError) -> None:
        super().__init__("the host was not found")
        local = error.errno in (socket.EAI_MEMORY, socket.EAI_SYSTEM)
        self.kind = TransportErrorKind.LOCAL_RESOURCE if local else TransportErrorKind.DNS


class EgressGate:
    """
    Looks up a host as the engine will, and lets a request pass if all its addresses may be connected to.

    The engine looks it up once more, so a name that changes in between slips
    through: the engine's own sockets would be the better place.
    """

    def __init__(self, config: NetworkEngineConfig, base_url: str | None) -> None:
        proxy = config.proxy.url if config.proxy else None
        self._proxied = proxy is not None
        self._connect_timeout = config.connect_timeout
        self._policy = EgressPolicy(config.egress, named=(base_url, proxy))
        self._allows = lru_cache(4096)(self._policy.allows)
        self._host_of = lru_cache(4096)(host_of)
        self._resolver = HostResolver(max(config.tcp_connection.ttl_dns_cache, _MIN_TTL))

    async def check(self, url: str, attempt: Attempt) -> None:
        """Raise `EgressBlockedError` or `LookupFailedError` unless a request to *url* may be sent."""
        host = self._host_of("/".join(url.split("/", 3)[:3]))
        if self._proxied:
            if not self._policy.names(host):
                raise EgressBlockedError
            return
        addresses = (host,) if is_address(host) else await self._addresses(host, attempt)
        if not all(self._allows(each, host) for each in addresses):
            raise EgressBlockedError

    def close(self) -> None:
        """Let go of the resolver's threads."""
        self._resolver.close()

    async def _addresses(self, host: str, attempt: Attempt) -> tuple[str, ...]:
        attempt.phase = Phase.RESOLVING
        attempt.limit_phase(self._connect_timeout, asyncio.get_running_loop().time())
        try:
            addresses = await self._resolver.lookup(host)
        except OSError as error:
            raise LookupFailedError(error) from None
        attempt.phase = Phase.WAITING
        attempt.due = attempt.ends_at
        return addresses
