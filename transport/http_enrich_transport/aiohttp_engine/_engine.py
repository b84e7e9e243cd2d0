"""Sends requests with aiohttp."""

from __future__ import annotations

import math
import warnings
from typing import Any

import aiohttp
from yarl import URL

from http_enrich_transport._body import accept_encoding, decoded, is_bodiless
from http_enrich_transport._deadlines import Attempt, Phase
from http_enrich_transport._engine import TransportEngineType
from http_enrich_transport._errors import too_large
from http_enrich_transport._guard import USER_AGENT
from http_enrich_transport._messages import TransportRequest, TransportResponse
from http_enrich_transport._registry import TransportEngineFactory
from http_enrich_transport.config import AiohttpEngineConfig
from http_enrich_transport.network._egress import EgressPolicy
from http_enrich_transport.network._engine import NetworkEngine

from ._attempt import WatchedRequest, current
from ._connector import Connector
from ._errors import as_response
from ._warmup import fill_pool


@TransportEngineFactory.register(TransportEngineType.AIOHTTP)
class AiohttpEngine(NetworkEngine):
    """One connection pool on one event loop."""

    Config = AiohttpEngineConfig
    _config: AiohttpEngineConfig
    _session: aiohttp.ClientSession

    def _open(self) -> None:
        self._session = _session(self._config, self._base_url)

    async def _close(self) -> None:
        await self._session.close()

    async def _warm_up(self, base_url: str) -> None:
        tcp = self._config.tcp_connection
        if not tcp.force_close and tcp.keepalive_timeout:
            await fill_pool(self._session, self._config, base_url, self._note)

    async def _exchange(self, request: TransportRequest, attempt: Attempt) -> TransportResponse:
        current.set(attempt)
        attempt.queued = attempt.connected = 0.0  # what is ready in the pool costs no time
        async with self._session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
        ) as response:
            attempt.status = response.status
            attempt.phase = Phase.READING
            body = await _read(response, self._config.max_response_bytes)
            headers = response.headers
            body = decoded(headers, body, self._config.max_response_bytes)
            return TransportResponse(response.status, headers, body, None, attempt.queued, attempt.connected)

    def _failure(self, error: Exception, request: TransportRequest, attempt: Attempt) -> TransportResponse:
        return as_response(error, request.url, attempt)


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read the body, which is no longer than *limit* bytes; `response.read()` knows no limit."""
    announced = response.content_length or 0
    if announced > limit and not is_bodiless(response.method, response.status):
        raise too_large(limit)
    content = response.content
    body = await content.readany()
    if len(body) > limit:
        raise too_large(limit)
    if content.at_eof():
        return body
    chunks, size = [body], len(body)
    while chunk := await content.readany():
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _session(config: AiohttpEngineConfig, base_url: str | None) -> aiohttp.ClientSession:
    proxy = config.proxy
    egress = EgressPolicy(config.egress, named=(base_url, proxy.url if proxy else None))
    with warnings.catch_warnings():
        # What aiohttp 4 wants for a proxy's login, aiohttp 3 takes for each request only.
        warnings.simplefilter("ignore", DeprecationWarning)
        session = aiohttp.ClientSession(
            connector=Connector(config, egress),
            request_class=WatchedRequest,
            cookie_jar=aiohttp.DummyCookieJar(),  # row 1's cookies are none of row 2's business
            # Deadlines end an attempt; what aiohttp adds is the silence of a peer, rounded to nothing.
            timeout=aiohttp.ClientTimeout(sock_read=config.read_timeout, ceil_threshold=math.inf),
            # aiohttp hands on a body that was cut short as a success, see decoded().
            auto_decompress=False,
            headers={"Accept-Encoding": accept_encoding(), "User-Agent": USER_AGENT},
            **_through(config),
        )
    # One attempt is one request on the wire. aiohttp would send idempotent
    # requests a second time on a dropped connection, which someone pays for.
    session._retry_connection = False
    return session


def _through(config: AiohttpEngineConfig) -> dict[str, Any]:
    """Return the session's arguments for its proxy."""
    proxy = config.proxy
    if proxy is None:
        return {}
    if proxy.username is None or proxy.password is None:
        return {"proxy": proxy.url}
    login = aiohttp.BasicAuth(proxy.username.get_secret_value(), proxy.password.get_secret_value())
    return {"proxy": proxy.url, "proxy_auth": login}
