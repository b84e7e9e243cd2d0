"""The line that says how far a run is."""

from __future__ import annotations

import pytest

from http_enrich_middleware import Histogram
from http_enrich_spark.coordinator import Pace, Totals, progress_line


def latency(*times: float) -> Histogram:
    histogram = Histogram()
    histogram.record(times)
    return histogram


def test_the_line_has_share_pace_quality_latency_and_time_left() -> None:
    outcomes = {"ok": 10_000, "ignored": 96, "server_error": 82, "stopped": 5}
    totals = Totals(outcomes, 10_309, 131, latency(*[21.0] * 97, *[140.0] * 3))
    line = progress_line(totals, total=28_298, before=1_512, pace=1204.4)
    assert line == (
        "41.3 % · 11,690/28,298 rows · 1,204 rows/s · ok 99.2 % · retries 131 · "
        "p50 21 ms p99 140 ms · ETA 14 s"
    )


@pytest.mark.parametrize(
    ("pace", "left"),
    [(1.0, "ETA 1 h 40 min"), (10.0, "ETA 10 min 00 s"), (101.0, "ETA 59 s"), (0.0, "rows/s")],
)
def test_the_time_left_is_for_people(pace: float, left: str) -> None:
    assert progress_line(Totals(), total=6000, before=0, pace=pace).endswith(left)


def test_rows_that_are_done_again_do_not_make_it_more_than_all() -> None:
    line = progress_line(Totals({"ok": 120}), total=100, before=0, pace=0)
    assert line.startswith("100.0 % · 100/100 rows")
    assert progress_line(Totals(), total=0, before=0, pace=0).startswith("100.0 % · 0/0 rows")


def test_pace_is_that_of_the_last_half_minute() -> None:
    pace = Pace()
    assert pace.at(0, 0) == 0
    assert pace.at(10, 1000) == 100
    assert pace.at(30, 1000) == pytest.approx(33.3, abs=0.1)
    assert pace.at(60, 1600) == 20
