"""A real authorization server on loopback, with the API that takes its tokens."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from aiohttp import web

CLIENT = ("the client", "canary-7:+/ é%")
"""Id and secret, with all that an encoding may get wrong."""


@dataclass
class Issued:
    """A token: how many requests the API had served when it came, and how it ended."""

    text: str
    at: int
    served: int = 0
    revoked: bool = False


@dataclass
class AuthorizationServer:
    """
    Issues tokens one after the other; the API takes the last one only, and none that has ended.

    A token ends when it is revoked, and when it has served *quota* requests, or *lifetime* requests of
    the API after it was issued: requests are the clock of this server, so that nothing is luck.
    """

    quota: int | None = None
    lifetime: int | None = None
    told: float | None = None
    """What clients are told of the lifetime, in seconds of their clock."""
    revoke_at: set[int] = field(default_factory=set)
    """Counts of served requests after which the token is revoked."""
    failures: list[web.Response] = field(default_factory=list)
    """What the next token requests are answered with."""
    members: dict[str, Any] = field(default_factory=dict)
    """What else the answer to a token request says."""
    url: str = ""
    issued: list[Issued] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    served: int = 0
    refused: int = 0

    @property
    def token_url(self) -> str:
        return f"{self.url}/token"

    async def token(self, request: web.Request) -> web.Response:
        form = dict(parse_qsl(await request.text(), keep_blank_values=True, strict_parsing=True))
        self.forms.append(form)
        if self.failures:
            return self.failures.pop(0)
        if _client(request, form) != CLIENT:
            return web.json_response({"error": "invalid_client"}, status=401)
        self.issued.append(Issued(f"token-{len(self.issued) + 1}", self.served))
        told = {} if self.told is None else {"expires_in": self.told}
        answer = {"access_token": self.issued[-1].text, "token_type": "Bearer", **told, **self.members}
        return web.json_response(answer)

    async def api(self, request: web.Request) -> web.Response:
        if not self.issued or not self._is_good(request.headers.get("Authorization", "")):
            self.refused += 1
            return web.Response(status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
        self.served += 1
        self.issued[-1].served += 1
        self.issued[-1].revoked |= self.served in self.revoke_at
        return web.json_response({})

    def revoke(self) -> None:
        self.issued[-1].revoked = True

    def _is_good(self, authorization: str) -> bool:
        # Tokens overlap where they have a lifetime: a new one does not end the one before.
        return any(
            authorization == f"Bearer {each.text}"
            and not each.revoked
            and (self.quota is None or each.served < self.quota)
            and (self.lifetime is None or self.served < each.at + self.lifetime)
            for each in (self.issued[-1:] if self.lifetime is None else self.issued[-2:])
        )


def _client(request: web.Request, form: dict[str, str]) -> tuple[str, str]:
    """Return who asks, as RFC 6749 §2.3.1 has it."""
    scheme, _, pair = request.headers.get("Authorization", "").partition(" ")
    if scheme == "Basic":
        client_id, _, secret = b64decode(pair).decode().partition(":")
        return unquote_plus(client_id), unquote_plus(secret)
    return form.get("client_id", ""), form.get("client_secret", "")


@asynccontextmanager
async def authorizing(server: AuthorizationServer | None = None) -> AsyncIterator[AuthorizationServer]:
    """Serve `/token`, and `/api` for the holders of tokens, on a free loopback port."""
    server = server or AuthorizationServer()
    app = web.Application()
    app.router.add_post("/token", server.token)
    app.router.add_route("*", "/api", server.api)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
