"""Checks the table that the DAG wrote, every row of it, against the facts the API answers from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from http_enrich_demo import airports

COMPARED = ("country", "name", "city", "elevation_ft", "lat", "lon", "tz")
SHOWN = 10
Row = dict[str, Any]


@dataclass(frozen=True)
class Report:
    """What the check found: how many rows, how many of them succeeded, and what is wrong."""

    rows: int
    ok: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        shown = "".join(f"\n  {problem}" for problem in self.problems[:SHOWN])
        rest = len(self.problems) - SHOWN
        more = f"\n  and {rest:,} more" if rest > 0 else ""
        return f"problems: {len(self.problems):,} in {self.rows:,} rows{shown}{more}"


class VerificationError(Exception):
    """The table is missing, unreadable or wrong; `report` holds the findings if there are any."""

    def __init__(self, message: str, report: Report | None = None) -> None:
        super().__init__(message)
        self.report = report


def check_table(
    path: Path,
    *,
    partition: Mapping[str, str] | None = None,
    expected_icaos: Iterable[str] | None = None,
) -> Report:
    """Compare every row of the table, or of one partition, with the facts; raise when any differs."""
    expected = airports.codes() if expected_icaos is None else list(expected_icaos)
    rows = read_rows(path, ("icao", *COMPARED, "http.outcome"), partition)
    problems = [*_row_problems(rows), *_key_problems(rows, expected)]
    report = Report(len(rows), sum(row["http.outcome"] == "ok" for row in rows), tuple(problems))
    if problems:
        raise VerificationError(f"{path} does not hold what the API answers; {report}", report)
    return report


def read_rows(path: Path, columns: Iterable[str], partition: Mapping[str, str] | None = None) -> list[Row]:
    """Read columns of the table, or of one partition; a dotted name is a field of a struct."""
    if not path.is_dir():
        raise VerificationError(f"There is no table at {path}; run the DAG first.")
    wanted = {name: ds.field(*name.split(".")) for name in columns}
    # Spark writes partition values into folder names; taken as text, they equal what the caller asks for.
    schema = pa.schema([(name, pa.string()) for name in partition or ()])
    layout = ds.partitioning(schema, flavor="hive") if partition else "hive"
    chosen = ds.scalar(True)
    for name, value in (partition or {}).items():
        chosen &= ds.field(name) == value
    try:
        table = ds.dataset(path, format="parquet", partitioning=layout).to_table(wanted, filter=chosen)
    except pa.ArrowException as error:
        raise VerificationError(f"{path} cannot be read as the demo's table: {error}") from error
    rows: list[Row] = table.to_pylist()
    return rows


def _row_problems(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        differences = list(_differences(row))
        if differences:
            yield f"{row['icao']}: {', '.join(differences)}"


def _differences(row: Row) -> Iterator[str]:
    if row["http.outcome"] != "ok":
        yield f"http.outcome is {row['http.outcome']!r} instead of 'ok'"
        return  # its other columns are empty for this very reason
    try:
        facts = airports.facts(row["icao"])
    except KeyError:
        yield "the source has no such airport"
        return
    for name in COMPARED:
        if row[name] != facts[name]:
            yield f"{name} is {row[name]!r} instead of {facts[name]!r}"


def _key_problems(rows: list[Row], expected: list[str]) -> Iterator[str]:
    found = Counter(row["icao"] for row in rows)
    wanted = dict.fromkeys(expected)
    yield from (f"{icao}: {count} rows instead of one" for icao, count in found.items() if count > 1)
    yield from (f"{icao}: no row" for icao in wanted if icao not in found)
    yield from (f"{icao}: not among the expected airports" for icao in found if icao not in wanted)
