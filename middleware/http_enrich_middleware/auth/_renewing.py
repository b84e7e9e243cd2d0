"""Sends a bearer token with every request, and gets another one when the API refuses it."""

from __future__ import annotations

from http_enrich_middleware import (
    RUN_STOPPED,
    Ask,
    Failure,
    Handler,
    Middleware,
    NoTokenError,
    RequestExchange,
    Token,
    TokenKeeper,
    TokenSource,
    Verdict,
    WorkerRuntime,
)

from ._credentials import AuthConfig, credentials_for

RENEWALS, RENEWAL_EVERY = 20, 5.0
"""
Refused tokens that are renewed at once, and seconds until there is one more.

An API that refuses tokens at random, or lets only the newest one of several workers
live, would otherwise cost the authorization server one request per row.
"""


def renewing(config: AuthConfig, runtime: WorkerRuntime, ask: Ask) -> Middleware:
    """Return the middleware that sends the tokens it gets by *ask*."""
    covers = credentials_for(config, runtime).covers
    # Two entries of one type must not push each other's tokens out of the redactor.
    ask = runtime.ask_through(config.type, ask)
    source: TokenSource = TokenKeeper(ask, runtime, f"{config.type} {id(config)}")
    desk = _Desk(source, runtime)
    current = source.current

    async def authorize(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        if not covers(exchange.request.url):
            return await call_next(exchange)
        token = current() or await desk.wait(exchange)
        if token is None:
            return exchange
        exchange.request.headers["Authorization"] = f"Bearer {token.text}"
        attempts = exchange.attempts
        exchange = await call_next(exchange)
        if _is_refused(exchange, attempts):
            return await desk.replay(exchange, call_next, token)
        return exchange

    return authorize


def _is_refused(exchange: RequestExchange, attempts: int) -> bool:
    """Say whether the API wants another token; *attempts* is how many there were before it was asked."""
    if exchange.verdict is not None:
        return exchange.verdict is Verdict.REFRESH_AUTH
    # A step below that sends nothing leaves the answer of an earlier attempt standing, with a failure.
    return exchange.status == 401 and (exchange.failure is None or exchange.attempts > attempts)


class _Desk:
    """What rows do that have no token, or one that was refused."""

    def __init__(self, source: TokenSource, runtime: WorkerRuntime) -> None:
        self._source, self._clock, self._run = source, runtime.clock, runtime.run
        self._renewals, self._counted_at = float(RENEWALS), runtime.clock()

    async def wait(self, exchange: RequestExchange) -> Token | None:
        """Wait for a token; without one, *exchange* is left with the reason."""
        asked = self._clock()
        try:
            async with self._run.until_stopped():
                return await self._source.get(exchange.until)
            failure = Failure(RUN_STOPPED, self._run.stopped or "")
        except NoTokenError as error:
            failure = error.failure
        finally:
            exchange.spend("auth", self._clock() - asked)
        exchange.failure, exchange.verdict = failure, None
        return None

    async def replay(self, exchange: RequestExchange, call_next: Handler, refused: Token) -> RequestExchange:
        """
        Send *exchange* once more with another token than the one that was *refused*.

        That is safe for any method, since a refused request had no effect.
        """
        if self._source.current() is refused and self._may_renew():
            self._source.invalidate(refused)
        token = self._source.current() or await self.wait(exchange)
        if token is None or token is refused:
            return exchange
        exchange.failure = exchange.verdict = None
        exchange.request.headers["Authorization"] = f"Bearer {token.text}"
        attempts = exchange.attempts
        exchange = await call_next(exchange)
        if _is_refused(exchange, attempts):
            # It is not the token then: the API refuses all of them, or this row whatever its token.
            self._renewals = 0.0
        return exchange

    def _may_renew(self) -> bool:
        now = self._clock()
        self._renewals = min(RENEWALS, self._renewals + (now - self._counted_at) / RENEWAL_EVERY)
        self._counted_at = now
        if self._renewals < 1:
            return False
        self._renewals -= 1
        return True
