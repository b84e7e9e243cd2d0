"""The function that Spark calls for a partition."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from http_enrich_middleware import RUN_STOPPED, RequestExchange, RunState, Snapshot

from ._compile import Row
from ._manager import WorkerResourceManager
from ._plan import WorkerPlan
from ._record import HttpRecord, Keep, broken, record, to_arrow, unsent
from ._sealed import opened, seal
from ._values import InvalidRequestError, position_of, read_column
from ._window import Window

MAX_BATCH_CHARACTERS = 16 * 1024 * 1024
"""An Arrow column of texts holds 2 GiB at most; a part of it is kinder to the memory of worker and Spark."""

ROWS_AT_ONCE = 1000
"""Rows that leave together: a batch by itself costs as much as several requests."""

GATHER_SECONDS = 0.5
"""Rows that are finished wait about so long for others at most, as long as any others finish."""


class _Item(msgspec.Struct, gc=False):
    """A row on its way: its batch, its place there, and the values its request needs."""

    batch: pa.RecordBatch
    position: int
    row: Row


class _Done(msgspec.Struct, gc=False):
    batch: pa.RecordBatch
    position: int
    http: HttpRecord


class EnrichBatches:
    """
    Takes a partition's Arrow batches and yields them with the column `http`, answers as they finish.

    *names* are the columns of the batches as the pipeline knows them, in order;
    *report* is told, at the end of each partition, what the middleware have counted.
    `secrets` stay behind when it travels; workers get them from the driver that their plan names.
    """

    def __init__(
        self, plan: WorkerPlan, names: Sequence[str], report: Callable[[Snapshot], None] | None = None
    ) -> None:
        self._plan, self.secrets = seal(plan)
        self._names = names
        self._report = report

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "secrets"}

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Enrich *batches*; this is what `mapInArrow` calls on a worker."""
        plan = opened(self._plan)
        with WorkerResourceManager.lease(plan) as manager:
            window: Window[_Item, _Done] = Window(
                manager.loop,
                _Exchanger(manager).run,
                concurrency=plan.concurrency,
                alive=lambda: manager.alive,
            )
            columns = [*manager.builder.columns, *plan.id_columns]
            positions = [position_of(name, self._names) for name in columns]
            finished = _begun(window.run(_items(batches, positions)), manager.run)
            for results in _gathered(finished):
                yield from _output(results)
            if self._report is not None:
                self._report(manager.drain())
            manager.report()


class _Exchanger:
    """Takes one row through request, chain and record."""

    def __init__(self, manager: WorkerResourceManager) -> None:
        self._build = manager.builder.build
        self._id_starts = len(manager.builder.columns)
        self._handler = manager.handler
        self._run_state = manager.run
        self._tally = manager.tally
        self._keep = Keep(manager.plan.keep_headers, manager.plan.keep_body, manager.redactor)

    async def run(self, item: _Item) -> _Done:
        stopped = self._run_state.stopped
        if stopped is not None:
            # Here and not in the chain, where it might wait first, for a permit that is of no use.
            return _Done(item.batch, item.position, unsent(RUN_STOPPED, self._keep.redactor.text(stopped)))
        try:
            request = self._build(item.row)
        except InvalidRequestError as error:
            http = unsent("invalid_request", str(error))
            self._tally.note_unsent(http)
            return _Done(item.batch, item.position, http)
        exchange = RequestExchange(request, row_id=tuple(item.row[self._id_starts :]))
        requested_at, started = time.time_ns() // 1000, time.monotonic()
        try:
            exchange = await self._handler(exchange)
            elapsed_ms = (time.monotonic() - started) * 1000
            http = record(exchange, requested_at=requested_at, elapsed_ms=elapsed_ms, keep=self._keep)
        except Exception as error:  # noqa: BLE001 - one row must not take the task with it
            http = broken(exchange, type(error).__name__)
        self._tally.note(http, exchange)
        return _Done(item.batch, item.position, http)


def _begun(results: Iterator[list[_Done]], run: RunState) -> Iterator[list[_Done]]:
    """Of the rows that were given up, pass on one, which says why: the others are as if never begun."""
    said = False
    for each in results:
        if run.stopped is None:
            yield each
            continue
        given_up = [done for done in each if done.http.outcome == "stopped"]
        kept = [done for done in each if done.http.outcome != "stopped"]
        if given_up and not said:
            said = True
            kept.append(given_up[0])
        if kept:
            yield kept


def _items(batches: Iterator[pa.RecordBatch], positions: Sequence[int]) -> Iterator[_Item]:
    for batch in batches:
        values = [read_column(batch.column(position)) for position in positions]
        rows: Iterator[Row] = zip(*values, strict=True) if values else iter([()] * batch.num_rows)
        for index, row in enumerate(rows):
            yield _Item(batch, index, row)


def _gathered(results: Iterator[list[_Done]]) -> Iterator[list[_Done]]:
    """Join *results* to lists of `ROWS_AT_ONCE`, or of less if they are large or slow to come."""
    part: list[_Done] = []
    size, since = 0, time.monotonic()
    for each in results:
        for done in each:
            characters = len(done.http.body or "")
            if part and size + characters > MAX_BATCH_CHARACTERS:
                yield part
                part, size = [], 0
            part.append(done)
            size += characters
        now = time.monotonic()
        if len(part) >= ROWS_AT_ONCE or now - since >= GATHER_SECONDS:
            yield part
            part, size, since = [], 0, now
    if part:
        yield part


def _output(results: list[_Done]) -> Iterator[pa.RecordBatch]:
    """Group *results* by the batch their rows came from and put the answers beside the rows."""
    groups: dict[int, list[_Done]] = {}
    for result in results:
        groups.setdefault(id(result.batch), []).append(result)
    for group in groups.values():
        rows = group[0].batch.take(pa.array([result.position for result in group], pa.int64()))
        http = to_arrow([result.http for result in group])
        yield pa.RecordBatch.from_arrays([*rows.columns, http], names=[*rows.schema.names, "http"])
