"""One try of a run, and what it knows of those before it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import reduce
from typing import Any
from uuid import uuid4

import msgspec
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from http_enrich_spark._logs import logger
from http_enrich_spark.config import RunKey
from http_enrich_spark.coordinator import Totals
from http_enrich_spark.driver._columns import fitting
from http_enrich_spark.driver._facts import Frozen, passed
from http_enrich_spark.driver._files import Folder
from http_enrich_spark.driver._frames import no_rows
from http_enrich_spark.driver._parquet import KEPT

from ._done import Done, is_done, keep_done
from ._lease import Lease, epochs, lease_name, state_of
from ._manifest import Manifest, Part, Reading, Verdict

_COMMITTER = "mapreduce.fileoutputcommitter.algorithm.version"
"""With 2, a task's file is there for good when the task has ended, and not only when the job has."""


class Epoch:
    """
    The try that has the run now.

    Rows are frozen once and told apart by a number; answers are files of Parquet, one or more per task,
    that count as soon as their task has ended. With *anew*, what earlier tries have left goes when this one
    begins, and not before: one that is refused costs nothing.
    """

    def __init__(
        self,
        spark: SparkSession,
        folder: Folder,
        lease: Lease,
        key: RunKey,
        last: Manifest | None,
        parts: list[Part],
        *,
        reading: Reading | None = None,
        anew: bool = False,
        fresh: str = "",
    ) -> None:
        self._spark, self._key, self._last, self._parts = spark, key, last, parts
        self._reading, self._anew, self._fresh = reading, anew, fresh
        self._context: Any = spark.sparkContext
        self.folder, self.lease, self.number = folder, lease, lease.epoch
        self._answers = folder / f"epoch={self.number}"
        self.first = last.first if last else self.number
        self._tries = [*last.tries, last.epoch] if last else []
        self.token = last.token if last else uuid4().hex[:12]
        """Twelve hexadecimal digits, the same for all tries that go on with the same rows, and no others."""
        self.input = folder / f"input-{self.first}"

    @property
    def frozen(self) -> Frozen | None:
        """What an earlier try has found out about its rows; None if this one has to freeze them."""
        last = self._last
        return Frozen(last.rows, int(last.ids), last.schema, last.left_out) if last else None

    @property
    def resumes(self) -> bool:
        """Whether there are answers of earlier tries."""
        return bool(self._parts)

    def begin(self, frozen: Frozen) -> None:
        """Write down what this try starts from; only then others may count on its rows."""
        manifest = Manifest(
            epoch=self.number,
            settings=self._key.settings,
            digest=self._key.digest,
            first=self.first,
            token=self.token,
            rows=frozen.rows,
            ids=str(frozen.ids),
            schema=frozen.schema,
            left_out=frozen.left_out,
            parts=self._parts,
            tries=self._tries,
            fresh=self._fresh,
        )
        self.lease.check()
        name = f"epoch-{self.number}.json"
        (self.folder / name).publish(_text(manifest))
        if self._anew:
            tidy(self.folder, stays=(name, self.input.name).__contains__)

    def abandon(self) -> None:
        """Delete what was frozen in vain, and the folder if there is nothing in it but this try's lease."""
        if self._last is None:
            self.input.delete()
        if self.folder.names() == [self.lease.name]:
            self.folder.delete()

    def write(self, answers: DataFrame) -> None:
        """Write *answers*, each task's as soon as it has ended."""
        answers.write.option(_COMMITTER, "2").options(**KEPT).parquet(self._answers.path)

    def answers(self, schema: StructType) -> DataFrame:
        """Return what is answered by now, here and in earlier tries."""
        own = Part([f"{self._answers.name}/{each.below}" for each in self._answers.files()])
        found = [self._read(part, schema) for part in [*self._parts, own] if part.files]
        return reduce(DataFrame.unionAll, found) if found else no_rows(self._spark, schema)

    def _read(self, part: Part, schema: StructType) -> DataFrame:
        files = [f"{self.folder}/{each}" for each in part.files]
        # The name of the folder looks like a partition's.
        rows = self._spark.read.schema(schema).option("recursiveFileLookup", "true").parquet(*files)
        if not part.only_ok:
            return rows.where("http.outcome <> 'stopped'")
        for each in part.readings:
            rows = fitting(rows, each.schema, each.select)
        return rows.where(passed())

    def refused(self, schema: StructType) -> int:
        """Return how many answers of earlier tries do not count because they are failures."""
        return sum(
            self._read(Part(part.files), schema).count() - self._read(part, schema).count()
            for part in self._parts
            if part.only_ok
        )

    def stopped(self, schema: StructType) -> str | None:
        """Return why workers have given this try up; None if none has."""
        if not self._answers.exists():
            return None
        rows = (
            self._spark.read.schema(schema).option("recursiveFileLookup", "true").parquet(self._answers.path)
        )
        row = rows.where("http.outcome = 'stopped'").agg(F.min_by("http.error", "http.requested_at")).first()
        return str(row[0]) if row is not None and row[0] is not None else None

    def earlier(self) -> Totals:
        """Return what the workers of the tries that this one goes on with had counted by their last words."""
        totals = Totals()
        for state in [state_of(self.folder, each) for each in self._tries]:
            if state is not None:
                totals.add(state.totals)
        return totals

    def spent(self) -> list[tuple[float, int]]:
        """Return how many seconds ago each try before this one was last heard of, and its requests."""
        others = [each for each in epochs(self.folder) if each != self.number]
        states = [state for state in (state_of(self.folder, each) for each in others) if state is not None]
        return [(max(0.0, time.time() - state.at), state.totals.calls) for state in states]

    def keep(self, totals: Callable[[], Totals]) -> None:
        """Hold the lease from here on; when it is lost, what Spark does for this run is cancelled."""
        self._context.setJobGroup(self._group, f"{self._key.name}, try {self.number}", interruptOnCancel=True)
        # Jobs that are still to come, too: between two of them there is nothing to cancel.
        self.lease.keep(lambda: self._context._jsc.sc().cancelJobGroupAndFutureJobs(self._group), totals)

    def cancel(self) -> None:
        """Cancel what Spark does for this try just now; answers of tasks that have ended stay."""
        self._context.cancelJobGroup(self._group)

    @property
    def _group(self) -> str:
        return f"http-enrich {self.folder.path} {self.number}"

    def judge(self, reason: str) -> None:
        """Write down that the answers are too bad: the next try asks for the failed ones again."""
        (self.folder / f"epoch-{self.number}.failed.json").publish(_text(Verdict(reason, self._reading)))

    def finish(self, sinks: dict[str, Any], summary: dict[str, Any]) -> None:
        """Write down that the run is published, and delete what is of no more use."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self.close(Done(self._key.digest, self._key.settings, sinks, at, summary, fresh=self._fresh))

    def close(self, done: Done) -> None:
        """Write *done* down, and delete what is of no more use."""
        keep_done(self.folder, self.number, done)
        tidy(self.folder)
        for epoch in epochs(self.folder):
            if epoch < self.number:
                (self.folder / lease_name(epoch)).delete()


def outlives(name: str) -> bool:
    """Say whether a file of this *name* stays of a run that was published."""
    return is_done(name) or name in ("report.json", "run.json", "failed")


def tidy(folder: Folder, *, stays: Callable[[str], bool] = outlives) -> None:
    """Delete what is in *folder* but leases and what *stays*; that it fails is no reason to fail the run."""
    # Manifests first: without them, nobody takes for whole what is deleted after them.
    order = sorted(folder.names(), key=lambda name: (not name.startswith("epoch-"), is_done(name)))
    for name in order:
        if name.endswith(".lease") or stays(name):
            continue
        try:
            (folder / name).delete()
        except Exception as error:  # noqa: BLE001 - whatever a file system may throw
            logger.warning(
                "could not delete %s/%s (%s); delete it by hand", folder, name, type(error).__name__
            )


def _text(record: msgspec.Struct) -> str:
    return msgspec.json.encode(record).decode()
