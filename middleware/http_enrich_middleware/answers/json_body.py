"""Makes sure that a successful answer is JSON before anyone reads columns from it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from http_enrich_middleware import (
    Failure,
    Middleware,
    MiddlewareConfig,
    Redactor,
    RequestExchange,
    Step,
    Verdict,
    WorkerRuntime,
)
from http_enrich_transport import TransportResponse

from ._json import find_fault

_IGNORE = Verdict.IGNORE
_MAX_TYPES = 100
_MAX_TYPE = 100  # characters; the header is the peer's


class Config(MiddlewareConfig):
    """A success whose body is not strict JSON (RFC 8259) fails its row, and keeps its status."""

    type: Literal["json_body"] = "json_body"
    snippet: int = Field(default=200, ge=0, le=200)
    """Characters of such a body that are shown in `http.error`, without known secrets; 0: none."""


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it remembers the content types that it has found to be JSON."""
    redactor, length = runtime.redactor, config.snippet
    types = _ContentTypes()

    def check(exchange: RequestExchange, _: None) -> None:
        if exchange.error_kind is not None or (response := _to_be_read(exchange)) is None:
            return
        media_type = response.headers.get("Content-Type")
        if media_type not in types.true and (lie := types.find_lie(media_type)) is not None:
            exchange.metadata["json.content_type"] = lie
        fault = find_fault(response.body)
        if fault is not None:
            message = f"the body of {len(response.body)} bytes {fault.reason}"
            if shown := _beginning(response.body, redactor, length):
                message += f"; it begins with: {shown}"
            exchange.failure = Failure(fault.kind, message)

    return Step(after=check)


def _to_be_read(exchange: RequestExchange) -> TransportResponse | None:
    """Return the answer, a success, if somebody is going to read its body."""
    response = exchange.response
    if response is None or exchange.verdict is _IGNORE:
        return None
    # None of these has a body by definition (RFC 9110 §9.3.2, §15.3), which is no fault of theirs.
    if response.status in (204, 205) or exchange.request.method == "HEAD":
        return None
    return response


def _beginning(body: bytes, redactor: Redactor, length: int) -> str:
    """Return the first *length* characters of *body* on one line, control characters escaped."""
    if not length:
        return ""
    # Cut last: half a secret is not found. Without its zero bytes, UTF-16 of ASCII is ASCII.
    text = redactor.text(body.replace(b"\0", b"").decode("utf-8", "replace"))
    shown = [char if char.isprintable() else ascii(char)[1:-1] for char in text[:length]]
    return "".join(shown)[:length]


class _ContentTypes:
    """Knows by its `Content-Type` an answer that does not say that it is JSON."""

    def __init__(self) -> None:
        self.true: set[str | None] = {None}
        """Values that are no lies, none at all among them."""

    def find_lie(self, value: str | None) -> str | None:
        """Return the media type that *value* names, if there is one and it is not JSON."""
        if value is None:
            return None
        media_type = value.partition(";")[0].strip().lower()
        if not media_type.endswith(("/json", "+json")):
            return media_type[:_MAX_TYPE]
        if len(self.true) < _MAX_TYPES:
            self.true.add(value)
        return None
