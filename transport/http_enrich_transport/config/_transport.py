"""What every engine's configuration has."""

from __future__ import annotations

from pydantic import ByteSize, Field

from http_enrich_transport._settings import Bytes, Seconds, Settings

DEFAULT_CONCURRENCY = 10
"""Requests in flight where neither the pipeline nor a connection pool says how many: the pool's default."""


class TransportConfig(Settings):
    """
    The options that every engine has; an engine of your own adds its own in a subclass.

    It travels to the workers, so it holds plain values only.
    """

    engine: str = "aiohttp"
    """A shipped engine, an installed one, or `package.module:Class`."""
    base_timeout: Seconds = Field(default=30, gt=0)
    """Seconds for one attempt, from waiting for a connection to the last byte of the body."""
    warmup_timeout: Seconds = 10
    """Seconds that opening connections ahead of the first row may take; 0 turns it off."""
    max_response_bytes: Bytes = ByteSize(10 * 1024 * 1024)
    """The longest body, decoded; one endless answer must not take the worker's memory."""

    @property
    def concurrency(self) -> int:
        """How many requests the engine can have in flight."""
        return DEFAULT_CONCURRENCY
