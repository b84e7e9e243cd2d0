"""An engine without a network, for tests and dry runs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from importlib import import_module
from types import TracebackType
from typing import Any, Self

from ._deadlines import Attempt, Deadlines, Phase
from ._engine import TransportEngine, TransportEngineType
from ._errors import Sent, TransportErrorKind
from ._guard import refuse
from ._messages import TransportRequest, TransportResponse
from ._registry import TransportEngineFactory
from .config import MemoryEngineConfig, TransportConfig

Answer = TransportResponse | Awaitable[TransportResponse]
Handler = Callable[[TransportRequest], Answer]


@TransportEngineFactory.register(TransportEngineType.MEMORY)
class MemoryEngine(TransportEngine):
    """
    Answers from a function and remembers what it was asked.

    The function may be plain or async. It may not be entered first. What no
    engine sends is refused here too, and an answer has to come in time and fit
    the limit of size. An exception in the function is an `engine_error`, since
    engines do not raise.
    """

    Config = MemoryEngineConfig

    def __init__(
        self,
        handler: Handler | MemoryEngineConfig,
        *,
        config: TransportConfig | None = None,
        base_url: str | None = None,
    ) -> None:
        if isinstance(handler, MemoryEngineConfig):
            config, handler = handler, _imported(handler.handler)
        self._config = config or TransportConfig()
        self._handler = handler
        self._deadlines: Deadlines | None = None
        self.requests: list[TransportRequest] = []

    @classmethod
    def always(cls, status: int, body: bytes = b"") -> Self:
        """Return an engine that answers everything alike."""
        return cls(lambda _: TransportResponse(status=status, body=body))

    @property
    def calls(self) -> int:
        """How many requests were sent."""
        return len(self.requests)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if self._deadlines is not None:
            self._deadlines.close()

    async def send(self, request: TransportRequest) -> TransportResponse:
        """Hand *request* to the function."""
        refusal = refuse(request)
        if refusal is not None:
            return refusal
        self.requests.append(request)
        if self._deadlines is None:
            self._deadlines = Deadlines()
        attempt = self._deadlines.start(request.timeout or self._config.base_timeout)
        try:
            return await self._answer(request, attempt)
        except asyncio.CancelledError:
            if attempt.was_ours():
                return attempt.timeout()
            raise
        except Exception as error:  # noqa: BLE001 - an engine never raises
            name = type(error).__name__
            return TransportResponse.failed(TransportErrorKind.ENGINE_ERROR, Sent.MAYBE_SENT, name)
        finally:
            self._deadlines.finish(attempt)

    async def _answer(self, request: TransportRequest, attempt: Attempt) -> TransportResponse:
        attempt.phase = Phase.WRITING
        answer: Any = self._handler(request)
        response: TransportResponse = await answer if inspect.isawaitable(answer) else answer
        limit = self._config.max_response_bytes
        if len(response.body) > limit:
            kind = TransportErrorKind.BODY_TOO_LARGE
            message = f"the body is larger than {limit} bytes"
            return TransportResponse.failed(kind, Sent.RESPONDED, message, status=response.status)
        return response


def _imported(path: str) -> Handler:
    module, _, name = path.partition(":")
    handler: Handler = getattr(import_module(module), name)
    return handler
