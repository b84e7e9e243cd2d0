"""An authorization server and an API without a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from http_enrich_transport import MemoryEngine, TransportRequest, TransportResponse
from tests.support.chain import answer

TOKEN_URL = "https://login.test/token"


def granting(text: str, **members: Any) -> TransportResponse:
    """Return the answer that grants *text*."""
    return answer(200, json.dumps({"access_token": text, "token_type": "Bearer", **members}).encode())


def refusing(error: Any, status: int = 400) -> TransportResponse:
    """Return the answer that refuses a token for *error*."""
    return answer(status, json.dumps({"error": error}).encode())


@dataclass
class Api:
    """Grants `token-1`, `token-2` … unless *tokens* says otherwise; takes what *takes* says yes to."""

    tokens: list[TransportResponse] = field(default_factory=list)
    takes: Callable[[str], bool] = lambda token: True
    body: Callable[[str], bytes] = lambda token: b""
    members: dict[str, Any] = field(default_factory=dict)
    asked: list[TransportRequest] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = MemoryEngine(self._answer)

    @property
    def forms(self) -> list[dict[str, str]]:
        return [dict(parse_qsl((each.body or b"").decode(), strict_parsing=True)) for each in self.asked]

    def _answer(self, request: TransportRequest) -> TransportResponse:
        if request.url == TOKEN_URL:
            self.asked.append(request)
            scripted = len(self.asked) <= len(self.tokens)
            return self.tokens[len(self.asked) - 1] if scripted else self._grant()
        self.seen.append(request.headers.get("Authorization", "").removeprefix("Bearer "))
        return answer(200 if self.takes(self.seen[-1]) else 401, self.body(self.seen[-1]))

    def _grant(self) -> TransportResponse:
        return granting(f"token-{len(self.asked)}", **self.members)
