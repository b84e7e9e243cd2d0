"""The connection pool."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler

from http_enrich_transport._deadlines import Attempt, Phase
from http_enrich_transport.config import AiohttpEngineConfig, TcpConnectionConfig
from http_enrich_transport.network._dns import HostResolver
from http_enrich_transport.network._egress import EgressBlockedError, EgressPolicy
from http_enrich_transport.network._tls import ssl_context

from ._cork import Cork, CorkedHandler

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ClientRequest, ConnectionKey
    from aiohttp.connector import AddrInfoType, Connection
    from aiohttp.tracing import Trace

_FAMILIES = {"any": socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}

_CLOSE_NOTIFY_SECONDS = 1.0
"""How long a closing connection waits for the peer's goodbye over TLS; aiohttp says none by default."""


current: ContextVar[Attempt] = ContextVar("current")
"""The attempt that this task makes. A trace of aiohttp would tell as well, at a fifth of the CPU."""

Peer = tuple[str, int | None]
"""Host and port."""


class Connector(aiohttp.TCPConnector):
    """
    aiohttp's pool, but it vets addresses, notes what it does, and gives out clean connections only.

    The three methods that begin with an underscore and override, and `_factory`, are
    private in aiohttp, which is why its version is capped.
    """

    def __init__(self, config: AiohttpEngineConfig, egress: EgressPolicy) -> None:
        tcp = config.tcp_connection
        super().__init__(
            limit=tcp.limit,
            limit_per_host=tcp.per_host,
            family=_FAMILIES[tcp.family],
            happy_eyeballs_delay=tcp.happy_eyeballs_delay,
            ssl=ssl_context(config.tls),
            resolver=_Resolver(tcp.ttl_dns_cache),
            use_dns_cache=False,  # the resolver has one
            socket_factory=self._vetted_socket,
            **_keepalive(tcp),
        )
        self._factory = partial(self._handler, Cork(self._loop))
        self._egress = egress
        self.on_miss: Callable[[Peer], object] = lambda peer: None
        """Told for which peer there is no idle connection."""
        self._connect_timeout = config.connect_timeout
        # The parameter of that name warns that it will go away.
        self._ssl_shutdown_timeout = _CLOSE_NOTIFY_SECONDS

    def _handler(self, cork: Cork) -> ResponseHandler:
        return CorkedHandler(self._loop, cork)

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        attempt = current.get()
        attempt.phase = Phase.CONNECTING
        attempt.limit_phase(self._connect_timeout, self._loop.time())
        attempt.host = (req.proxy or req.url).raw_host or ""
        if req.proxy and not self._egress.names(req.url.raw_host or ""):
            raise aiohttp.ClientConnectorError(req.connection_key, EgressBlockedError())
        started = time.monotonic()  # the loop's clock may count in milliseconds
        try:
            connection = await super()._create_connection(req, traces, timeout)
        finally:
            attempt.connected = time.monotonic() - started
        _writes(attempt)
        return connection

    async def _wait_for_available_connection(self, key: ConnectionKey, traces: list[Trace]) -> None:
        started = time.monotonic()
        try:
            await super()._wait_for_available_connection(key, traces)
        finally:
            current.get().queued = time.monotonic() - started

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        """
        Return an idle connection on which nothing has arrived since its last answer.

        Whatever a peer sent unasked would be taken for the answer to the next
        row, and every row after that would get its neighbour's.
        """
        while (connection := await super()._get(key, traces)) is not None:
            if connection.protocol is not None and not connection.protocol.should_close:
                _writes(current.get())
                return connection
            connection.close()
        self.on_miss((key.host, key.port))
        return None

    def _vetted_socket(self, addr_info: AddrInfoType) -> socket.socket:
        """Make the socket for an address; every connection passes here with its final one."""
        family, kind, protocol, _, address = addr_info
        if not self._egress.allows(str(address[0]), current.get().host):
            raise EgressBlockedError
        return socket.socket(family, kind, protocol)


_WRITING = Phase.WRITING


def _writes(attempt: Attempt) -> None:
    """Note that *attempt* has a connection: aiohttp goes on to write without another wait."""
    attempt.phase = _WRITING
    attempt.due = attempt.ends_at


class _Resolver(AbstractResolver):
    """Our resolver as aiohttp wants it."""

    def __init__(self, ttl: float) -> None:
        self._hosts = HostResolver(ttl)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look up *host*; raises `OSError`."""
        attempt = current.get()
        attempt.phase = Phase.RESOLVING
        addresses = await self._hosts.lookup(host, family)
        attempt.phase = Phase.CONNECTING
        return [
            ResolveResult(hostname=host, host=each, port=port, family=family, proto=0, flags=0)
            for each in addresses
        ]

    async def close(self) -> None:
        """Let go of the threads."""
        self._hosts.close()


def _keepalive(tcp: TcpConnectionConfig) -> dict[str, Any]:
    # aiohttp refuses to be given both.
    return {"force_close": True} if tcp.force_close else {"keepalive_timeout": tcp.keepalive_timeout}
