"""What dies when: rows, requests and readers after faults on a real Spark, each drawn from a seed."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.driver_process import driver
from tests.support.killing import FAULTS, Place, place, web_pages
from tests.support.recording_api import RecordingApi, Request, recording_api
from tests.support.small_runs import BATCH, PARTS, SLOTS, committed, pipeline, reader, table, truth
from tests.support.spark_cluster import Cluster, spark_cluster

SEEDS = int(os.environ.get("CHAOS_SEEDS", "20"))
FIRST = int(os.environ.get("CHAOS_FIRST_SEED", "0"))
ALL = 20
"""Seeds that draw each fault more than once."""
SIDE_BY_SIDE = 2
OLD = 5
"""Rows of the table that is overwritten."""
LARGEST = 2 * BATCH
"""Rows of a Spark task: hardly one in a thousand has more, since ids are hashed to tasks."""


class Sinks(NamedTuple):
    """What a seed's pipeline says of its sinks, their folders, and how many rows a reader may find where."""

    sections: dict[str, Any]
    folders: list[Path]
    whole: dict[Path, set[int]]


def sinks(folder: Path, seed: int, rows: int) -> Sinks:
    """Return the sinks that belong to *seed*; each kind meets each place in sixteen seeds."""
    out, dead = folder / "out", folder / "dead"
    failed = sum(outcome != "ok" for _, outcome, _ in truth(rows).values())
    overwrite = {"path": str(out), "mode": "overwrite"}
    match seed // 4 % 4:
        case 0:
            out.mkdir()
            pq.write_table(pa.table({"id": [str(n) for n in range(OLD)]}), out / "part-old.parquet")
            return Sinks({"sink": overwrite}, [out], {out: {OLD, rows}})
        case 1:
            errors = {"dead_letter": {"path": str(dead), "mode": "overwrite"}}
            whole = {out: {rows - failed}, dead: {failed}}
            return Sinks({"sink": overwrite, "errors": errors}, [out, dead], whole)
        case 2:
            sink = {"path": str(out), "mode": "overwrite_partitions", "partition_by": ["part"]}
            parts = {out / f"part={part}": {len(range(part, rows, PARTS))} for part in range(PARTS)}
            return Sinks({"sink": sink}, [out], parts)
        case _:
            # Readers of files that are added may see some of them.
            return Sinks({"sink": {"path": str(out), "mode": "append"}}, [out], {})


class Moment(NamedTuple):
    """The start of a driver or a death: the requests until then, and the rows whose answers were kept."""

    requests: int
    kept: set[str]


class Disturbed(NamedTuple):
    """A run with its faults: the figures at its end, how often a driver was started, and what died when."""

    figures: dict[str, Any]
    starts: int
    died: list[str]
    moments: list[Moment]


def disturb(
    folder: Path, data: dict[str, Any], api: RecordingApi, where: Place, chance: random.Random, rows: int
) -> Disturbed:
    """Run it, with faults by chance, until it ends well."""
    # In each start one fault or two, and then one start that is left alone.
    plan = [chance.choices(where.faults, k=chance.choice([1, 2])) for _ in range(chance.choice([1, 1, 1, 2]))]
    died: list[str] = []
    moments: list[Moment] = []
    for starts, faults in enumerate([*plan, [], []], 1):
        moments.append(_moment(folder, api))
        here = where._replace(settings=where.settings | (web_pages() if "job" in faults else {}))
        with driver(folder, data, here.master, settings=here.settings) as run:
            for fault in faults:
                left = rows - len(committed(folder))
                until = api.count + int(chance.uniform(0.05, 0.5) * left)
                api.wait_for(until - SLOTS * BATCH, lambda: run.ended)
                moment = _moment(folder, api)
                # By then Spark, too, knows of the tasks whose answers were kept a moment ago.
                api.wait_for(until, lambda: run.ended)
                if run.ended:
                    break
                if FAULTS[fault](run, here, chance):
                    died.append(fault)
                    moments.append(moment)
            status = run.wait()
        if status == 0:
            return Disturbed(run.figures, starts, died, moments)
    raise AssertionError(f"it never ended well: {run.output[-3000:]}")


def _moment(folder: Path, api: RecordingApi) -> Moment:
    kept = committed(folder)
    return Moment(api.count, kept)


