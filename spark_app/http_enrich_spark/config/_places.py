"""The models of where rows come from and where they go."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from http_enrich_transport import Settings

from ._options import Options, hidden, option_of

Name = Annotated[str, Field(min_length=1)]

FILE_FORMATS = frozenset({"parquet", "orc", "json", "csv", "avro", "text", "xml"})
"""Formats whose tables are nothing but folders of files."""

_DYNAMIC_FORMATS = {"parquet", "orc", "json", "csv", "text", "avro", "delta", "jdbc"}
"""Formats that replace partitions one by one; others would replace the whole table."""


def _format(name: str) -> str:
    """Return a short name of Spark's as we know it; Spark takes it in any case."""
    if "jdbc" in name.lower() and name.lower() != "jdbc":
        msg = "write 'jdbc', whose credentials are hidden"
        raise ValueError(msg)
    return name if "." in name else name.lower()


Format = Annotated[str, AfterValidator(_format)]


class SourceConfig(Settings):
    """
    Where rows come from: one of `path` (with `format`), `table` or `query`.

    A `format` that is no format of files needs none of them: its `options` say where. With
    `format: jdbc`, `table` and `query` are those of the database.
    """

    format: Format = "parquet"
    path: Name | None = None
    options: Annotated[Options, AfterValidator(hidden)] = {}
    """Passed to Spark's reader."""
    table: Name | None = None
    query: Name | None = None
    """Spark SQL; with `format: jdbc`, SQL of the database."""
    where: str | None = None
    """SQL predicate; rows for which it is not true are left out."""
    id: list[str] = Field(min_length=1)
    """The columns that identify a row."""
    on_duplicate_id: Literal["fail", "first", "each"] = "fail"
    """What to do with rows that share an id: end the run, take the first of them, or request each."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.format == "jdbc":
            return self._one_query()
        given = sum(each is not None for each in (self.path, self.table, self.query))
        elsewhere = "format" in self.model_fields_set and self.format not in FILE_FORMATS
        if given > 1 or (given == 0 and not elsewhere):
            msg = "give exactly one of path, table and query"
            raise ValueError(msg)
        if (self.table or self.query) and self.model_fields_set & {"format", "options"}:
            msg = "format and options go with path; a table or query has its own"
            raise ValueError(msg)
        return self

    def _one_query(self) -> Self:
        _check_database(self.path, self.options)
        named = [name for name in self.options if name.lower() in ("dbtable", "query")]
        if sum(each is not None for each in (self.table, self.query)) + len(named) != 1:
            msg = "format jdbc needs exactly one of table and query (or of options.dbtable and options.query)"
            raise ValueError(msg)
        return self


def _check_database(path: str | None, options: Options) -> None:
    if path is not None:
        msg = "format jdbc has no path; give options.url, and table"
        raise ValueError(msg)
    if option_of(options, "url") is None:
        msg = "format jdbc needs options.url, such as jdbc:postgresql://host:5432/database"
        raise ValueError(msg)


class SinkConfig(Settings):
    """
    Where the enriched table goes: a `path` (with `format`) or a `table`.

    With `format: jdbc` the table is one of the database that `options` name.
    """

    format: Format = "parquet"
    path: Name | None = None
    table: Name | None = None
    options: Annotated[Options, AfterValidator(hidden)] = {}
    """Passed to Spark's writer."""
    partition_by: list[str] = []
    mode: Literal["append", "overwrite", "overwrite_partitions", "error"] = "error"

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.format == "jdbc":
            self._check_table()
        if (self.path is None) == (self.table is None):
            msg = "give exactly one of path and table"
            raise ValueError(msg)
        if self.mode == "overwrite_partitions" and not self.partition_by:
            msg = "mode overwrite_partitions needs partition_by"
            raise ValueError(msg)
        if self.mode == "overwrite_partitions" and self.format not in _DYNAMIC_FORMATS:
            msg = f"mode overwrite_partitions works with {', '.join(sorted(_DYNAMIC_FORMATS))} only"
            raise ValueError(msg)
        return self

    def _check_table(self) -> None:
        _check_database(self.path, self.options)
        if any(name.lower() in ("dbtable", "query") for name in self.options):
            msg = "format jdbc writes into the sink's table; take dbtable and query out of options"
            raise ValueError(msg)
        if (
            not all(part.strip() for part in (self.table or "").split("."))
            or (self.table or "").count(".") > 1
        ):
            msg = "format jdbc needs a table such as airports or public.airports"
            raise ValueError(msg)

    @property
    def name(self) -> str:
        """The path or the table, for people."""
        return self.path or self.table or ""

    @property
    def place(self) -> tuple[str | None, object]:
        """The table, and the database if it is in one; two sinks with equal ones are the same table."""
        return self.table, option_of(self.options, "url") if self.format == "jdbc" else None


class DeadLetterConfig(SinkConfig):
    """Where failed rows go instead of the sink; like a sink, but rows are added unless it says otherwise."""

    mode: Literal["append", "overwrite", "overwrite_partitions", "error"] = "append"
