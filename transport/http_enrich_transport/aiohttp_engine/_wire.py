"""Puts requests on connections of the pool, with aiohttp's own parts."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Mapping
from typing import Any

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.helpers import TimerNoop
from multidict import CIMultiDict
from yarl import URL

from http_enrich_transport._body import accept_encoding
from http_enrich_transport._guard import USER_AGENT
from http_enrich_transport.config import AiohttpEngineConfig

from ._connector import Connector

# Deadlines end an attempt, and they know of all its phases.
_NO_TIMER = TimerNoop()
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)


class Wire:
    """
    What we need of aiohttp's session.

    A session has redirects, cookies, traces, the environment's proxies and a
    second try of its own, which are switched off easily, but still cost a fifth of
    the CPU of a request. Here one attempt is one request on the wire, since there
    is nothing that could repeat it.
    """

    def __init__(self, config: AiohttpEngineConfig, connector: Connector) -> None:
        self.connector = connector
        self._loop = asyncio.get_running_loop()
        self._silence = config.read_timeout
        self._headers = CIMultiDict({"Accept-Encoding": accept_encoding(), "User-Agent": USER_AGENT})
        self._through = _through(config)

    async def ask(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None = None
    ) -> aiohttp.ClientResponse:
        """Send a request and return its answer, whose body is to be read; raises what aiohttp raises."""
        own = self._headers.copy()
        own.update(headers)
        request = self._request(method, url, headers=own, data=body)
        connection = await self.connector.connect(request, [], _NO_TIMEOUT)
        response = None
        try:
            self._expect_answer(connection, request.method)
            response = await request.send(connection)
            await response.start(connection)
        except BaseException:
            if response is not None:
                response.close()
            connection.close()
            raise
        return response

    async def connect(self, url: URL) -> None:
        """Open a connection and leave it in the pool; no request is sent, so nothing is charged."""
        connection = await self.connector.connect(self._request("GET", url), [], _NO_TIMEOUT)
        connection.release()

    async def close(self) -> None:
        """Close the connections."""
        await self.connector.close()

    def _request(self, method: str, url: URL, **options: Any) -> ClientRequest:
        if self._through:
            # The pool tells connections apart by these headers, and aiohttp writes into them.
            options.update(self._through, proxy_headers=self._headers.copy())
        return ClientRequest(method, url, loop=self._loop, timer=_NO_TIMER, **options)

    def _expect_answer(self, connection: Connection, method: str) -> None:
        assert connection.protocol is not None  # noqa: S101 - the pool has just handed it out
        connection.protocol.set_response_params(
            timer=_NO_TIMER,
            skip_payload=method == "HEAD",
            read_until_eof=True,
            # aiohttp hands on a body that was cut short as a success, see decoded().
            auto_decompress=False,
            read_timeout=self._silence,
            timeout_ceil_threshold=float("inf"),
        )


def _through(config: AiohttpEngineConfig) -> dict[str, Any]:
    """Return the arguments of a request for its proxy."""
    proxy = config.proxy
    if proxy is None:
        return {}
    options: dict[str, Any] = {"proxy": URL(proxy.url)}
    if proxy.username is not None and proxy.password is not None:
        login = proxy.username.get_secret_value(), proxy.password.get_secret_value()
        with warnings.catch_warnings():
            # What aiohttp 4 wants instead, aiohttp 3 does not send to a proxy for plain http.
            warnings.simplefilter("ignore", DeprecationWarning)
            options["proxy_auth"] = aiohttp.BasicAuth(*login)
    return options
