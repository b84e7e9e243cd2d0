"""The folder of a run: what outlives its tries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from http_enrich_spark._logs import logger
from http_enrich_spark.config import PipelineConfig, RunInfo, RunKey
from http_enrich_spark.driver._errors import RunError
from http_enrich_spark.driver._files import Folder

from ._done import Done, keep_done, last_done
from ._epoch import Epoch, tidy
from ._failures import Failures, last_failures
from ._lease import Lease, epochs, refuse_others
from ._manifest import Manifest, Part, Reading, Verdict
from ._records import read


class Ledger:
    """
    What is known of one run: its tries, their rows, their answers, and whether it was published.

    `checkpoint/<pipeline and window>/` holds a lease, a manifest and a folder of answers for each try,
    the frozen rows, and at the end the figures.
    """

    def __init__(
        self,
        spark: SparkSession,
        config: PipelineConfig,
        run: RunInfo,
        *,
        only: Sequence[str] = (),
        fresh: str = "",
    ) -> None:
        self._spark, self._fresh = spark, fresh
        self.key = RunKey.of(config, run, only=only)
        self.folder = Folder(spark, config.checkpoint) / self.key.folder
        self._given = config.execution.checkpoint is not None
        self._adds = config.sink.mode == "append" and not fresh
        response = config.response
        self._reading = Reading(response.schema_, response.select) if response.schema_ is not None else None

    def done(self) -> Done | None:
        """Return how the run was published; None if it was not, by these settings and since it began anew."""
        done = last_done(self.folder)
        return done if done is not None and self._counts(done) else None

    def _counts(self, earlier: Done | Manifest) -> bool:
        """Say whether a try that was *earlier* is one of the same thing."""
        return earlier.digest == self.key.digest and self._fresh in ("", earlier.fresh)

    @contextmanager
    def epoch(self) -> Iterator[Epoch]:
        """
        Take the run over from whoever has it, for the block.

        Where it is to begin anew, nothing of earlier tries counts, and what they have left is deleted when
        this one begins; so it is where the run was published by other settings than these.
        """
        with self._lease() as lease:
            outdated = self._is_outdated()
            last = None if outdated else self._last_manifest()
            yield self._epoch(lease, last, anew=outdated or (bool(self._fresh) and last is None))

    @contextmanager
    def redrive(self) -> Iterator[Epoch]:
        """
        Take the run, which is published, over for the block, to request some of its rows again.

        Raises `RunError` if a redrive of other rows was cut short when it had begun to publish.
        """
        with self._lease() as lease:
            failures, tries = last_failures(self.folder), self._manifests()
            if failures is not None and tries and tries[-1].first <= failures.epoch:
                self._end_redrive(failures)
                tries = []
            if tries and tries[-1].digest != self.key.digest and self._has_begun():
                msg = (
                    f"{self.folder}: a redrive was cut short while it published; finish it first, with the "
                    "same --only and the same pipeline"
                )
                raise RunError(msg)
            yield self._epoch(lease, self._last_manifest())

    def _end_redrive(self, failures: Failures) -> None:
        """Do what was left to do for one that has died when all was published and written down."""
        done = last_done(self.folder)
        if done is not None:
            keep_done(self.folder, failures.epoch, msgspec.structs.replace(done, summary=failures.summary))
        tidy(self.folder)

    @contextmanager
    def _lease(self) -> Iterator[Lease]:
        refuse_others(self.folder, self.key.digest)
        lease = Lease.claim(self._spark, self.folder, self.key.digest)
        try:
            lease.wait_for_others()
            yield lease
        finally:
            lease.end()
            self._release_jobs()
            self._leave_no_empty_folder()

    def _epoch(self, lease: Lease, last: Manifest | None, *, anew: bool = False) -> Epoch:
        parts, reading = self._parts(last), self._reading
        return Epoch(
            self._spark,
            self.folder,
            lease,
            self.key,
            last,
            parts,
            reading=reading,
            anew=anew,
            fresh=self._fresh or (last.fresh if last else ""),
        )

    def _has_begun(self) -> bool:
        places = [name for name in self.folder.names() if name.startswith("publish-")]
        return any((self.folder / name / "begun").exists() for name in places)

    def _release_jobs(self) -> None:
        """Let what this thread does next with Spark be no job of the run any more: those may be cancelled."""
        context: Any = self._spark.sparkContext
        with suppress(Py4JError):
            context._jsc.clearJobGroup()

    def _leave_no_empty_folder(self) -> None:
        if not self._given:
            self.folder.parent.delete_empty()

    def _is_outdated(self) -> bool:
        """Say whether the run was published by other settings than these, to the log what they were."""
        done = last_done(self.folder)
        if done is None or done.digest == self.key.digest:
            return False
        changes = ", ".join(self.key.changes(done.settings))
        if self._adds:
            msg = (
                f"{changes} changed since the run was published on {done.at}, and mode append would add its "
                "rows a second time: change it back, or take them out of the table and start it with --fresh"
            )
            raise RunError(msg, kind="sink")
        logger.warning("%s changed since the run was published on %s, so it starts afresh", changes, done.at)
        return True

    def _last_manifest(self) -> Manifest | None:
        """Return that of the last try with these settings; say what has changed since the last of all."""
        known = self._manifests()
        same = [each for each in known if self._counts(each)]
        if known and known[-1].digest != self.key.digest:
            changes = ", ".join(self.key.changes(known[-1].settings))
            how = "goes on with answers of a try before that" if same else "starts afresh"
            logger.warning("%s changed since the last try, so this one %s", changes, how)
        return same[-1] if same else None

    def _manifests(self) -> list[Manifest]:
        found = [read(self.folder / f"epoch-{each}.json", Manifest) for each in epochs(self.folder)]
        return [each for each in found if each is not None]

    def _parts(self, last: Manifest | None) -> list[Part]:
        """Return the answers that count: what is there now, and not what a dying try may still add."""
        if last is None:
            return []
        files = [f"epoch={last.epoch}/{each.below}" for each in (self.folder / f"epoch={last.epoch}").files()]
        parts = [*last.parts, Part(files)]
        verdict = read(self.folder / f"epoch-{last.epoch}.failed.json", Verdict)
        if verdict is not None:
            parts = [self._without_failures(part, verdict) for part in parts]
        return [part for part in parts if part.files]

    def _without_failures(self, part: Part, verdict: Verdict) -> Part:
        """Return *part* without what has failed; who reads bodies in another way looks into them first."""
        known, reading = part.readings, verdict.reading
        alike = reading is not None and reading == self._reading and reading not in known
        return msgspec.structs.replace(part, only_ok=True, readings=[*known, reading] if alike else known)
