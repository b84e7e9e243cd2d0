"""The interface of an engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from enum import StrEnum
from types import TracebackType
from typing import Self

import msgspec

from ._messages import TransportRequest, TransportResponse


class TransportEngineType(StrEnum):
    """The engines that ship."""

    AIOHTTP = "aiohttp"
    MEMORY = "memory"


class UnknownEngineError(ValueError):
    """No engine has that name; the text lists those there are."""

    def __init__(self, name: object, known: Iterable[str]) -> None:
        super().__init__(f"no transport engine {name!r}; there are: {', '.join(sorted(known))}")


class WarmupReport(msgspec.Struct, frozen=True):
    """What the warm-up did: connections opened, milliseconds taken, why it failed."""

    warmed_up: bool = False
    connections: int = 0
    elapsed_ms: float = 0.0
    error: str | None = None


class TransportEngine(ABC):
    """
    Sends one request and hands back the answer.

    An engine owns its connections from `__aenter__` to `__aexit__`. It lives on
    one event loop, is entered once per worker process, and serves many requests
    at a time.
    """

    warmup: WarmupReport = WarmupReport()

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None: ...

    @abstractmethod
    async def send(self, request: TransportRequest) -> TransportResponse:
        """
        Put *request* on the wire once.

        Raises nothing but cancellation: every failure comes back as
        `TransportResponse.error`.
        """
