"""APIs in memory, for `transport: {engine: memory, handler: tests.support.api:NAME}`."""

from __future__ import annotations

import asyncio
import random

from http_enrich_transport import (
    Sent,
    TransportErrorKind,
    TransportRequest,
    TransportResponse,
)
from tests.support.chain import answer, failure


async def unordered(request: TransportRequest) -> TransportResponse:
    """Answer with the address, after a number of turns that depends on it alone."""
    for _ in range(random.Random(request.url).randrange(40)):
        await asyncio.sleep(0)
    return answer(200, request.url.encode())


def statuses(request: TransportRequest) -> TransportResponse:
    """Answer with the status that the address ends with; `0` gets no answer at all."""
    status = int(request.url.rpartition("/")[2])
    return answer(status) if status else failure("connect_refused")


def hostile(request: TransportRequest) -> TransportResponse:
    """Answer with bytes that are no text in any encoding, in all places that can hold them."""
    return answer(200, b"ok \xff\xfe \xed\xa0\x80", X_Name="caf\udce9 \ud800", X_Other="fine")


def hostile_error(request: TransportRequest) -> TransportResponse:
    """Fail with a message that UTF-8 cannot carry."""
    return TransportResponse.failed(TransportErrorKind.RESET, Sent.MAYBE_SENT, "peer said \udce9")


def broken(request: TransportRequest) -> TransportResponse:
    """Raise what engines must not raise."""
    raise LookupError("no such luck")


def not_an_answer(request: TransportRequest) -> None:
    """Forget to answer."""
