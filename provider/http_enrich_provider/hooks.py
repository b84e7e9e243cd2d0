"""The connection type 'HTTP Enrich API': where an API is, and how it is told who asks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook
from pydantic import ValidationError

from http_enrich_middleware import (
    MiddlewareConfig,
    RequestExchange,
    WorkerRuntime,
    build_chain,
    parse_middleware,
)
from http_enrich_transport import (
    RESOLVED,
    SecretText,
    TransportConfig,
    TransportRequest,
    TransportRuntimeFactory,
    new_event_loop,
    parse_transport,
    split_http_url,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

TEST_SECONDS = 10
_TEST_BYTES = 1024 * 1024
_TLS = ("ca_bundle", "client_cert", "client_key")


class HttpEnrichHook(BaseHook):
    """
    Reads a connection of the type `http_enrich`, and tests it.

    Pipelines take its fields by `${conn.ID.host}`, `${conn.ID.password}` and the like.
    """

    conn_name_attr = "conn_id"
    default_conn_name = "http_enrich_default"
    conn_type = "http_enrich"
    hook_name = "HTTP Enrich API"

    def __init__(self, conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.conn_id = conn_id

    def get_conn(self) -> Any:
        """Return the connection itself: only the workers of a run talk to the API."""
        return self.get_connection(self.conn_id)

    def test_connection(self) -> tuple[bool, str]:
        """
        Send one GET to the base URL, with the credentials, as a worker would.

        Returns whether the API has answered and not refused them, and what to tell the user. Proves
        nothing about addresses below the base URL, nor about what other machines can reach.
        """
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                return runner.run(_test(self.get_conn()))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            return False, f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        except OSError as error:  # ssl.SSLError is one
            return False, f"a file for TLS cannot be used: {error.filename or ''} {error.strerror}"
        except ValueError as error:
            return False, str(error)


async def _test(connection: Connection) -> tuple[bool, str]:
    base_url = connection.host or ""
    if split_http_url(base_url) is None:
        return False, "the base URL is no http or https address; write it like https://api.example.com"
    runtime = WorkerRuntime(base_url=base_url, base_timeout=TEST_SECONDS)
    async with TransportRuntimeFactory(_transport(connection), base_url=base_url).create() as engine:
        send = build_chain(_credentials(connection), engine, runtime)
        exchange = await send(RequestExchange(TransportRequest("GET", base_url)))
    return _verdict(exchange, runtime)


def _verdict(exchange: RequestExchange, runtime: WorkerRuntime) -> tuple[bool, str]:
    status = exchange.status
    if status is None:
        return False, runtime.redactor.text(f"{exchange.error_kind}: {exchange.error_message}")
    if status in (401, 403, 407):
        return False, f"the API refuses these credentials (HTTP status {status})"
    if status >= 500:
        return False, f"the API is reached, but not well (HTTP status {status})"
    return True, f"the API answers (HTTP status {status})"


def _transport(connection: Connection) -> TransportConfig:
    extra = connection.extra_dejson
    tls = {"verify": extra.get("verify") is not False} | {key: extra[key] for key in _TLS if extra.get(key)}
    limits = {"base_timeout": TEST_SECONDS, "warmup_timeout": 0, "max_response_bytes": _TEST_BYTES}
    return parse_transport({"tls": tls, **limits}, RESOLVED)


def _credentials(connection: Connection) -> list[MiddlewareConfig]:
    """Return the middleware that the field 'Authentication' names; raises `ValueError` if it cannot be."""
    kind = connection.extra_dejson.get("auth") or "none"
    secret = SecretText(connection.password or "")
    options: dict[str, dict[str, Any]] = {
        "none": {},
        "basic": {"username": connection.login, "password": secret},
        "bearer": {"token": secret},
        "api_key": {"key": secret, "header": connection.extra_dejson.get("header") or None},
    }
    if kind not in options:
        raise ValueError(f"there is no authentication {str(kind)[:40]!r}; choose one of {', '.join(options)}")
    if kind != "none" and not connection.password:
        raise ValueError(f"the authentication {kind!r} needs the field 'Password, token or key'")
    return [] if kind == "none" else [parse_middleware({"type": kind, **options[kind]}, RESOLVED)]
