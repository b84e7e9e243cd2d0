"""What a worker holds is bounded by its window, however much its partition comes to."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator

import pyarrow as pa

from http_enrich_spark.worker import EnrichBatches, WorkerPlan, WorkerResourceManager
from http_enrich_spark.worker._enrich import MAX_BATCH_CHARACTERS
from http_enrich_transport import TransportRequest, TransportResponse
from tests.support.chain import answer
from tests.support.deadline import within
from tests.support.pipelines import load

ROWS, CONCURRENCY, BODY = 100, 4, 2 * 1024 * 1024
WINDOW = 3 * CONCURRENCY * BODY
"""Bytes of all answers that wait, or are waited for, when the next ones are asked for."""

answered: list[str] = []


def large(request: TransportRequest) -> TransportResponse:
    """Answer with a body of `BODY` bytes of its own."""
    answered.append(request.url)
    return answer(200, b"x" * BODY)


def test_a_worker_holds_three_answers_for_each_request_in_flight_and_those_that_leave_next() -> None:
    taken = 0

    def batches(rows: int) -> Iterator[pa.RecordBatch]:
        nonlocal taken
        for number in range(rows):
            taken += 1
            yield pa.RecordBatch.from_pydict({"icao": [f"X{number:04}"]})

    def enrich(rows: int) -> int:
        done = 0
        for batch in EnrichBatches(plan, ["icao"])(batches(rows)):
            done += batch.num_rows
            while len(answered) < taken:  # Spark takes its time: what is on its way piles up
                time.sleep(0.001)
        return done

    blocks = {"transport": {"engine": "memory", "handler": f"{__name__}:large"}, "response.keep_body": True}
    plan = WorkerPlan.of(load(blocks | {"execution.concurrency": CONCURRENCY}))
    try:
        within(60, lambda: enrich(1))  # what is imported on the way is not meant
        tracemalloc.start()
        done = within(60, lambda: enrich(ROWS))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        WorkerResourceManager.get(plan).close()

    assert done == ROWS
    # Those that finish together are there twice for a moment, as bytes and as text.
    assert WINDOW < most < WINDOW + CONCURRENCY * BODY + MAX_BATCH_CHARACTERS + BODY < ROWS * BODY / 3
