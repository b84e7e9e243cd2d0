"""What the page makes of a report's numbers."""

from __future__ import annotations

import pytest

from http_enrich_middleware import Histogram
from http_enrich_provider.ui._page import NOTHING, brief, duration, page_of, share, whole
from http_enrich_provider.ui._report import UnreadableReportError, read_report
from http_enrich_provider.ui._series import Bin, Rates, rates, rebinned
from tests.support import reports


def test_rates_are_those_between_two_points() -> None:
    assert rates([(0, 0, 0, 0), (2, 100, 120, 4), (4, 100, 130, 4)]) == [
        Rates(2, 50, 60, 2),
        Rates(4, 0, 5, 0),
    ]


def test_points_may_come_in_any_order_twice_and_without_the_start() -> None:
    assert rates([(4, 30, 30, 0), (2, 10, 10, 0), (2, 10, 10, 0)]) == [Rates(2, 5, 5, 0), Rates(4, 10, 10, 0)]


def test_totals_that_shrink_are_no_negative_rate() -> None:
    assert rates([(1, 10, 10, 0), (2, 5, 5, 0)])[1].rows == 0


@pytest.mark.parametrize("curve", [[], [(0, 0, 0, 0)]])
def test_without_time_there_are_no_rates(curve: list[tuple[float, float, float, float]]) -> None:
    assert rates(curve) == []


def test_histogram_keeps_all_rows_in_few_bars() -> None:
    latencies = Histogram()
    latencies.record([step / 7 for step in range(1, 30_000)])

    bins = rebinned(latencies.buckets())

    assert sum(each.rows for each in bins) == 29_999
    assert len(bins) < 50
    assert all(each.above < each.upto for each in bins)


def test_narrow_histogram_has_narrow_bars() -> None:
    assert len(rebinned([(10 * 1.02**step, 1) for step in range(30)])) > 8


def test_end_of_a_bar_belongs_to_it() -> None:
    (only,) = rebinned([(100.0, 5)])

    assert only.upto == pytest.approx(100)


def test_rows_that_took_no_time_have_a_bar_of_their_own() -> None:
    assert rebinned([(0.0, 3), (10.0, 1)])[0] == Bin(0, 0, 3)


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, NOTHING), (0.25, "0.25 s"), (61, "1 min 1 s"), (7_260, "2 h 1 min")]
)
def test_durations_have_two_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("part", "total", "text"),
    [
        (1, 3, "33.3 %"),
        (99_999, 100_000, "> 99.9 %"),
        (1, 100_000, "< 0.1 %"),
        (5, 5, "100 %"),
        (1, 0, ""),
        (None, 5, ""),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(part: int | None, total: int, text: str) -> None:
    assert share(part, total) == text


def test_numbers_are_grouped() -> None:
    assert (whole(28_298), brief(1_204.6), brief(0.0417), whole(None)) == (
        "28,298",
        "1,205",
        "0.0417",
        NOTHING,
    )


def test_all_failures_are_listed_the_most_frequent_first() -> None:
    report = reports.good()
    report["failures"].reverse()

    page = page_of(read_report(report))

    assert [each.outcome for each in page.failures] == ["not_found", "timeout", "server_error"]


def test_rows_of_the_dead_letter_count_for_the_shares() -> None:
    report = reports.good()
    report["summary"] |= {"rows_out": 75, "dead": 25, "ok": 75, "failed": 25}

    tiles = {tile.label: tile for tile in page_of(read_report(report)).tiles}

    assert (tiles["OK"].hint, tiles["Failed"].hint) == ("75 %", "25 %")


def test_every_chart_has_a_table_of_what_it_draws() -> None:
    charts = page_of(read_report(reports.good())).charts

    assert {chart.kind for chart in charts} == {"rates", "latency", "bars"}
    assert all(chart.rows and len(chart.rows[0]) == len(chart.columns) for chart in charts)


def test_report_may_have_more_than_is_known_here() -> None:
    report = reports.good() | {"new": 1}
    report["summary"]["new"] = {"x": 1}

    assert page_of(read_report(report)).title == "airports"


def test_report_may_be_a_text() -> None:
    """Airflow hands out JSON, or what it has made of it."""
    assert read_report('{"version": 1, "state": "failed"}').state == "failed"


@pytest.mark.parametrize("word", reports.wrong())
def test_what_is_no_report_is_refused(word: str) -> None:
    with pytest.raises(UnreadableReportError):
        read_report(reports.wrong()[word])


def test_no_value_is_quoted_when_it_is_refused() -> None:
    with pytest.raises(UnreadableReportError) as error:
        read_report(reports.good() | {"at": [reports.CANARY]})

    assert "script" not in str(error.value)
