"""What a worker process lends to its middleware."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from http_enrich_transport import TransportRequest, TransportResponse, WarmupReport

from ._metrics import Metrics
from ._permits import Brake, PermitSource, Rate
from ._redact import Redactor
from ._run_state import RunState
from ._token import Ask

Send = Callable[[TransportRequest], Awaitable[TransportResponse]]

Observer = Callable[[TransportRequest, TransportResponse, float], None]
"""Told of each attempt and the seconds it took; must not raise."""


async def _nowhere(request: TransportRequest) -> TransportResponse:
    msg = "no engine is at hand before the chain is built"
    raise RuntimeError(msg)


def _token() -> str:
    return secrets.token_hex(16)


@dataclass(frozen=True)
class WorkerRuntime:
    """
    Time, chance, facts and a few shared things, handed in so that tests can hand in their own.

    `sleep` takes seconds, `clock` returns monotonic seconds, `now` seconds since
    1970, `uniform(a, b)` a random number between its arguments, and `token` 32
    hexadecimal digits that nobody can guess.
    """

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    uniform: Callable[[float, float], float] = random.uniform
    token: Callable[[], str] = _token
    warmup: Callable[[], WarmupReport] = field(default=WarmupReport)
    send: Send = _nowhere
    """Puts a middleware's own request, such as one for a token, on the wire; past the chain."""
    base_url: str = ""
    """Where the rows' requests go; its origin is what credentials are for."""
    base_timeout: float = float("inf")
    """Seconds that the engine gives an attempt by itself."""
    concurrency: int = 1
    """Rows that are in flight in this worker at most."""
    slots: int = 1
    """Workers that may be at work in the whole cluster, this one included."""
    pipeline: str = ""
    window: str = ""
    """The run's data window, as a text that is the same whenever that window is run again."""
    cluster_permits: Callable[[Sequence[Rate]], PermitSource] | None = None
    """Keeps rates for the whole cluster; without it each worker keeps to its share of them."""
    ask_through: Callable[[str, Ask], Ask] = lambda _, ask: ask
    """Takes a middleware's type and its way to ask for a token; returns the way that it is to go instead."""
    redactor: Redactor = field(default_factory=Redactor)
    counters: Counter[str] = field(default_factory=Counter)
    """What steps count for the report, such as `cache.hits`."""
    run: RunState = field(default_factory=RunState)
    metrics: Metrics = field(default_factory=Metrics)
    observers: list[Observer] = field(default_factory=list)
    """Middleware that want to see each attempt, wherever they stand in the list, add to it when built."""
    brake: Brake = field(default=None)  # type: ignore[assignment]
    """
    Handed out without limit but for pauses that the API asks for; by itself it
    pauses this worker. It is made with the first `clock` and `sleep`, and kept by `replace`.
    """

    def __post_init__(self) -> None:
        if self.brake is None:
            object.__setattr__(self, "brake", Brake(clock=self.clock, sleep=self.sleep))
