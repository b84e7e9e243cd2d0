"""All airports of the demo, with a driver that dies at a random moment."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiohttp import web

from http_enrich_demo import airports
from http_enrich_demo.api import AirportsApi, in_thread
from http_enrich_demo.verify import COMPARED
from tests.spark_app.chaos.test_chaos import FIRST
from tests.support.driver_process import driver
from tests.support.small_runs import LOCAL, SLOTS, committed

BATCH = 500
TOKEN = "token-of-the-airports"
SECONDS = 300
FACTS = ("icao", *COMPARED)


class LoggedApi(AirportsApi):
    """The API of the demo with a log of its calls."""

    def __init__(self, seed: int) -> None:
        super().__init__(TOKEN, latency=(0.002, 0.01), fault_rate=0.003, seed=seed)
        self.calls: list[str] = []

    async def _answer_airport(self, request: web.Request) -> web.Response:
        self.calls.append(request.match_info["icao"])
        return await super()._answer_airport(request)


def pipeline(folder: Path, url: str) -> dict[str, Any]:
    return {
        "version": 1,
        "name": "airports",
        "source": {"path": str(folder / "source"), "id": ["icao"]},
        "endpoint": {"base_url": url, "path": "/v1/airports/${row.icao}"},
        "transport": {"tcp_connection": {"limit": 25}, "base_timeout": 30},
        "middleware": [
            {"type": "retry", "max_attempts": 4, "base_delay": 0.05},
            {"type": "bearer", "token": "${env.AIRPORTS_TOKEN}"},
        ],
        "response": {
            "select": "data",
            "schema": "name STRING, city STRING, elevation_ft INT, lat DOUBLE, lon DOUBLE, tz STRING",
        },
        "sink": {"path": str(folder / "out"), "mode": "overwrite"},
        "execution": {"batch_size": BATCH},
    }


def undisturbed() -> pa.Table:
    """What a run that nothing disturbs writes, but for the times and the number of attempts."""
    facts = [airports.facts(code) for code in airports.codes()]
    columns = {name: [each[name] for each in facts] for name in FACTS}
    return pa.table(columns | {"outcome": ["ok"] * len(facts), "status": [200] * len(facts)})


def written(out: Path) -> tuple[pa.Table, dict[str, int]]:
    """The table, but for the times, and the number of attempts by row."""
    rows = pq.read_table(out).sort_by("icao").flatten()
    kept = rows.select([*FACTS, "http.outcome", "http.status"]).rename_columns([*FACTS, "outcome", "status"])
    return kept, dict(zip(rows["icao"].to_pylist(), rows["http.attempts"].to_pylist(), strict=True))


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("seed", [FIRST])
def test_a_killed_run_of_all_airports_goes_on_and_the_api_knows_of_every_call(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRPORTS_TOKEN", TOKEN)
    rows = airports.write_source(tmp_path / "source")
    api = LoggedApi(seed)
    with in_thread(api) as url:
        data = pipeline(tmp_path, url)
        moment = random.Random(seed).randrange(rows // 10, rows * 9 // 10)
        with driver(tmp_path, data, LOCAL) as run:
            wait_until(lambda: len(api.calls) >= moment or run.ended)
            assert not run.ended, run.output
            run.kill()
        kept = committed(tmp_path, "icao")
        with driver(tmp_path, data, LOCAL) as run:
            # By now the API has seen whatever was on its way when the first one died.
            wait_until(lambda: "rows are answered already" in run.output or run.ended)
            first = len(api.calls)
            assert run.wait() == 0, run.output

    before, after = Counter(api.calls[:first]), Counter(api.calls[first:])
    table, attempts = written(tmp_path / "out")
    assert table.equals(undisturbed().cast(table.schema))
    assert attempts == {row: (before if row in kept else after)[row] for row in attempts}
    assert not set(after) & kept
    redone = {row: calls for row, calls in before.items() if row not in kept}
    assert len(redone) <= SLOTS * BATCH * 1.5
    assert api.stats.requests == len(api.calls) == run.figures["calls"] + sum(redone.values())
    assert run.figures["resumed"] == len(kept)
    print(f"killed after {moment:,} calls: {len(kept):,} rows kept, {len(redone):,} redone")
