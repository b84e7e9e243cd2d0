"""The interface of an engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from enum import StrEnum
from types import TracebackType
from typing import ClassVar, Self

import msgspec

from ._messages import TransportRequest, TransportResponse
from .config import TransportConfig


class TransportEngineType(StrEnum):
    """The engines that ship."""

    AIOHTTP = "aiohttp"
    MEMORY = "memory"
    PYREQWEST = "pyreqwest"


class UnknownEngineError(ValueError):
    """There is no such engine; the text says which there are, or why this one cannot be had."""

    def __init__(self, name: object, known: Iterable[str] = (), *, reason: str = "") -> None:
        listed = f"there are: {', '.join(sorted(known))}, and package.module:Class for one of your own"
        super().__init__(
            f"no transport engine {name!r}: {reason}" if reason else f"no transport engine {name!r}; {listed}"
        )


class WarmupReport(msgspec.Struct, frozen=True):
    """What the warm-up has done so far: connections opened, milliseconds taken, why it failed."""

    warmed_up: bool = False
    connections: int = 0
    elapsed_ms: float = 0.0
    error: str | None = None


class TransportEngine(ABC):
    """
    Sends one request and hands back the answer.

    An engine owns its connections from `__aenter__` to `__aexit__`. It lives on
    one event loop, is entered once per worker process, and serves many requests
    at a time. It is built as `Engine(config, base_url=…)`, with its own `Config`
    and the address, if known, that most requests will go to.
    """

    Config: ClassVar[type[TransportConfig]] = TransportConfig
    """The model of this engine's part of a pipeline."""

    warmup: WarmupReport = WarmupReport()

    async def warmed_up(self) -> WarmupReport:
        """Wait until the warm-up is over; rows need not wait for it."""
        return self.warmup

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
