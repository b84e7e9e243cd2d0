"""Keeps one token: renewed ahead of its end, asked for once however many rows want it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from ._exchange import DEADLINE_EXCEEDED, RUN_STOPPED, Failure

if TYPE_CHECKING:
    from ._runtime import WorkerRuntime

ATTEMPTS = 3
"""Requests for a token before the rows that wait for it are told that there is none."""

BACKOFF = 0.5
"""Seconds before the second request at most, doubled for each further one in a row."""

LONGEST_BACKOFF = 20.0
"""Seconds, as the AWS SDKs have it; a server that asks for more with `Retry-After` gets it."""

REFUSAL_KEPT = 30.0
"""Seconds for which a refusal is not asked for again: a wrong secret does not get right by itself."""

AHEAD, AHEAD_SHARE, LONGEST_AHEAD = 10.0, 0.1, 60.0
"""A token is renewed when less than ten seconds, or a tenth of its life, are left; never a minute ahead."""

PATIENCE = 5.0
"""Seconds for which a row waits for a renewal although the token is still good."""

_JITTER = 0.25
"""Share of that time by which renewals of several workers are spread."""

LONGEST_LIFE = 365 * 86400.0
"""Seconds; what a server says beyond that is taken for a year."""


class Token(msgspec.Struct, frozen=True):
    """An access token; `expires_at`, in seconds of the worker's clock, is infinite if nobody knows."""

    text: str
    expires_at: float = math.inf

    def __repr__(self) -> str:
        return "Token(***)"


class Grant(msgspec.Struct, frozen=True):
    """What an authorization server answers: a token, and its life in seconds from the request on."""

    text: str
    lifetime: float | None = None

    def __repr__(self) -> str:
        return "Grant(***)"


class NoTokenError(Exception):
    """There is no token; *failure* is what the row ends with."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class RefusedError(Exception):
    """The authorization server wants something else than it was given; asking again will not help."""


class UnavailableError(Exception):
    """The authorization server gave no answer this time; it wants to be left alone for *wait* seconds."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class TokenSource(Protocol):
    """
    Where rows get their token from.

    A worker has a `TokenKeeper`. A source that hands out one token to the whole
    cluster takes its place by these three; all of them are called on the worker's
    event loop, and a token is told from another one by its identity.
    """

    def current(self) -> Token | None:
        """Return the token at hand, at once; None sends the row to `get`."""

    async def get(self, until: float) -> Token:
        """Wait for a good token; raises `NoTokenError`, at the time *until* of the worker's clock at last."""

    def invalidate(self, token: Token) -> None:
        """Never hand out *token* again: the API refuses it. An older one is gone already."""


Ask = Callable[[], Awaitable[Grant]]
"""Asks once; raises `RefusedError` or `UnavailableError`."""


