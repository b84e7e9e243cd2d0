"""Tells OpenTelemetry of each attempt, as its semantic conventions for HTTP clients have it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from http_enrich_middleware._runtime import Observer
from http_enrich_transport import TransportRequest, TransportResponse, split_http_url

NAME = "http.client.request.duration"

# https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#metric-httpclientrequestduration
_BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(r"[^:/?#]*://[^/?#]*")


def duration_observer() -> Observer:
    """
    Return an observer that records the seconds of each attempt, with the global meter provider's meter.

    Which provider that is, the worker's environment says. Raises `ImportError`
    where there is no OpenTelemetry; its text names the extra to install.
    """
    try:
        from opentelemetry import metrics
    except ImportError as error:
        msg = (
            "metrics with opentelemetry: true needs opentelemetry-api on the driver and on the executors: "
            "install airflow-provider-http-enrich-spark[opentelemetry]"
        )
        raise ImportError(msg, name=error.name) from error
    duration = metrics.get_meter("http_enrich").create_histogram(
        NAME,
        unit="s",
        description="Duration of HTTP client requests.",
        explicit_bucket_boundaries_advisory=_BOUNDARIES,
    )

    def observe(request: TransportRequest, response: TransportResponse, seconds: float) -> None:
        duration.record(seconds, _attributes(request, response))

    return observe


def _attributes(request: TransportRequest, response: TransportResponse) -> dict[str, Any]:
    # The path would make a series of each row, and so would a method out of a row.
    origin = _ORIGIN.match(request.url)
    found = {
        "http.request.method": request.method if request.method in _METHODS else "_OTHER",
        **(_server(origin[0]) if origin else {}),
    }
    if response.status is not None:
        found["http.response.status_code"] = response.status
    if response.error is not None:
        found["error.type"] = str(response.error.kind)
    elif (response.status or 0) >= 400:
        found["error.type"] = str(response.status)
    return found


@lru_cache(maxsize=100)
def _server(origin: str) -> dict[str, Any]:
    parts = split_http_url(origin)
    if parts is None:
        return {}
    return {"server.address": parts.hostname or "", "server.port": parts.port or _PORTS[parts.scheme]}
