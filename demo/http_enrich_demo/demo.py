"""The `demo` command: one day of the example DAG with real Airflow and Spark, and a check of every row."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from http_enrich_demo.airflow_env import BUILD, DAGS, DATA, environment
from http_enrich_demo.airports import ensure_source
from http_enrich_demo.run_dag import DagResult, run_dag
from http_enrich_demo.services import get_json, running_api
from http_enrich_demo.verify import Report, check_table, read_rows

SOURCE, TABLE, LOG = DATA / "source", DATA / "airports", DATA / "airflow.log"
SHOWN_AIRPORTS = ("KJFK", "EGLL", "LFPG", "RJTT", "YSSY")
SHOWN_COLUMNS = ("icao", "name", "city", "elevation_ft", "lat", "lon", "tz", "http.status", "http.attempts")
_PROGRESS_SECONDS = 5.0
_CELL_WIDTH = 24


class DemoError(Exception):
    """The run succeeded, yet its numbers contradict each other."""


def run() -> None:
    """Run the demo from its source table to the printed result."""
    rows = ensure_source(SOURCE)
    token = secrets.token_urlsafe()
    print(f"Airports: {rows:,}, from {_relative(SOURCE)}")
    with running_api(token, DATA) as url:
        print(f"API:      {url}, answering in 5 to 50 ms, refusing about 1 % at first")
        print(f"Airflow:  starting, log in {_relative(LOG)}", flush=True)
        env = environment(BUILD / "airflow" / "demo", DAGS, data=DATA, api_url=url, token=token)
        result = run_dag(env, LOG, tick=progress(url, rows))
        stats = get_json(f"{url}/stats")
    day = {"day": result.day.isoformat()}
    report = check_table(TABLE, partition=day)
    check_counters(result.summary, stats, report, rows)
    print_result(result, stats)
    print_rows(read_rows(TABLE, SHOWN_COLUMNS, day))


def progress(url: str, rows: int) -> Callable[[], None]:
    """Return a function that prints how far the run is, though not more often than every few seconds."""
    started = last = time.monotonic()

    def tick() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _PROGRESS_SECONDS:
            return
        last = now
        with suppress(OSError):
            stats = get_json(f"{url}/stats")
            answered = stats["by_status"].get("200", 0)
            in_flight = f"{stats['in_flight']} requests in flight"
            done = f"{answered:,} of {rows:,} answered, {in_flight}"
            shown = done if stats["requests"] else "Airflow and Spark are starting"
            print(f"  {now - started:4.0f} s  {shown}", flush=True)

    return tick


def check_counters(summary: dict[str, Any], stats: dict[str, Any], report: Report, rows: int) -> None:
    """Compare what the operator reported with what the API and the table say."""
    pairs = [
        ("rows_in", summary["rows_in"], "rows of the source", rows),
        ("rows_out", summary["rows_out"], "rows of the table", report.rows),
        ("ok", summary["ok"], "rows of the table with http.outcome = 'ok'", report.ok),
        ("failed", summary["failed"], "other rows of the table", report.rows - report.ok),
        ("calls", summary["calls"], "requests counted by the API", stats["requests"]),
    ]
    wrong = [f"\n  {name}: {said}, but {other}: {seen}" for name, said, other, seen in pairs if said != seen]
    if wrong:
        raise DemoError(f"The summary of the DAG run is wrong:{''.join(wrong)}\nThe log is {LOG}")


def print_result(result: DagResult, stats: dict[str, Any]) -> None:
    """Print the numbers of the run."""
    summary = result.summary
    lines = {
        "DAG run": f"{result.run_id}, data interval {result.day}",
        "rows in": f"{summary['rows_in']:,}",
        "rows out": f"{summary['rows_out']:,}, each compared with the facts and equal",
        "ok / failed": f"{summary['ok']:,} / {summary['failed']:,}",
        "calls": f"{summary['calls']:,}, as the API counted; {summary['retries']:,} of them retries",
        "connections": f"{stats['connections_used']:,}, for {stats['max_in_flight']:,} requests at a time",
        "speed": f"{summary['rows_per_second']:,.0f} rows/s over {summary['seconds']:,.1f} s",
        "table": f"{_relative(TABLE)}/day={result.day}",
    }
    print()
    for name, text in lines.items():
        print(f"  {name:<12} {text}")
    print()


def print_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Print a few well-known airports of the table."""
    by_icao = {row["icao"]: row for row in rows}
    chosen = [by_icao[icao] for icao in SHOWN_AIRPORTS if icao in by_icao]
    cells = [list(SHOWN_COLUMNS), *([_short(row[name]) for name in SHOWN_COLUMNS] for row in chosen)]
    for line in _aligned(cells):
        print(f"  {line}")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _CELL_WIDTH else f"{text[: _CELL_WIDTH - 1]}…"


def _aligned(cells: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _relative(path: Path) -> Path:
    return path.relative_to(BUILD.parent)
