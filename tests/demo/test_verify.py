from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from http_enrich_demo import airports
from http_enrich_demo.verify import COMPARED, VerificationError, check_table, read_rows

ICAOS = airports.codes(20)
DAY = {"day": "2026-02-01"}
SCHEMA = pa.schema(
    [
        ("icao", pa.string()),
        ("country", pa.string()),
        ("name", pa.string()),
        ("city", pa.string()),
        ("elevation_ft", pa.int32()),
        ("lat", pa.float64()),
        ("lon", pa.float64()),
        ("tz", pa.string()),
        ("http", pa.struct([("status", pa.int32()), ("outcome", pa.string()), ("attempts", pa.int32())])),
        ("day", pa.string()),
    ]
)


def good_rows(day: str = DAY["day"]) -> list[dict[str, Any]]:
    http = {"status": 200, "outcome": "ok", "attempts": 1}
    wanted = ("icao", *COMPARED)
    rows = [{name: airports.facts(icao)[name] for name in wanted} for icao in ICAOS]
    return [row | {"http": dict(http), "day": day} for row in rows]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    ds.write_dataset(
        pa.Table.from_pylist(rows, schema=SCHEMA),
        path,
        format="parquet",
        partitioning=["day"],
        partitioning_flavor="hive",
        existing_data_behavior="overwrite_or_ignore",
    )
    return path


def problems(path: Path) -> tuple[str, ...]:
    with pytest.raises(VerificationError) as caught:
        check_table(path, partition=DAY, expected_icaos=ICAOS)
    assert caught.value.report is not None
    return caught.value.report.problems


def test_a_correct_table_passes(tmp_path: Path) -> None:
    table = write(tmp_path, good_rows())

    report = check_table(table, partition=DAY, expected_icaos=ICAOS)

    assert (report.rows, report.ok, report.problems) == (20, 20, ())


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("name", "Somewhere", "'Somewhere'"),
        ("city", None, "None"),
        ("elevation_ft", -7, "-7"),
        ("lat", 1.0000001, "1.0000001"),
        ("lon", None, "None"),
        ("tz", "", "''"),
    ],
)
def test_a_changed_value_is_found(tmp_path: Path, column: str, value: object, said: str) -> None:
    rows = good_rows()
    rows[3][column] = value
    expected = airports.facts(ICAOS[3])[column]

    found = problems(write(tmp_path, rows))

    assert found == (f"{ICAOS[3]}: {column} is {said} instead of {expected!r}",)


def test_swapped_answers_are_found(tmp_path: Path) -> None:
    rows = good_rows()
    rows[0]["icao"], rows[1]["icao"] = rows[1]["icao"], rows[0]["icao"]

    found = problems(write(tmp_path, rows))

    assert [line.partition(":")[0] for line in found] == [ICAOS[1], ICAOS[0]]


def test_a_missing_row_is_found(tmp_path: Path) -> None:
    assert problems(write(tmp_path, good_rows()[1:])) == (f"{ICAOS[0]}: no row",)


def test_a_duplicate_row_is_found(tmp_path: Path) -> None:
    rows = good_rows()

    assert problems(write(tmp_path, [*rows, rows[5]])) == (f"{ICAOS[5]}: 2 rows instead of one",)


def test_a_row_nobody_asked_for_is_found(tmp_path: Path) -> None:
    rows = good_rows()
    with pytest.raises(VerificationError, match=f"{ICAOS[19]}: not among the expected airports"):
        check_table(write(tmp_path, rows), expected_icaos=ICAOS[:19])


def test_a_failed_row_is_found(tmp_path: Path) -> None:
    rows = good_rows()
    rows[7] |= dict.fromkeys(COMPARED) | {"http": {"status": 503, "outcome": "failed", "attempts": 4}}

    assert problems(write(tmp_path, rows)) == (f"{ICAOS[7]}: http.outcome is 'failed' instead of 'ok'",)


def test_the_message_shows_ten_problems_and_counts_the_rest(tmp_path: Path) -> None:
    with pytest.raises(VerificationError) as caught:
        check_table(write(tmp_path, good_rows()[:5]), expected_icaos=ICAOS)

    message = str(caught.value)
    assert "problems: 15 in 5 rows" in message
    assert message.count("no row") == 10
    assert message.endswith("and 5 more")


def test_only_the_asked_partition_is_checked(tmp_path: Path) -> None:
    write(tmp_path, good_rows("2026-01-31")[:4])
    table = write(tmp_path, good_rows())

    assert check_table(table, partition=DAY, expected_icaos=ICAOS).rows == 20
    assert check_table(table, partition={"day": "2026-01-31"}, expected_icaos=ICAOS[:4]).rows == 4


def test_a_table_that_is_missing_or_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="run the DAG first"):
        check_table(tmp_path / "nowhere", partition=DAY)
    airports.write_source(tmp_path / "source", limit=3)
    with pytest.raises(VerificationError, match="cannot be read"):
        check_table(tmp_path / "source")


def test_fields_of_the_http_column_can_be_read(tmp_path: Path) -> None:
    rows = read_rows(write(tmp_path, good_rows()), ("icao", "http.status"), DAY)

    assert rows[0] == {"icao": ICAOS[0], "http.status": 200}
