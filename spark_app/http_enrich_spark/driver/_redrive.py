"""Requests rows of a published run again that have failed, and puts their answers in their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from http_enrich_spark._logs import logger
from http_enrich_spark.config import FILE_FORMATS, PipelineConfig, RunInfo, SinkConfig

from ._columns import columns_of
from ._errors import RunError
from ._facts import Frozen, fingerprint
from ._frames import no_rows
from ._names import ROW
from ._outlets import Outlet, publishing
from ._report import Report, with_redriven, write_report
from ._summary import Counts, RunSummary
from ._try import Try
from .ledger import Done, Epoch, Failures, keep_failures
from .sink import (
    EXACT_FORMATS,
    check_sink,
    check_unchanged,
    is_written,
    publish,
    published_files,
    read_back,
    replacing,
    to_replace,
)


class Redrive(Try):
    """
    One try of a redrive: of the *failures* of a run that is *done*, those whose outcome is one of *only*.

    It goes through the ledger as a run does. But its rows come from there, and what is published takes the
    place of what the run has published for them.
    """

    def __init__(
        self,
        spark: SparkSession,
        config: PipelineConfig,
        run: RunInfo,
        epoch: Epoch,
        done: Done,
        failures: Failures,
        only: Sequence[str],
    ) -> None:
        # The run was within its limit, and a redrive can but lower the share of failed rows.
        execution = config.execution.model_copy(update={"max_error_rate": 1.0})
        super().__init__(spark, config.model_copy(update={"execution": execution}), run, epoch)
        self._done, self._failures, self._only = done, failures, only
        self._frozen: Frozen | None = None
        self._files: dict[str, list[str] | None] = {}

    def _rows(self) -> tuple[Frozen, DataFrame]:
        """Return the rows that are to be requested again."""
        rows = self._failed.where(self._again).drop("http")
        self._frozen = self._epoch.frozen or Frozen(*_facts(rows, self._config), rows.schema.json())
        self._check(rows.drop(ROW))
        return self._frozen, rows

    @property
    def _failed(self) -> DataFrame:
        return self._failures.rows(self._spark, self._epoch.folder)

    @property
    def _again(self) -> Column:
        return F.col("http.outcome").isin(*self._only)

    def _check_sink(self, outlet: Outlet, columns: list[str]) -> None:
        """Raise `RunError` if what the run has published there cannot be replaced exactly."""
        _check_kind(outlet)
        files = self._failures.files[outlet.name]
        if files is None:
            return check_sink(self._spark, self._as_written(outlet), columns)
        check_unchanged(self._spark, outlet.sink, files)
        if outlet.passed is None:
            found = _facts(self._in_table(outlet, files).where(self._again), self._config)
            if self._frozen is None or found != self._frozen[:2]:
                msg = (
                    f"{outlet.sink.name} does not hold the failed rows of this run any more; start the run "
                    "with --fresh to request all of it again"
                )
                raise RunError(msg)

    def _as_written(self, outlet: Outlet) -> SinkConfig:
        """Return the sink, to which rows are added where none is replaced."""
        return outlet.sink if self._failures.files[outlet.name] is not None else _adding(outlet.sink)

    def _leave(self, report: Report) -> None:
        """Leave nothing: there is the report of the run, which is published."""

    def _in_table(self, outlet: Outlet, files: Sequence[str]) -> DataFrame:
        failed = no_rows(self._spark, self._failed.schema)
        schema: StructType = columns_of(failed, self._config, self._response).schema
        return read_back(self._spark, outlet.sink, files, schema)

    def _publish(self, answers: DataFrame, answered: StructType) -> None:
        for outlet in self._outlets:
            rows, files = outlet.rows(answers, answered), self._failures.files[outlet.name]
            with publishing(outlet):
                if files is None:
                    publish(rows, self._as_written(outlet), outlet.place, outlet.token)
                    self._files[outlet.name] = None
                else:
                    self._files[outlet.name] = self._replace(outlet, rows, files)

    def _replace(self, outlet: Outlet, rows: DataFrame, files: list[str]) -> list[str]:
        """Publish *rows* of a run that has *files* in the sink; returns those that it has then."""
        gone = self._gone(outlet, files)
        if not is_written(self._spark, outlet.sink, outlet.place, outlet.token):
            rows = rows.unionByName(self._staying(outlet, gone))
        publish(rows, outlet.sink, outlet.place, outlet.token, replacing(outlet.sink, files, gone))
        return sorted({*files, *(published_files(outlet.place) or [])} - set(gone))

    def _gone(self, outlet: Outlet, files: list[str]) -> list[str]:
        """Return the files whose place new ones take, the same in all tries."""
        if outlet.passed is not None:
            return [] if outlet.passed else files
        noted = outlet.place / "gone"
        if not noted.exists():
            name = F.element_at(F.split(F.input_file_name(), "/"), -1)
            rows = self._in_table(outlet, files).where(self._again).select(name).distinct().collect()
            gone = to_replace(outlet.sink, files, {str(row[0]) for row in rows})
            noted.publish(msgspec.json.encode(gone).decode())
        found: list[str] = msgspec.json.decode(noted.read() or "", type=list[str])
        return found

    def _staying(self, outlet: Outlet, gone: list[str]) -> DataFrame:
        """Return the rows of files that are *gone* which nobody has requested again."""
        rows = self._failed.drop(ROW) if outlet.passed is False else self._in_table(outlet, gone)
        return rows.where(~self._again)

    def _concluded(self, report: Report, counts: Counts, failed: DataFrame) -> Report:
        """Write down what has become of the rows; returns the report of the run as it is now."""
        folder, outcomes = self._epoch.folder, self._failures.outcomes
        asked = {each: rows for each, rows in outcomes.items() if each in self._only}
        whole = merged(msgspec.convert(self._failures.summary, RunSummary), asked, report.summary)
        left = dict(Counter(outcomes) - Counter(asked) + Counter(counts.failed))
        failures = Failures(self._epoch.number, left, self._files, whole.as_dict())
        keep_failures(folder, failures, self._failed.where(~self._again).drop(ROW).unionByName(failed))
        report = with_redriven(folder, whole, report)
        write_report(report, folder)
        self._epoch.close(msgspec.structs.replace(self._done, summary=whole.as_dict()))
        logger.info(
            "%s: %s of %s rows are healed", whole.pipeline, f"{whole.healed:,}", f"{whole.redriven:,}"
        )
        return report


def merged(whole: RunSummary, asked: dict[str, int], redrive: RunSummary) -> RunSummary:
    """Return the figures of a run of which the rows *asked*, by their outcomes, had those of *redrive*."""
    outcomes = Counter(whole.outcomes) - Counter(asked) + Counter(redrive.outcomes)
    changes: dict[str, Any] = {
        name: getattr(whole, name) + getattr(redrive, name) for name in ("ok", "ignored", "calls", "retries")
    }
    healed = redrive.ok + redrive.ignored
    left_dead_letter = healed if whole.dead else 0
    return msgspec.structs.replace(
        redrive,
        **changes,
        folder=whole.folder,
        rows_in=whole.rows_in,
        rows_out=whole.rows_out + left_dead_letter,
        dead=whole.dead - left_dead_letter,
        failed=whole.failed - healed,
        outcomes=dict(outcomes.most_common()),
        left_out=whole.left_out,
        redriven=redrive.rows_in,
        healed=healed,
    )


def _facts(rows: DataFrame, config: PipelineConfig) -> tuple[int, int]:
    """Count *rows*, and take the fingerprint of their ids."""
    found = rows.agg(F.count(F.lit(1)), fingerprint(config.source.id)).first()
    assert found is not None  # noqa: S101 - an aggregate without keys has one row
    return int(found[0]), int(found[1])


def _adding(sink: SinkConfig) -> SinkConfig:
    """Return *sink* so that rows are added to it."""
    return sink.model_copy(update={"mode": "append"})


def _check_kind(outlet: Outlet) -> None:
    sink = outlet.sink
    if outlet.passed is True and sink.mode != "overwrite_partitions":
        return  # rows are only added
    known = EXACT_FORMATS if outlet.passed is None else FILE_FORMATS
    if sink.path is None or sink.format not in known:
        what = "errors.dead_letter" if outlet.passed is False else "sink"
        msg = (
            f"{what}: rows of {sink.name} cannot be replaced, which works for a path with format "
            f"{' or '.join(sorted(known))}; start the run with --fresh to request all of it again"
        )
        raise RunError(msg)
