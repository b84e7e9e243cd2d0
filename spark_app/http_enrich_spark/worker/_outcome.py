"""Names what became of a request, in one word that people group by."""

from __future__ import annotations

from http_enrich_middleware import (
    CIRCUIT_OPEN,
    DEADLINE_EXCEEDED,
    RUN_STOPPED,
    RequestExchange,
    Verdict,
)

_BY_STATUS = {401: "auth", 403: "auth", 404: "not_found", 410: "not_found", 429: "rate_limited"}
_BY_CLASS = {3: "redirect", 4: "client_error", 5: "server_error"}
_BY_KIND = {
    "invalid_request": "invalid_request",
    "egress_blocked": "policy",
    "local_resource": "local",
    "dns": "connect",
    "dns_timeout": "connect",
    "connect_refused": "connect",
    "connect_timeout": "connect",
    "connect_error": "connect",
    "disconnected": "connect",
    "reset": "connect",
    "tls_verify": "tls",
    "tls_protocol": "tls",
    "tls_handshake": "tls",
    "tls_client_cert": "tls",
    "read_timeout": "timeout",
    "total_timeout": "timeout",
    DEADLINE_EXCEEDED: "timeout",
    "json_invalid": "parse",
    "json_encoding": "parse",
    "json_number": "parse",
    "json_too_deep": "parse",
    "response_rule": "rule",
    CIRCUIT_OPEN: "circuit",
    RUN_STOPPED: "stopped",
    "rate_limit_exhausted": "rate_limited",
    "redirect_blocked": "redirect",
    "redirect_loop": "redirect",
    "auth_failed": "auth",
    "auth_rejected": "auth",
    "auth_unavailable": "server_error",
    "middleware_error": "internal",
    "engine_error": "internal",
    "not_sent": "internal",
}

FAILURES = tuple(
    sorted({*_BY_STATUS.values(), *_BY_CLASS.values(), *_BY_KIND.values(), "protocol"} - {"stopped"})
)
"""The classes of failures that a published row can end with."""


def outcome(exchange: RequestExchange) -> str:
    """Return `ok`, `ignored`, or the class of failure that *exchange* ended with."""
    kind = exchange.error_kind
    if kind is None:
        return "ignored" if exchange.verdict is Verdict.IGNORE else "ok"
    if kind == "http_status":
        status = exchange.status or 0
        return _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, "protocol")
    return outcome_of(kind)


def outcome_of(kind: str) -> str:
    """Return the class of failures to which those of *kind* belong."""
    return _BY_KIND.get(kind, "protocol")
