"""Which process sent a row's request."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta

from http_enrich_middleware import build_chain
from http_enrich_middleware.observe.worker_identity import Config
from tests.support.chain import answer, answering, failure, row, send_over_http
from tests.support.peer import closed_port

KEYS = {"worker.host", "worker.pid", "worker.started_at"}


async def test_names_this_host_and_this_process() -> None:
    exchange = await build_chain([Config()], answering(answer(200)))(row())

    assert exchange.metadata.keys() == KEYS
    assert exchange.metadata["worker.host"] == socket.gethostname()
    assert exchange.metadata["worker.pid"] == str(os.getpid())


async def test_says_when_the_worker_started_with_its_time_zone() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)  # the stamp is cut to milliseconds
    chain = build_chain([Config()], answering(answer(200)))
    after = datetime.now(UTC)

    exchange = await chain(row())

    assert before <= datetime.fromisoformat(exchange.metadata["worker.started_at"]) <= after


async def test_all_rows_of_a_worker_agree() -> None:
    chain = build_chain([Config()], answering(answer(200)))

    first, second = await chain(row()), await chain(row())

    assert first.metadata == second.metadata
    assert first.metadata is not second.metadata


async def test_failed_rows_are_traceable_too() -> None:
    in_memory = await build_chain([Config()], answering(failure("dns")))(row())
    on_the_wire = await send_over_http([Config()], row(url=f"http://127.0.0.1:{closed_port()}/"))

    assert in_memory.metadata.keys() == on_the_wire.metadata.keys() == KEYS
