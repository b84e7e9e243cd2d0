"""Keeps one token per authorization server for the whole cluster."""

from __future__ import annotations

import math
from collections.abc import Callable
from hashlib import sha256

from http_enrich_middleware import Ask, NoTokenError, Token, TokenKeeper, WorkerRuntime

from ._messages import TokenAnswer


class TokenDesk:
    """
    The tokens of a run, by who wants them: a middleware's type and its place among those that ask.

    Whoever builds a middleware with `register` as its `ask_through` leaves here how a token is asked for.
    """

    def __init__(self, runtime: Callable[[], WorkerRuntime]) -> None:
        self._runtime = runtime
        self._keepers: dict[str, TokenKeeper] = {}

    def register(self, owner: str, ask: Ask) -> Ask:
        """Keep the token of *owner* from now on."""
        owner = owner_name(owner, len(self._keepers) + 1)
        self._keepers[owner] = TokenKeeper(ask, self._runtime(), owner)
        return ask

    async def token(self, owner: str, refused: str | None) -> TokenAnswer:
        """Return the token of *owner*; another one than that which was *refused*, if it still is that one."""
        keeper = self._keepers.get(owner)
        if keeper is None:
            return TokenAnswer(unavailable="the driver knows no such token")
        current = keeper.current()
        if current is not None and refused is not None and digest(current.text) == refused:
            keeper.invalidate(current)
        try:
            return self._answer(keeper.current() or await keeper.get(math.inf))
        except NoTokenError as error:
            failure = error.failure
            if failure.retry:
                return TokenAnswer(unavailable=failure.message)
            return TokenAnswer(refusal=failure.message)

    def _answer(self, token: Token) -> TokenAnswer:
        left = token.expires_at - self._runtime().clock()
        return TokenAnswer(text=token.text, lifetime=None if left == math.inf else max(0.0, left))


def owner_name(type: str, position: int) -> str:
    """Name the middleware of that *type* that is the one at *position* among those that ask for tokens."""
    return f"{type} {position}"


def digest(token: str) -> str:
    """Return what tells a token from another one without being it."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
