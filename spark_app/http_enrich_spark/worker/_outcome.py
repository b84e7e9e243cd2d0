"""Names what became of a request, in one word that people group by."""

from __future__ import annotations

from http_enrich_middleware import RequestExchange

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
    "json_invalid": "parse",
    "deadline_exceeded": "timeout",
    "rate_limit_exhausted": "rate_limited",
    "circuit_open": "circuit",
    "redirect_blocked": "redirect",
    "redirect_loop": "redirect",
    "run_stopped": "stopped",
}


def outcome(exchange: RequestExchange) -> str:
    """Return `ok`, or the class of failure that *exchange* ended with."""
    kind = exchange.error_kind
    if kind is None:
        return "ok"
    if kind == "http_status":
        status = exchange.status or 0
        return _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, "protocol")
    if kind in ("middleware_error", "engine_error", "not_sent"):
        return "internal"
    return _BY_KIND.get(kind, "protocol")