class TokenKeeper:
    """
    The token of one worker, by *ask*; *owner* names it to the redactor.

    Asking is a task of its own. Rows only wait for it, so that one that is
    cancelled takes nothing from the others.
    """

    def __init__(self, ask: Ask, runtime: WorkerRuntime, owner: str) -> None:
        self._ask, self._owner, self._runtime = ask, owner, runtime
        self._clock = runtime.clock
        self._token: Token | None = None
        self._renew_at = math.inf
        self._refusal: Failure | None = None
        self._refused_until = -math.inf
        self._failures = 0  # in a row
        self._not_before = -math.inf
        # The event loop itself forgets tasks that nobody holds.
        self._task: asyncio.Task[Token | Failure] | None = None

    def current(self) -> Token | None:
        """Return the token; None if it has expired, and to the one row that is to see to its renewal."""
        token = self._token
        if token is None:
            return None
        now = self._clock()
        if now >= self._renew_at and (now >= token.expires_at or self._task is None or self._task.done()):
            return None
        return token

    async def get(self, until: float) -> Token:
        """Wait for a token; raises `NoTokenError` if there is none, or none before *until*."""
        now, token = self._clock(), self._token
        if token is not None and now < token.expires_at:
            return await self._renewed(token, now, until)
        if self._refusal is not None and now < self._refused_until:
            raise NoTokenError(self._refusal)
        if now >= until:
            raise NoTokenError(_LATE)
        outcome = await self._outcome(until - now)
        if isinstance(outcome, Failure):
            raise NoTokenError(outcome)
        return outcome

    async def _renewed(self, token: Token, now: float, until: float) -> Token:
        """
        Return what comes after *token*, or itself if that takes its time or fails.

        One row waits here while the others go on: it leaves them its connection,
        without which the request for a token might get none until they all wait.
        """
        if now < self._renew_at:
            return token
        outcome = await self._outcome(min(PATIENCE, (until - now) / 2))
        return token if isinstance(outcome, Failure) else outcome

    async def _outcome(self, seconds: float) -> Token | Failure:
        task = self._renewal()
        # Unlike `wait_for`, this leaves the task alone when the row's time is over or the row is cancelled.
        await asyncio.wait([task], timeout=None if seconds == math.inf else seconds)
        return task.result() if task.done() else _LATE

    def invalidate(self, token: Token) -> None:
        """Forget *token*, unless another row has seen to that already."""
        if token is self._token:
            self._token = None

    def _renewal(self) -> asyncio.Task[Token | Failure]:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._renew())
        return self._task

    async def _renew(self) -> Token | Failure:
        """Ask until there is a token or a reason for none; raises nothing, as nobody may be listening."""
        try:
            for _ in range(ATTEMPTS):
                outcome = await self._attempt()
                if not (isinstance(outcome, Failure) and outcome.retry):
                    break
            return outcome
        except Exception as error:  # noqa: BLE001 - its text may quote secrets, its type does not
            return self._refused(f"asking for a token raised {type(error).__name__}")

    async def _attempt(self) -> Token | Failure:
        left = self._not_before - self._clock()
        if left > 0:
            async with self._runtime.run.until_stopped():
                await self._runtime.sleep(left)
        stopped = self._runtime.run.stopped
        if stopped is not None:
            return Failure(RUN_STOPPED, stopped)
        asked = self._clock()
        try:
            return self._kept(await self._ask(), asked)
        except RefusedError as error:
            return self._refused(str(error))
        except UnavailableError as error:
            return self._unavailable(error)

    def _kept(self, grant: Grant, asked: float) -> Token:
        """Make *grant* the token; its life began when it was *asked* for, at the latest."""
        self._runtime.redactor.renew(self._owner, grant.text)
        self._refusal, self._failures, self._not_before = None, 0, -math.inf
        self._renew_at = expires_at = math.inf
        if grant.lifetime is not None:
            life = min(grant.lifetime, LONGEST_LIFE)
            expires_at = asked + life
            # A token that lives for seconds would otherwise be renewed as soon as it is there.
            ahead = min(LONGEST_AHEAD, max(AHEAD, AHEAD_SHARE * life), life / 2)
            self._renew_at = expires_at - ahead - self._runtime.uniform(0.0, _JITTER * ahead)
        self._token = Token(grant.text, expires_at)
        return self._token

    def _refused(self, message: str) -> Failure:
        self._refusal = Failure("auth_failed", message)
        self._failures, self._not_before = 0, -math.inf
        # The token that is still good is not to be renewed sooner either.
        self._refused_until = self._renew_at = self._clock() + REFUSAL_KEPT
        return self._refusal

    def _unavailable(self, error: UnavailableError) -> Failure:
        cap = min(LONGEST_BACKOFF, BACKOFF * 2.0 ** min(self._failures, 60))
        self._failures += 1
        self._not_before = self._clock() + (error.wait or 0.0) + self._runtime.uniform(0.0, cap)
        return Failure("auth_unavailable", str(error), retry=True)


_LATE = Failure(DEADLINE_EXCEEDED, "there was no token before the row's deadline")
