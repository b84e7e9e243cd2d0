"""The token endpoint of the airport API: OAuth2, client credentials (RFC 6749 §4.4)."""

from __future__ import annotations

import hmac
import secrets
import time
from base64 import b64decode
from collections.abc import Callable
from urllib.parse import unquote_plus

from aiohttp import web

CLIENT_ID = "demo"
LIFETIME = 600
"""Seconds that a token is good for."""


class TokenEndpoint:
    """Issues tokens to whoever knows the secret, and knows them again until they end."""

    def __init__(self, secret: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._secret, self._clock = secret, clock
        self._ends: dict[str, float] = {}

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a token request."""
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        if not self._is_client(request.headers.get("Authorization", "")):
            return web.json_response({"error": "invalid_client"}, status=401)
        token = secrets.token_urlsafe()
        self._ends[token] = self._clock() + LIFETIME
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME})

    def accepts(self, token: str) -> bool:
        """Tell whether the token was issued here and has not ended."""
        return self._ends.get(token, 0.0) > self._clock()

    def _is_client(self, authorization: str) -> bool:
        _, _, encoded = authorization.partition("Basic ")
        try:
            client, _, secret = b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            return False
        pairs = ((client, CLIENT_ID), (secret, self._secret))
        return all(hmac.compare_digest(unquote_plus(text).encode(), known.encode()) for text, known in pairs)
