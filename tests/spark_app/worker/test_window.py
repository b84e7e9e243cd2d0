"""A bounded amount of work between Spark's thread and the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from queue import SimpleQueue

import pytest

from http_enrich_spark.worker._window import LoopDiedError, Window
from tests.support.deadline import within

PATIENCE = 10


class Worker:
    """An event loop in a thread, as a worker process has one."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join()
        # One turn, for a loop that a test had stopped just before it was told to.
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()
        self.loop.run_until_complete(self._cancel_all())
        self.loop.close()

    async def _cancel_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


def flat(results: Iterator[list[int]]) -> list[int]:
    """Take all *results*; fails instead of hanging."""
    return within(PATIENCE, lambda: [result for batch in results for result in batch])


async def slow_down(item: int) -> int:
    """Take a few turns of the loop, not as many for each item."""
    for _ in range(item * 7 % 11):
        await asyncio.sleep(0)
    return item


@pytest.mark.parametrize(("items", "concurrency"), [(1, 1), (100, 1), (100, 7), (3, 7), (7, 7), (1000, 100)])
def test_every_item_has_its_result(worker: Worker, items: int, concurrency: int) -> None:
    results = flat(Window(worker.loop, slow_down, list, concurrency=concurrency).run(iter(range(items))))

    assert sorted(results) == list(range(items))


def test_no_items_have_no_results(worker: Worker) -> None:
    assert flat(Window(worker.loop, slow_down, list, concurrency=3).run(iter([]))) == []


def test_never_more_than_the_concurrency_is_in_work(worker: Worker) -> None:
    running: set[int] = set()
    most = 0

    async def work(item: int) -> int:
        nonlocal most
        running.add(item)
        most = max(most, len(running))
        await slow_down(item)
        running.remove(item)
        return item

    flat(Window(worker.loop, work, list, concurrency=4).run(iter(range(200))))

    assert most == 4


def test_the_input_is_read_no_further_ahead_than_three_times_the_concurrency(worker: Worker) -> None:
    """Memory must not grow with the partition."""
    taken = returned = ahead = 0

    def items() -> Iterator[int]:
        nonlocal taken, ahead
        for item in range(500):
            taken += 1
            ahead = max(ahead, taken - returned)
            yield item

    def consume() -> None:
        nonlocal returned
        for batch in Window(worker.loop, slow_down, list, concurrency=5).run(items()):
            returned += len(batch)

    within(PATIENCE, consume)

    assert returned == 500
    assert ahead <= 15


def test_a_slow_item_does_not_hold_back_the_others(worker: Worker) -> None:
    released = asyncio.Event()

    async def work(item: int) -> int:
        if item == 0:
            await released.wait()
        return item

    def consume() -> list[int]:
        results = []
        for batch in Window(worker.loop, work, list, concurrency=3).run(iter(range(100))):
            results += batch
            if len(results) == 99:  # nobody waits for item 0 any more
                worker.loop.call_soon_threadsafe(released.set)
        return results

    results = within(PATIENCE, consume)

    assert results == [*range(1, 100), 0]


def test_a_few_results_do_not_wait_for_a_full_batch(worker: Worker) -> None:
    """The last rows of a partition, or those of a slow API, would otherwise never arrive."""

    async def work(item: int) -> int:
        return item if item < 2 else await asyncio.Future()

    results = Window(worker.loop, work, list, concurrency=50).run(iter(range(10)))
    first = within(PATIENCE, lambda: next(results))
    results.close()  # type: ignore[attr-defined]

    assert first == [0, 1]


def test_an_exception_in_the_work_ends_the_run(worker: Worker) -> None:
    async def work(item: int) -> int:
        if item == 20:
            raise LookupError("item 20")
        return item

    with pytest.raises(LookupError, match="item 20"):
        flat(Window(worker.loop, work, list, concurrency=3).run(iter(range(100))))


def test_an_exception_in_what_is_done_for_many_at_once_ends_the_run(worker: Worker) -> None:
    """Fewer items than the concurrency are handed over by a timer, behind which nobody waits."""

    def finish(items: list[int]) -> list[int]:
        raise ValueError(items)

    with pytest.raises(ValueError, match="0"):
        within(PATIENCE, lambda: flat(Window(worker.loop, slow_down, finish, concurrency=50).run(iter([0]))))


def test_items_are_begun_many_at_once_before_any_of_them_is_in_work(worker: Worker) -> None:
    begun: list[int] = []
    sizes: list[int] = []

    def begin(items: Sequence[int]) -> None:
        assert threading.current_thread() is worker.thread
        begun.extend(items)
        sizes.append(len(items))

    async def work(item: int) -> int:
        return int(item in begun)

    found = flat(Window(worker.loop, work, list, concurrency=4, begin=begin).run(iter(range(10))))

    assert found == [1] * 10
    assert sizes == [4, 4, 2]


def test_an_exception_in_what_begins_many_at_once_ends_the_run(worker: Worker) -> None:
    def begin(items: Sequence[int]) -> None:
        raise LookupError("cannot begin")

    with pytest.raises(LookupError, match="cannot begin"):
        flat(Window(worker.loop, slow_down, list, concurrency=4, begin=begin).run(iter(range(10))))


def test_an_exception_in_the_input_ends_the_run(worker: Worker) -> None:
    def items() -> Iterator[int]:
        yield from range(20)
        raise LookupError("partition lost")

    with pytest.raises(LookupError, match="partition lost"):
        flat(Window(worker.loop, slow_down, list, concurrency=3).run(items()))


def test_a_loop_that_dies_does_not_leave_spark_waiting(worker: Worker) -> None:
    async def work(item: int) -> int:
        worker.loop.stop()
        return await asyncio.Future()

    window = Window(worker.loop, work, list, concurrency=2, alive=worker.thread.is_alive)

    with pytest.raises(LoopDiedError):
        flat(window.run(iter(range(10))))


def test_whoever_stops_listening_stops_the_work(worker: Worker) -> None:
    """Spark closes the iterator when a LIMIT is satisfied or the task is killed."""
    started: SimpleQueue[int] = SimpleQueue()
    cancelled: SimpleQueue[int] = SimpleQueue()

    async def work(item: int) -> int:
        if item == 0:
            return item
        started.put(item)
        try:
            return await asyncio.Future()
        finally:
            cancelled.put(item)

    results = Window(worker.loop, work, list, concurrency=4).run(iter(range(50)))
    assert within(PATIENCE, lambda: next(results)) == [0]
    in_flight = {started.get(timeout=PATIENCE) for _ in range(4)}
    results.close()  # type: ignore[attr-defined]
    stopped = {cancelled.get(timeout=PATIENCE) for _ in range(4)}

    assert stopped == in_flight == {1, 2, 3, 4}
    assert started.empty()


def test_work_that_cancels_itself_does_not_leave_spark_waiting(worker: Worker) -> None:
    async def work(item: int) -> int:
        raise asyncio.CancelledError

    with pytest.raises(LoopDiedError, match="cancelled from within"):
        flat(Window(worker.loop, work, list, concurrency=2).run(iter([1])))
