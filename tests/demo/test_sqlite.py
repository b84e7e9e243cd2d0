"""Who reads in a savepoint and then writes is not refused because somebody else has written in between."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from http_enrich_demo.sqlite import CONNECT_ARGS

READ, WRITE = text("SELECT count(*) FROM runs"), text("INSERT INTO runs VALUES ('mine')")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with sqlite3.connect(tmp_path / "airflow.db") as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE runs (id TEXT)")
    other.close()
    engine = create_engine(f"sqlite:///{tmp_path / 'airflow.db'}", connect_args=CONNECT_ARGS)
    yield engine
    engine.dispose()


@pytest.fixture
def other(tmp_path: Path, engine: Engine) -> Iterator[sqlite3.Connection]:
    """Another process, which does not wait."""
    connection = sqlite3.connect(tmp_path / "airflow.db", timeout=0, isolation_level=None)
    yield connection
    connection.close()


def test_a_savepoint_that_reads_first_can_write(engine: Engine, other: sqlite3.Connection) -> None:
    with engine.begin() as mine, mine.begin_nested():
        mine.execute(READ)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("INSERT INTO runs VALUES ('theirs')")
        mine.execute(WRITE)
    other.execute("INSERT INTO runs VALUES ('theirs')")

    assert other.execute("SELECT id FROM runs ORDER BY id").fetchall() == [("mine",), ("theirs",)]


def test_who_only_reads_waits_for_nobody(engine: Engine, other: sqlite3.Connection) -> None:
    other.execute("BEGIN IMMEDIATE")
    with engine.begin() as mine:
        assert mine.execute(READ).scalar() == 0
    other.execute("COMMIT")
