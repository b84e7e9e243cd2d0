"""What the engines that ship have in common."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from types import TracebackType

from ._deadlines import Attempt, Deadlines
from ._engine import TransportEngine
from ._errors import Sent, TransportErrorKind
from ._guard import refuse
from ._messages import TransportRequest, TransportResponse
from .config import TransportConfig


class BaseEngine(TransportEngine):
    """
    An engine that refuses what none may send, ends in time, and never raises.

    A subclass enters it by setting `_deadlines`, and does the rest in
    `_exchange`, where it may raise what it likes, and `_failure`.
    """

    _deadlines: Deadlines | None = None

    def __init__(self, config: TransportConfig) -> None:
        self._config = config

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if self._deadlines is not None:
            self._deadlines.close()
            self._deadlines = None

    async def send(self, request: TransportRequest) -> TransportResponse:
        """Put *request* on the wire once."""
        refusal = refuse(request)
        if refusal is not None:
            return refusal
        deadlines = self._deadlines
        if deadlines is None:
            message = "the engine was not entered, or is closed"
            return TransportResponse.failed(TransportErrorKind.ENGINE_ERROR, Sent.NOT_SENT, message)
        attempt = deadlines.start(request.timeout or self._config.base_timeout)
        try:
            return await self._exchange(request, attempt)
        except asyncio.CancelledError:
            if attempt.take_back():
                return attempt.interrupted()
            if attempt.cancelled:
                raise
            # Something that the library waited for was cancelled, but nobody cancels us.
            return attempt.failed(TransportErrorKind.ENGINE_ERROR, "the request was given up")
        except Exception as error:  # noqa: BLE001 - engines never raise
            return attempt.interrupted() if attempt.take_back() else self._failure(error, request, attempt)
        finally:
            deadlines.finish(attempt)

    @abstractmethod
    async def _exchange(self, request: TransportRequest, attempt: Attempt) -> TransportResponse:
        """Send *request* and take in its answer; note in *attempt* how far it has got."""

    @abstractmethod
    def _failure(self, error: Exception, request: TransportRequest, attempt: Attempt) -> TransportResponse:
        """Return what *error* of `_exchange` means."""
