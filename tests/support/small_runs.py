"""Runs of a few hundred rows against a `RecordingApi`: what goes in, and what has to come out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

BATCH = 20
SLOTS = 2
CONNECTIONS = 5
"""Of each worker: the requests that it has in flight."""
ATTEMPTS = 3
LOCAL = f"local[{SLOTS},4]"
RETRY = {
    "type": "retry",
    "max_attempts": ATTEMPTS,
    "base_delay": 0.01,
    "max_delay": 0.02,
    "budget": None,  # what a row ends with must not hang on how the others fare
}
PARTS = 3

Rows = dict[str, tuple[str | None, str, int]]
"""By id: the column of the answer, the outcome, the status."""


def pipeline(folder: Path, url: str, rows: int) -> dict[str, Any]:
    """A pipeline from folder/source, which is written here, to folder/out."""
    source = folder / "source"
    source.mkdir()
    ids = {"id": [f"r{n}" for n in range(rows)], "part": [n % PARTS for n in range(rows)]}
    pq.write_table(pa.table(ids), source / "part-0.parquet")
    return {
        "version": 1,
        "name": "chaos",
        "source": {"path": str(source), "id": ["id"]},
        "endpoint": {"base_url": url, "path": "/items/${row.id}"},
        "transport": {"tcp_connection": {"limit": CONNECTIONS}, "base_timeout": 10},
        "middleware": [RETRY],
        "response": {"schema": "row STRING, twice STRING"},
        "sink": {"path": str(folder / "out"), "mode": "overwrite"},
        "execution": {"batch_size": BATCH},
    }


def truth(rows: int) -> Rows:
    """What a run that nothing disturbs comes to."""
    found: Rows = {}
    for row in (f"r{n}" for n in range(rows)):
        missing = row.endswith("7")
        found[row] = (None if missing else row * 2, "not_found" if missing else "ok", 404 if missing else 200)
    return found


class Table(NamedTuple):
    """A table by id, its number of rows, and the requests that it tells of, by id."""

    rows: Rows
    length: int
    attempts: dict[str, int]


def table(*folders: Path) -> Table:
    """Return what is in *folders* together."""
    rows = [
        row for folder in folders for row in ds.dataset(folder, partitioning="hive").to_table().to_pylist()
    ]
    return Table(
        {row["id"]: (row.get("twice"), row["http"]["outcome"], row["http"]["status"]) for row in rows},
        len(rows),
        {row["id"]: row["http"]["attempts"] for row in rows},
    )


def committed(folder: Path, id: str = "id") -> set[str]:
    """The rows whose answers no death of a process can take away any more, by the column *id*."""
    files = (folder / "_http_enrich").glob("*/epoch=*/part-*.parquet")
    return {row for file in files for row in pq.read_table(file, columns=[id])[id].to_pylist()}


def rows_in(folder: Path) -> int:
    """
    Count the rows of the files in *folder*; raises `FileNotFoundError` if it is not there, or one goes away.

    PyArrow, given a folder, leaves out what goes between its look into the folder and its look at the file.
    """
    files = [file for file in folder.iterdir() if file.name.startswith("part-")]
    return sum(pq.read_metadata(file).num_rows for file in files)


@contextmanager
def reader(*folders: Path) -> Iterator[dict[Path, set[int]]]:
    """Read *folders* again and again; yields how many rows each of them ever had."""
    seen: dict[Path, set[int]] = {folder: set() for folder in folders}
    over = threading.Event()

    def read() -> None:
        while not over.wait(0.05):
            for folder in folders:
                with suppress(FileNotFoundError):
                    if any(folder.glob("part-*")):
                        seen[folder].add(rows_in(folder))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
