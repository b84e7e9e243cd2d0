"""An engine without a network, for tests and dry runs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, Self

from msgspec.structs import replace

from ._base import BaseEngine
from ._deadlines import Attempt, Deadlines, Phase
from ._engine import TransportEngineType
from ._errors import BodyError, Sent, TransportErrorKind, too_large
from ._messages import TransportRequest, TransportResponse
from ._registry import TransportEngineFactory
from .config import MemoryEngineConfig, TransportConfig

Answer = TransportResponse | Awaitable[TransportResponse]
Handler = Callable[[TransportRequest], Answer]


@TransportEngineFactory.register(TransportEngineType.MEMORY)
class MemoryEngine(BaseEngine):
    """
    Answers from a function and remembers what it was asked.

    The function may be plain or async. It need not be entered. What no
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
        super().__init__(config or TransportConfig())
        self._handler = handler
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

    async def send(self, request: TransportRequest) -> TransportResponse:
        """Hand *request* to the function."""
        if self._deadlines is None or self._deadlines.loop is not asyncio.get_running_loop():
            self._deadlines = Deadlines()
        return await super().send(request)

    async def _exchange(self, request: TransportRequest, attempt: Attempt) -> TransportResponse:
        # A copy: steps above may change theirs afterwards, to try again or to take a secret out.
        self.requests.append(replace(request, headers=dict(request.headers)))
        attempt.phase = Phase.WRITING
        answer: Any = self._handler(request)
        response: TransportResponse = await answer if inspect.isawaitable(answer) else answer
        attempt.status = response.status
        if len(response.body) > self._config.max_response_bytes:
            raise too_large(self._config.max_response_bytes)
        return response

    def _failure(self, error: Exception, request: TransportRequest, attempt: Attempt) -> TransportResponse:
        if isinstance(error, BodyError):
            return attempt.failed(error.kind, str(error))
        name = type(error).__name__
        return TransportResponse.failed(TransportErrorKind.ENGINE_ERROR, Sent.MAYBE_SENT, name)


def _imported(path: str) -> Handler:
    module, _, name = path.partition(":")
    handler: Handler = getattr(import_module(module), name)
    return handler
