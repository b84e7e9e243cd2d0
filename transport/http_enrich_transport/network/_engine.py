"""What the engines that open connections have in common."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from types import TracebackType
from typing import Self

from http_enrich_transport._base import BaseEngine
from http_enrich_transport._deadlines import Deadlines
from http_enrich_transport._engine import WarmupReport
from http_enrich_transport.config import NetworkEngineConfig


class NetworkEngine(BaseEngine):
    """
    An engine that warms up beside the rows, not before them.

    A row that comes early takes a connection that is up by then.
    """

    _config: NetworkEngineConfig
    _warming: asyncio.Task[None] | None = None

    def __init__(self, config: NetworkEngineConfig, *, base_url: str | None = None) -> None:
        super().__init__(config)
        self._base_url = base_url

    async def __aenter__(self) -> Self:
        self._open()
        self._deadlines = Deadlines()
        if self._base_url and self._config.warmup_timeout:
            self._warming = asyncio.create_task(self._warm_up(self._base_url))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait({self._warming})
        opened = self._deadlines is not None
        await super().__aexit__(exc_type, exc_val, exc_tb)
        if opened:
            await self._close()

    async def warmed_up(self) -> WarmupReport:
        """Wait until the warm-up is over; rows need not wait for it."""
        if self._warming is not None:
            await asyncio.wait({self._warming})
        return self.warmup

    @abstractmethod
    def _open(self) -> None:
        """Build the client."""

    @abstractmethod
    async def _close(self) -> None:
        """Close the client and its connections."""

    @abstractmethod
    async def _warm_up(self, base_url: str) -> None:
        """Open the connections to *base_url*."""

    def _note(self, report: WarmupReport) -> None:
        self.warmup = report
