"""An engine without a network, for tests and dry runs."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from importlib import import_module
from types import TracebackType
from typing import Any, Self

from ._config import MemoryEngineConfig
from ._engine import TransportEngine, TransportEngineType
from ._errors import Sent, TransportErrorKind
from ._factory import TransportEngineFactory
from ._messages import TransportRequest, TransportResponse

Answer = TransportResponse | Awaitable[TransportResponse]
Handler = Callable[[TransportRequest], Answer]


@TransportEngineFactory.register(TransportEngineType.MEMORY)
class MemoryEngine(TransportEngine):
    """
    Answers from a function and remembers what it was asked.

    The function may be plain or async. An exception in it comes back as an
    `engine_error`, since engines do not raise.
    """

    def __init__(self, handler: Handler | MemoryEngineConfig, *, warmup_url: str | None = None) -> None:
        self._handler = _imported(handler.handler) if isinstance(handler, MemoryEngineConfig) else handler
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
        """Nothing to let go of."""

    async def send(self, request: TransportRequest) -> TransportResponse:
        """Hand *request* to the function."""
        self.requests.append(request)
        try:
            answer: Any = self._handler(request)
            response: TransportResponse = await answer if inspect.isawaitable(answer) else answer
        except Exception as error:  # noqa: BLE001 - an engine never raises
            name = type(error).__name__
            return TransportResponse.failed(TransportErrorKind.ENGINE_ERROR, Sent.MAYBE_SENT, name)
        return response


def _imported(path: str) -> Handler:
    module, _, name = path.partition(":")
    handler: Handler = getattr(import_module(module), name)
    return handler
