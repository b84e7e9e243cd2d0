from __future__ import annotations

from typing import Any

import pytest

from http_enrich_demo.demo import DemoError, check_counters
from http_enrich_demo.verify import Report

SUMMARY = {"rows_in": 10, "rows_out": 10, "ok": 10, "failed": 0, "calls": 12}
REPORT = Report(rows=10, ok=10, problems=())


def test_a_summary_that_agrees_with_api_and_table_passes() -> None:
    check_counters(SUMMARY, {"requests": 12}, REPORT, rows=10)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"calls": 11}, "calls: 11, but requests counted by the API: 12"),
        ({"rows_in": 9}, "rows_in: 9, but rows of the source: 10"),
        ({"rows_out": 11}, "rows_out: 11, but rows of the table: 10"),
        ({"failed": 1}, "failed: 1, but other rows of the table: 0"),
    ],
)
def test_a_summary_that_contradicts_api_or_table_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DemoError, match=said):
        check_counters(SUMMARY | change, {"requests": 12}, REPORT, rows=10)
