"""One try of a run: freeze or go on, request, judge, publish."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import msgspec
from py4j.protocol import Py4JError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from http_enrich_spark._logs import logger
from http_enrich_spark.config import PipelineConfig, Recipe, RunInfo, SinkConfig
from http_enrich_spark.coordinator import Coordinator, Stop, Totals

from ._cluster import coordinator, running_tasks
from ._columns import columns_of
from ._contact import GRACE, Contact
from ._enrich import answered_schema, enrich, tasks_of
from ._errors import RunError, first_line
from ._facts import Frozen
from ._frames import no_rows
from ._freeze import first_rows, freeze
from ._metrics import RunMetrics
from ._names import ROW
from ._outlets import Outlet, failed_rows, outlets, publishing, refuse_half_published, sinks_of
from ._places import check_places
from ._report import Report, report_of, write_report
from ._source import check_columns, read_source, reading, response_schema
from ._summary import Counts, RunSummary, count, counts_of, summary_of
from ._verdict import check_whole, rejection, too_many_failures
from ._watch import Guard, Progress, Watch, progress_of
from .ledger import Epoch, Failures, forget_failures, keep_failures
from .sink import check_sink, has_begun, publish, published_files, rehearse


class Try:
    """
    One try of a run, which has the *epoch*.

    What earlier tries have left is counted in; what this one leaves behind is of use to the next.
    """

    def __init__(
        self,
        spark: SparkSession,
        config: PipelineConfig,
        run: RunInfo,
        epoch: Epoch,
        recipe: Recipe | None = None,
    ) -> None:
        self._spark, self._config, self._run, self._epoch = spark, config, run, epoch
        self._recipe = recipe
        self._metrics = RunMetrics(spark, config)
        self._response = response_schema(config)
        self._coordinator: Coordinator | None = None
        self._guard: Guard | None = None
        self._counts: Counts | None = None
        self._resumed, self._lost, self._seconds = 0, 0, 0.0
        self._advice = "goes on from there"
        self._outlets = outlets(config, epoch.folder, epoch.token)

    def run(self) -> Report:
        """Take the run to its end; raises `RunError` as `run_pipeline` does."""
        self._epoch.keep(lambda: self._live)
        try:
            refuse_half_published(self._epoch.folder, self._outlets)
            frozen, rows = self._rows()
            answered = answered_schema(rows.schema)
            self._rehearse(answered)
            self._epoch.begin(frozen)
        except Exception as error:
            try:
                self._blame(error)
            finally:
                self._epoch.abandon()
            raise
        # From here on answers are paid for: they stay until they are published.
        with self._kept(frozen):
            self._request(rows, frozen, answered)
            counts, answers = self._judged(frozen, answered)
            self._epoch.lease.check()
            self._publish(answers, answered)
            failed = failed_rows(answers, answered)
            report = self._concluded(self._report(frozen, counts), counts, failed)
        done = report.summary
        logger.info("%s: published %s rows to %s", done.pipeline, f"{done.rows_out:,}", done.sink)
        return report

    def _blame(self, error: Exception) -> None:
        # Whatever it was: who has taken over cancels our jobs, and may have deleted what we were reading.
        with suppress(Py4JError, OSError):
            self._epoch.lease.check(cause=error)

    @property
    def _live(self) -> Totals:
        """What the workers of this try have counted so far."""
        return self._coordinator.totals() if self._coordinator is not None else Totals()

    def _rows(self) -> tuple[Frozen, DataFrame]:
        """Return the rows of the run: frozen now, or by an earlier try."""
        config, frozen = self._config, self._epoch.frozen
        source = None if frozen else read_source(self._spark, config.source)
        if source is not None:
            self._check(source)
            check_places(source, config)
            with reading(self._spark, config.source):
                frozen = freeze(source, config.source, self._epoch.input.path)
        assert frozen is not None  # noqa: S101 - one of the two
        schema = StructType.fromJson(msgspec.json.decode(frozen.schema))
        rows = first_rows(self._spark.read.schema(schema).parquet(self._epoch.input.path))
        if source is None:
            self._check(rows.drop(ROW))
        return frozen, rows

    def _check(self, source: DataFrame) -> None:
        columns = check_columns(source, self._config, self._response)
        for outlet in self._outlets:
            if not has_begun(outlet.place):
                self._check_sink(outlet, outlet.names(columns, source.columns))

    def _check_sink(self, outlet: Outlet, columns: list[str]) -> None:
        check_sink(self._spark, outlet.sink, columns)

    def _as_written(self, outlet: Outlet) -> SinkConfig:
        """Return the sink as this try writes it."""
        return outlet.sink

    def _rehearse(self, answered: StructType) -> None:
        answers = columns_of(no_rows(self._spark, answered), self._config, self._response)
        for outlet in self._outlets:
            schema = outlet.rows(answers, answered).schema
            place = f"{self._epoch.folder}/rehearsal"
            rehearse(self._as_written(outlet), schema, place, self._spark, outlet.token)

    def _publish(self, answers: DataFrame, answered: StructType) -> None:
        for outlet in self._outlets:
            with publishing(outlet):
                publish(outlet.rows(answers, answered), outlet.sink, outlet.place, outlet.token)

    def _concluded(self, report: Report, counts: Counts, failed: DataFrame) -> Report:
        """Write down that the run is published, and what a redrive needs; returns the run's report."""
        folder, summary = self._epoch.folder, report.summary.as_dict()
        if counts.failed:
            files = {outlet.name: published_files(outlet.place) for outlet in self._outlets}
            keep_failures(folder, Failures(self._epoch.number, counts.failed, files, summary), failed)
        else:
            forget_failures(folder)
        if self._recipe is not None:
            (folder / "run.json").write(msgspec.json.encode(self._recipe).decode())
        write_report(report, folder)
        self._epoch.finish(sinks_of(self._config), summary)
        return report

    def _request(self, rows: DataFrame, frozen: Frozen, answered: StructType) -> None:
        """Request what is not answered yet."""
        before = self._epoch.answers(answered)
        progress = progress_of(before) if self._epoch.resumes else Progress(0, 0, 0)
        self._resumed, name = progress.rows, self._config.name
        # Failures that do not count were not lost: they are asked again on purpose.
        kept = progress.rows + self._epoch.refused(answered)
        self._lost = max(0, self._epoch.earlier().rows - kept)
        if progress.rows:
            known, total = f"{progress.rows:,}", f"{frozen.rows:,}"
            logger.info("%s: %s of %s rows are answered already", name, known, total)
            rows = rows.join(before.select(ROW), ROW, "left_anti")
        started = time.monotonic()
        try:
            if progress.rows < frozen.rows:
                self._ask(rows, frozen.rows, progress)
        finally:
            self._seconds = time.monotonic() - started

    def _ask(self, rows: DataFrame, total: int, before: Progress) -> None:
        left = total - before.rows
        logger.info("%s: enriching %s rows", self._config.name, f"{left:,}")
        # Whatever earlier tries have paid for counts, answers that were lost on the way included.
        before = before._replace(calls=max(before.calls, self._epoch.earlier().calls))
        tasks = tasks_of(rows, left, self._config.execution.batch_size)
        with coordinator(self._spark, self._config, self._run, self._epoch.spent()) as self._coordinator:
            contact = self._contact(self._coordinator, tasks)
            self._guard = Guard(self._coordinator, total, before, self._config.execution, contact)
            self._guard.look()
            if self._coordinator.stopped is not None:
                return  # what earlier tries have spent leaves nothing for this one
            answers = enrich(rows, tasks, self._config, self._run, self._coordinator, self._metrics.report)
            with Watch(self._guard.look):
                self._write(answers, self._guard)
            self._guard.note()

    def _contact(self, coordinator: Coordinator, tasks: int) -> Contact:
        return Contact(
            coordinator,
            working=lambda: running_tasks(self._spark, of=tasks),
            cancel=self._epoch.cancel,
            grace=self._config.transport.base_timeout + GRACE,
        )

    def _write(self, answers: DataFrame, guard: Guard) -> None:
        try:
            self._epoch.write(answers)
        except Exception:
            # What was written before it was cancelled is there.
            if not guard.cancelled:
                raise

    def _judged(self, frozen: Frozen, answered: StructType) -> tuple[Counts, DataFrame]:
        """Return the answers, ready to be published; raises `RunError` if they must not be."""
        staged = self._epoch.answers(answered)
        answers = columns_of(staged, self._config, self._response)
        counts = self._counts = count(answers, self._config.source.id)
        # Whoever gives up leaves rows out, so where none is missing nobody has.
        stopped = self._stopped(answered) if counts.rows < frozen.rows else None
        if stopped is not None:
            undone = f"{frozen.rows - counts.rows:,} of {frozen.rows:,} rows were given up"
            details = "; ".join([*map(str, counts.failures), undone, "nothing was published"])
            self._give_up(counts, stopped, f"{stopped.reason} ({details})")
        check_whole(counts, frozen)
        too_many = too_many_failures(counts, self._config.execution)
        if too_many is not None:
            self._reject(counts, too_many)
        return counts, answers

    def _stopped(self, answered: StructType) -> Stop | None:
        """Return why this try was given up; None if it was not."""
        known = self._coordinator.stopped if self._coordinator is not None else None
        told = self._epoch.stopped(answered)
        if told is not None:
            # In the words of the workers, who leave out what is secret.
            return known._replace(reason=told) if known is not None else Stop(told)
        return known

    def _give_up(self, counts: Counts, stop: Stop, reason: str) -> NoReturn:
        """End the try; answers that were not the reason for it count for the next one, failures included."""
        if stop.kind in ("max_calls", "deadline"):
            raise RunError(reason, retry=stop.retry, kind=stop.kind)
        if stop.kind == "stopped":
            # It says itself what is wrong; failures beside it are not the reason.
            self._judge(reason)
            raise RunError(reason, kind=stop.kind)
        self._reject(counts, reason, kind=stop.kind)

    def _reject(self, counts: Counts, reason: str, *, kind: str = "error_rate") -> NoReturn:
        self._judge(reason)
        raise rejection(counts, reason, kind=kind)

    def _judge(self, reason: str) -> None:
        self._epoch.judge(reason)
        self._advice = "asks again for the rows that failed"

    def _report(self, frozen: Frozen, counts: Counts) -> Report:
        curve = self._guard.curve.points() if self._guard is not None else []
        workers = self._epoch.earlier()
        workers.add(self._live)
        return report_of(self._summary(frozen, counts), counts, workers, curve)

    def _leave(self, report: Report) -> None:
        """Leave the *report* of this try, which has failed, where that of the run will be."""
        write_report(report, self._epoch.folder)

    def _report_of_failure(self, frozen: Frozen, reason: str) -> Report:
        """Return the report of a try that has ended for *reason*."""
        report = self._report(frozen, self._counts or counts_of(self._live))
        summary = msgspec.structs.replace(report.summary, rows_out=0, dead=0)
        return msgspec.structs.replace(report, summary=summary, state="failed", error=reason)

    def _summary(self, frozen: Frozen, counts: Counts) -> RunSummary:
        live, seconds = self._live.rows, self._seconds
        done = live if self._counts is None else max(0, counts.rows - self._resumed)
        dead = counts.rows - counts.passed if self._config.dead_letter is not None else 0
        return summary_of(
            counts,
            dead=dead,
            pipeline=self._config.name,
            run_id=self._run.id,
            folder=self._epoch.folder.path,
            rows_in=frozen.rows,
            seconds=round(seconds, 3),
            rows_per_second=round(done / seconds, 1) if seconds else 0.0,
            sink=self._config.sink.name,
            resumed=self._resumed,
            redone=self._lost + max(0, live - done),
            left_out=frozen.left_out,
            metrics=self._metrics.figures(),
        )

    @contextmanager
    def _kept(self, frozen: Frozen) -> Iterator[None]:
        """Say where the answers are when the block fails, and how to go on."""
        try:
            yield
        except Exception as error:
            self._blame(error)
            if not isinstance(error, RunError):
                logger.error("the try ended by an error", exc_info=error)
            known = error if isinstance(error, RunError) else RunError("", retry=True, kind="internal")
            reason = first_line(error)
            kept = f"answers are kept in {self._epoch.folder}, and the next try {self._advice}"
            ended = RunError(f"{reason}\nNothing is lost: {kept}", retry=known.retry, kind=known.kind)
            with suppress(Py4JError, OSError):
                ended.report = self._report_of_failure(frozen, reason)
                self._leave(ended.report)
            raise ended from error
