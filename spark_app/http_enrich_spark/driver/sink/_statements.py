"""The SQL that puts staged rows into a table, in words that most databases know."""

# ruff: noqa: S608 - the names are quoted by the database's dialect, and the token is hexadecimal

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Statements(NamedTuple):
    """
    The statements for rows that go from `stage` to `target`, whose names are quoted already.

    `columns` are pairs of a name in the target and the same column's in the stage; `keys` are those of
    them that name partitions.
    """

    target: str
    stage: str
    columns: list[tuple[str, str]]
    keys: list[tuple[str, str]]

    def create(self) -> str:
        """Return what makes a table like the stage."""
        ours = ", ".join(mine for _, mine in self.columns)
        return f"CREATE TABLE {self.target} AS SELECT {ours} FROM {self.stage} WHERE 1 = 0"

    def insert(self) -> str:
        """Return what adds the staged rows."""
        theirs, ours = (", ".join(names) for names in zip(*self.columns, strict=True))
        return f"INSERT INTO {self.target} ({theirs}) SELECT {ours} FROM {self.stage}"

    def delete_all(self) -> str:
        """Return what deletes the old rows; whoever reads meanwhile still sees them, unlike with TRUNCATE."""
        return f"DELETE FROM {self.target} WHERE 1 = 1"

    def delete_partitions(self) -> Iterator[str]:
        """Yield what deletes the partitions of which there are new rows."""
        theirs, ours = (", ".join(names) for names in zip(*self.keys, strict=True))
        yield f"DELETE FROM {self.target} WHERE ({theirs}) IN (SELECT {ours} FROM {self.stage})"
        # A null is equal to nothing, not even within a row. Few rows are compared here, so it may be slow.
        has_null = " OR ".join(f"{mine} IS NULL" for _, mine in self.keys)
        same = " AND ".join(
            f"(gone.{mine} = {self.target}.{name} OR (gone.{mine} IS NULL AND {self.target}.{name} IS NULL))"
            for name, mine in self.keys
        )
        gone = f"(SELECT DISTINCT {ours} FROM {self.stage} WHERE {has_null}) gone"
        yield f"DELETE FROM {self.target} WHERE EXISTS (SELECT 1 FROM {gone} WHERE {same})"


def create_published(table: str) -> str:
    """Return what makes the *table* of the runs that were published."""
    return f"CREATE TABLE {table} (token VARCHAR(64) PRIMARY KEY, published_at TIMESTAMP)"


def note_published(table: str, token: str) -> str:
    """Return what writes down that the run with this *token* is published; a second time it fails."""
    return f"INSERT INTO {table} (token, published_at) VALUES ('{token}', CURRENT_TIMESTAMP)"


def find_published(table: str, token: str) -> str:
    """Return the query that has a row if the run with this *token* is published."""
    return f"SELECT 1 FROM {table} WHERE token = '{token}'"
