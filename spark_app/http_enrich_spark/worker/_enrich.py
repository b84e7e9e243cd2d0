"""The function that Spark calls for a partition."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
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
    """A row on its way: its batch, its place there, and its exchange, or why there is none."""

    batch: pa.RecordBatch
    position: int
    exchange: RequestExchange | None
    refused: HttpRecord | None = None
    kept: Any = None
    requested_at: int = 0
    elapsed_ms: float = 0.0


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
            exchanger = _Exchanger(manager)
            window: Window[_Item, _Item, _Done] = Window(
                manager.loop,
                exchanger.run,
                exchanger.finish,
                concurrency=plan.concurrency,
                begin=exchanger.begin,
                alive=lambda: manager.alive,
            )
            columns = [*manager.builder.columns, *plan.id_columns]
            positions = [position_of(name, self._names) for name in columns]
            finished = _begun(window.run(exchanger.prepare(batches, positions)), manager.run)
            yield from chain.from_iterable(map(_output, _gathered(finished)))
            if self._report is not None:
                self._report(manager.drain())
            manager.report()


class _Exchanger:
    """
    Takes rows through request, chain and record.

    Requests and records are made for many rows at a time, and so is what the outermost steps of the chain
    do: between two answers of a network, the same takes twice as long.
    """

    def __init__(self, manager: WorkerResourceManager) -> None:
        self._build = manager.builder.build
        self._id_starts = len(manager.builder.columns)
        self._bulk, self._handler = manager.bulk, manager.handler
        self._run_state = manager.run
        self._tally = manager.tally
        self._keep = Keep(manager.plan.keep_headers, manager.plan.keep_body, manager.redactor)

    def prepare(self, batches: Iterator[pa.RecordBatch], positions: Sequence[int]) -> Iterator[_Item]:
        """Make the requests of the rows of *batches*, whose values stand at *positions*."""
        for batch in batches:
            values = [read_column(batch.column(position)) for position in positions]
            rows: Iterator[Row] = zip(*values, strict=True) if values else iter([()] * batch.num_rows)
            for position, row in enumerate(rows):
                yield self._item(batch, position, row)

    def _item(self, batch: pa.RecordBatch, position: int, row: Row) -> _Item:
        try:
            request = self._build(row)
        except InvalidRequestError as error:
            return _Item(batch, position, None, unsent("invalid_request", str(error)))
        return _Item(batch, position, RequestExchange(request, row_id=tuple(row[self._id_starts :])))

    def begin(self, items: Sequence[_Item]) -> None:
        """Take rows that have a request into the chain."""
        enter = self._bulk.enter
        for item in items:
            if item.exchange is not None:
                item.kept = enter(item.exchange)

    async def run(self, item: _Item) -> _Item:
        """Take a row through the rest of the chain."""
        exchange, stopped = item.exchange, self._run_state.stopped
        if exchange is None:
            return item
        if stopped is not None:
            # Here and not in the chain, where it might wait first, for a permit that is of no use.
            item.exchange, item.refused = None, unsent(RUN_STOPPED, self._keep.redactor.text(stopped))
            return item
        item.requested_at, started = time.time_ns() // 1000, time.monotonic()
        if exchange.failure is not None:
            return item  # a step did not let it enter
        try:
            item.exchange = await self._handler(exchange)
            item.elapsed_ms = (time.monotonic() - started) * 1000
        except Exception as error:  # noqa: BLE001 - one row must not take the task with it
            item.refused = broken(exchange, type(error).__name__)
        return item

    def finish(self, items: list[_Item]) -> list[_Done]:
        """Make the records of rows that are through the chain, and count them."""
        return [_Done(item.batch, item.position, self._record(item)) for item in items]

    def _record(self, item: _Item) -> HttpRecord:
        exchange, http = item.exchange, item.refused
        if exchange is None:
            assert http is not None  # noqa: S101 - it has one of the two
            self._tally.note_unsent(http)
            return http
        self._bulk.leave(exchange, item.kept, item.elapsed_ms / 1000)
        if http is None:
            http = self._recorded(exchange, item)
        self._tally.note(http, exchange)
        return http

    def _recorded(self, exchange: RequestExchange, item: _Item) -> HttpRecord:
        try:
            return record(
                exchange, requested_at=item.requested_at, elapsed_ms=item.elapsed_ms, keep=self._keep
            )
        except Exception as error:  # noqa: BLE001 - one row must not take the task with it
            return broken(exchange, type(error).__name__)


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
