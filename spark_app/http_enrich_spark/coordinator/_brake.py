"""Pauses a worker, and lets the others know."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from http_enrich_middleware import Brake


class SharedBrake(Brake):
    """The brake of one worker; *told* hears of each pause that the API has asked for here, in seconds."""

    def __init__(self, told: Callable[[float], None]) -> None:
        super().__init__(clock=time.monotonic, sleep=asyncio.sleep)
        self._told = told

    def pause(self, seconds: float) -> None:
        """Hand out nothing for so long, here and elsewhere."""
        super().pause(seconds)
        self._told(seconds)

    def heed(self, seconds: float) -> None:
        """Hand out nothing for so long, as another worker was asked to."""
        super().pause(seconds)
