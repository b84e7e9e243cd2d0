"""What a worker process lends to its middleware."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from http_enrich_transport import WarmupReport


@dataclass(frozen=True)
class WorkerRuntime:
    """
    Time, chance and facts, handed in so that tests can hand in their own.

    `sleep` takes seconds, `clock` returns monotonic seconds, `uniform(a, b)`
    returns a random number between its arguments.
    """

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    uniform: Callable[[float, float], float] = random.uniform
    warmup: Callable[[], WarmupReport] = field(default=WarmupReport)
