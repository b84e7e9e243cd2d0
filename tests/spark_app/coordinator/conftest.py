"""A worker here waits for its driver as long as the machine may stall, so that the two lose nothing."""

from __future__ import annotations

from typing import Any

import pytest

from http_enrich_spark.coordinator import _client

PATIENCE = 60.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up neither a connection nor an answer that is only late."""
    real = _client.call

    async def call(session: Any, url: str, message: Any, answer: Any, _: float) -> Any:
        return await real(session, url, message, answer, PATIENCE)

    monkeypatch.setattr(_client, "_CONNECT", PATIENCE)
    monkeypatch.setattr(_client, "call", call)