class Result(NamedTuple):
    """What a seed has led to, with the rows that each reader saw and all requests."""

    rows: int
    run: Disturbed
    sinks: Sinks
    seen: dict[Path, set[int]]
    requests: list[Request]


class Seeds:
    """Runs seeds, some at a time, in folders below *folder*."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self._open = ExitStack()
        self._cluster: Cluster | None = None

    def run(self, seed: int) -> Result:
        """Take the run of *seed* to its end, whatever dies on the way."""
        where = place(seed, self._cluster_of_all)
        # Who kills a part of the cluster must have it to himself.
        with self._lock if where.cluster else nullcontext():
            try:
                return self._run(seed, where)
            finally:
                if where.cluster:
                    where.cluster.complete()

    def _run(self, seed: int, where: Place) -> Result:
        chance, folder = random.Random(seed), self._folder / f"seed-{seed}"
        folder.mkdir()
        rows = chance.randrange(250, 450)
        with recording_api(folder, latency=0.02, fault_rate=0.1, seed=seed) as api:
            into = sinks(folder, seed, rows)
            data = pipeline(folder, api.url, rows) | into.sections
            with reader(*into.whole) as seen:
                run = disturb(folder, data, api, where, chance, rows)
            return Result(rows, run, into, seen, api.requests)

    def _cluster_of_all(self) -> Cluster:
        with self._lock:
            if self._cluster is None:
                folder = self._folder / "cluster"
                folder.mkdir()
                self._cluster = self._open.enter_context(spark_cluster(folder))
        return self._cluster

    def close(self) -> None:
        """Stop the cluster."""
        self._open.close()


def selected(request: pytest.FixtureRequest) -> list[int]:
    here = [each for each in request.session.items if each.nodeid.startswith(request.node.nodeid)]
    found = [
        each.callspec for each in here if isinstance(each, pytest.Function) and hasattr(each, "callspec")
    ]
    return [seed for each in found if isinstance(seed := each.params["seed"], int)]


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[int, Future[Result]]]:
    """The results of all seeds that were selected: two cores have room for two drivers that start."""
    seeds = Seeds(tmp_path_factory.mktemp("seeds"))
    pool = ThreadPoolExecutor(SIDE_BY_SIDE)
    try:
        yield {seed: pool.submit(seeds.run, seed) for seed in selected(request)}
    finally:
        pool.shutdown(cancel_futures=True)
        seeds.close()


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_whatever_dies_the_table_is_that_of_an_undisturbed_run(
    results: dict[int, Future[Result]], seed: int
) -> None:
    """Repeat one with: make chaos SEEDS=1 FIRST=<seed>."""
    rows, run, sinks, seen, requests = results[seed].result()

    found, asked = table(*sinks.folders), Counter(each.row for each in requests)
    assert (found.rows, found.length) == (truth(rows), rows)
    assert run.figures["rows_out"] + run.figures["dead"] == run.figures["rows_in"] == rows
    assert all(counts <= sinks.whole[folder] for folder, counts in seen.items())
    # What was there before is there until the switch, so the reader has seen it.
    assert all(counts or OLD not in sinks.whole[folder] for folder, counts in seen.items())
    assert set(asked) == set(found.rows)
    again = [{each.row for each in requests[moment.requests :]} & moment.kept for moment in run.moments]
    assert not any(again), "rows were asked again whose answers were kept"
    # A death costs the tasks that were at work, one for each slot; attempts of one task are no second time.
    redone = sum(asked[row] > found.attempts[row] for row in asked)
    print(f"seed {seed}: {rows} rows, {run.died} died, {run.starts} starts, {redone} rows redone")
    assert all(asked[row] >= found.attempts[row] for row in asked)
    assert redone <= len(run.died) * SLOTS * LARGEST
    answers = sum(each.status != 503 for each in requests)
    assert run.figures["redone"] <= answers - rows


def test_hardly_a_seed_has_done_no_harm(results: dict[int, Future[Result]]) -> None:
    """A fault may come too late for its run, but not so often that the others prove nothing."""
    harmless = [seed for seed, result in results.items() if not result.result().run.died]

    assert len(harmless) <= max(1, len(results) // 4)


def test_each_fault_has_done_harm(results: dict[int, Future[Result]]) -> None:
    """Else a fault that finds nothing to harm any more would prove nothing, unseen."""
    died = {fault for result in results.values() for fault in result.result().run.died}

    assert died == set(FAULTS) or len(results) < ALL
