"""Rules about answers, and what a row is that ends with one."""

from __future__ import annotations

from typing import Any

from http_enrich_middleware import MiddlewareConfig, RequestExchange, build_chain, parse_middleware
from http_enrich_transport import TransportResponse
from tests.support.chain import answering, row

BAD = b'{"ok":false,"error":{"code":"QUOTA","detail":"canary-7"}}'
GOOD = b'{"ok":true,"data":{"n":1}}'


def rules(*entries: dict[str, Any], **options: Any) -> MiddlewareConfig:
    return parse_middleware({"type": "response_rules", "rules": list(entries), **options})


async def judge(response: TransportResponse, *entries: dict[str, Any], **options: Any) -> RequestExchange:
    """Send a row that is answered with *response*, through the rules *entries*."""
    return await build_chain([rules(*entries, **options)], answering(response))(row())
