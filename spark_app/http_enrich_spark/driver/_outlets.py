"""Which rows go where: into the table, or into the dead letter."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from http_enrich_spark._logs import logger
from http_enrich_spark.config import PipelineConfig, SinkConfig, plain

from ._errors import RunError, first_line
from ._facts import passed
from ._files import Folder
from ._names import ROW, quoted
from .sink import has_begun, has_ended


class Outlet(NamedTuple):
    """
    A sink, and the rows that it gets.

    `passed` says which: True for those that have not failed, False for those that have, without the
    columns of the answer; None for all. `place` and `token` are those of `publish`.
    """

    sink: SinkConfig
    passed: bool | None
    place: Folder
    token: str

    @property
    def name(self) -> str:
        """What the ledger calls it."""
        return "dead_letter" if self.passed is False else "table"

    def names(self, columns: Sequence[str], source: Sequence[str]) -> list[str]:
        """Return the columns that it gets, of all *columns*, some of which come from the *source*."""
        return [*source, "http"] if self.passed is False else list(columns)

    def rows(self, answers: DataFrame, answered: StructType) -> DataFrame:
        """Return its part of *answers*, whose columns were those of *answered* before they were read."""
        if self.passed is None:
            return answers
        if self.passed:
            return answers.where(passed())
        return failed_rows(answers, answered)


@contextmanager
def publishing(outlet: Outlet) -> Iterator[None]:
    """Say of an error of the block which sink could not be written."""
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        logger.error("%s could not be written", outlet.sink.name, exc_info=error)
        msg = f"{outlet.sink.name} could not be written: {first_line(error)}"
        raise RunError(msg, retry=True, kind="sink") from error


def failed_rows(answers: DataFrame, answered: StructType) -> DataFrame:
    """Return the rows of *answers* that failed, with the columns of the source and `http`."""
    names = [quoted(name) for name in answered.names if name != ROW]
    return answers.where(~passed()).select(*names)


def outlets(config: PipelineConfig, folder: Folder, token: str) -> list[Outlet]:
    """Return the sinks of *config* in the order in which they are published, for the run in *folder*."""
    sinks: list[tuple[SinkConfig, bool | None]] = [(config.sink, None)]
    if config.dead_letter is not None:
        # The table comes last: who sees it may rely on the rest.
        sinks = [(config.dead_letter, False), (config.sink, True)]
    return [_outlet(config, sink, passed, folder, token) for sink, passed in sinks]


def _outlet(
    config: PipelineConfig, sink: SinkConfig, passed: bool | None, folder: Folder, token: str
) -> Outlet:
    # A sink or columns that were changed between two tries make another table.
    what = json.dumps([token, plain(sink), plain(config.response), passed], sort_keys=True)
    own = sha256(what.encode()).hexdigest()[:12]
    return Outlet(sink, passed, folder / f"publish-{own}", own)


def refuse_half_published(folder: Folder, mine: Sequence[Outlet]) -> None:
    """Raise `RunError` if an earlier try in *folder* has begun to publish what is none of *mine*."""
    known = {outlet.place.name for outlet in mine}
    adds = any(outlet.sink.mode == "append" for outlet in mine)
    for name in folder.names():
        if not name.startswith("publish-") or name in known or not has_begun(folder / name):
            continue
        # One that is whole is replaced as a whole, by whoever does not add to it.
        if adds or not has_ended(folder / name):
            msg = (
                "an earlier try was cut short while it published, and what it published has changed since: "
                "rows could be in the table twice. Change it back and start it again, which finishes it; or "
                f"put the table right by hand, and delete {folder / name}"
            )
            raise RunError(msg, kind="sink")


def sinks_of(config: PipelineConfig) -> dict[str, Any]:
    """Return where *config* publishes to and what columns it reads for that, as plain values."""
    response = {"schema": config.response.schema_, "select": config.response.select}
    return {"sink": plain(config.sink), "errors": plain(config.errors), "response": response}
