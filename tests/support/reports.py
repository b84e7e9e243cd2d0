"""Reports as runs leave them, and some that no run would."""

from __future__ import annotations

from math import exp
from typing import Any

CANARY = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}}${7*7}</script><b>"

LINK = '<a href="//e.test">x</a>'
"""What Plotly makes a link of, where it is let."""


def good() -> dict[str, Any]:
    """Return the report of a run that went well, in its second try."""
    return {
        "version": 1,
        "at": "2026-11-27T03:12:44+00:00",
        "state": "published",
        "error": None,
        "summary": {
            "pipeline": "airports",
            "run_id": "scheduled__2026-11-26T00:00:00+00:00",
            "folder": "s3a://lake/airports_enriched/_http_enrich/4f2a91",
            "rows_in": 28_298,
            "rows_out": 28_298,
            "ok": 27_650,
            "failed": 648,
            "ignored": 0,
            "calls": 29_941,
            "retries": 1_643,
            "seconds": 96.4,
            "rows_per_second": 238.6,
            "sink": "s3a://lake/airports_enriched/day=2026-11-26",
            "outcomes": {"ok": 27_650, "not_found": 512, "timeout": 91, "server_error": 45},
            "resumed": 5_298,
            "redone": 25,
            "left_out": 3,
            "dead": 0,
            "repeated": False,
            "metrics": None,
        },
        "statuses": {"200": 27_650, "404": 512, "503": 45},
        "latency": {"count": 23_000, "p50_ms": 41.2, "p90_ms": 96.0, "p99_ms": 310.0, "max_ms": 640.5},
        "histogram": [
            [round(1.0202**step, 3), round(600 * exp(-(((step - 186) / 42) ** 2)))]
            for step in range(100, 324)
        ],
        "failures": [
            {"outcome": "not_found", "rows": 512, "kind": "http_status", "error": "HTTP status 404"},
            {"outcome": "timeout", "rows": 91, "kind": "read_timeout", "error": "no answer within 30 s"},
            {"outcome": "server_error", "rows": 45, "kind": "http_status", "error": "HTTP status 503"},
        ],
        "workers": {
            "seconds": {"network": 1510.2, "limiter": 402.5, "backoff": 96.1, "queue": 31.0, "auth": 2.4},
            "counters": {"cache.hits": 1_204, "cache.misses": 21_796},
            "latency": {"p50_ms": 41.2},
        },
        "curve": _curve(),
    }


def _curve() -> list[list[float]]:
    points: list[list[float]] = [[0, 0, 0, 0]]
    for step in range(1, 49):
        slow = 0.25 if 18 <= step <= 24 else 1.0
        rows = round((480 + 60 * (step % 5)) * slow)
        seconds, before, calls, failed = points[-1]
        points.append([seconds + 2.0, before + rows, calls + rows + 20 + step % 7 * 6, failed + step % 4 * 7])
    return points


def failed() -> dict[str, Any]:
    """Return the report of a run that was given up, of which little is known."""
    return {
        "version": 1,
        "at": "2026-11-27T03:12:44+00:00",
        "state": "failed",
        "error": "62.5% of the rows failed, more than execution.max_error_rate = 50.0%",
        "kind": "error_rate",
        "summary": {"pipeline": "airports", "run_id": "scheduled__2026-11-26T00:00:00+00:00"},
        "statuses": {"503": 10},
        "failures": [
            {"outcome": "server_error", "rows": 10, "kind": "http_status", "error": "HTTP status 503"}
        ],
    }


def hostile() -> dict[str, Any]:
    """Return a report that has markup wherever there is a text."""
    report = good()
    texts = ("at", "state", "error", "kind")
    names = ("pipeline", "run_id", "folder", "sink")
    report |= dict.fromkeys(texts, CANARY)
    report["summary"] |= dict.fromkeys(names, CANARY) | {"outcomes": {CANARY: 7, "ok": 5, LINK: 4}}
    report["statuses"] = {CANARY: 3, "200": 4}
    report["failures"] = [{"outcome": CANARY, "rows": 7, "kind": CANARY, "error": CANARY}]
    report["workers"] = {"seconds": {CANARY: 3.5}, "counters": {CANARY: 2}}
    return report


def wrong() -> dict[str, Any]:
    """Return values that are no reports, by a word for each."""
    base = good()
    return {
        "a_list": [1, 2],
        "a_text": "s3://bucket/where/the/xcom/went",
        "a_number": 7,
        "empty": {},
        "newer": base | {"version": 2},
        "text_as_rows": base | {"summary": base["summary"] | {"rows_in": "many"}},
        "negative": base | {"summary": base["summary"] | {"ok": -1}},
        "no_number": base | {"latency": {"p50_ms": float("nan")}},
        "endless": base | {"curve": [[step, step, step, 0] for step in range(5000)]},
        "long_text": base | {"error": "x" * 100_000},
        "nested": base | {"failures": [[[[{"outcome": CANARY}]]]]},
        "short_points": base | {"curve": [[1, 2]]},
        "huge": base | {"statuses": {"200": 10**400}},
    }
