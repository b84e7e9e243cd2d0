"""Rows that wait until they can pay for a retry: in order, and no longer than they may."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from http_enrich_middleware import RequestExchange, WorkerRuntime, build_chain
from http_enrich_middleware.traffic import retry
from http_enrich_middleware.traffic._retry_budget import Budget, Budgets
from http_enrich_transport import MemoryEngine, TransportResponse
from tests.support import virtual_time
from tests.support.chain import row
from tests.support.retrying import BAD, GOOD
from tests.support.virtual_time import run


def test_rows_wait_in_order_for_tokens() -> None:
    """Whoever comes later does not overtake, not even at the moment when there are tokens."""
    done: list[tuple[str, float, int | None]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        budgets = Budgets(
            Budget(tokens=14, ratio=1e6, per_second=0.001, on_exhausted="wait"), virtual_time.runtime()
        )

        async def retry_of(name: str) -> None:
            price = await budgets.of("http://api.test/", loop.time()).pay(throttled=False, until=1000)
            done.append((name, loop.time(), price))

        async def after(seconds: float, tokens: int) -> None:
            await asyncio.sleep(seconds)
            budget = budgets.of("http://api.test/", loop.time())
            budget.failed()
            budget.earn(tokens)

        await after(0, 0)
        async with asyncio.TaskGroup() as group:
            for name in ("paid", "first", "second", "third"):
                group.create_task(retry_of(name))
            await after(5, 13)
            await after(5, 1)
            group.create_task(retry_of("late"))
            for _ in range(3):
                await after(5, 14)

    run(main())

    assert done == [
        ("paid", 0, 14),
        ("first", 10, 14),
        ("second", 15, 14),
        ("third", 20, 14),
        ("late", 25, 14),
    ]


def waiting(**options: object) -> retry.Config:
    """Return a retry whose budget is one retry from the bucket, and one in ten seconds."""
    budget = {"tokens": 14, "ratio": 0, "per_second": 0.1, "on_exhausted": "wait", **options}
    return retry.Config.model_validate({"base_delay": 0, "deadline": 60, "budget": budget})


def start(
    rows: int, config: retry.Config, *answers: TransportResponse, runtime: WorkerRuntime | None = None
) -> list[asyncio.Task[RequestExchange]]:
    """Begin to send *rows* at once; they get *answers* and then good ones."""
    left = list(answers)
    engine = MemoryEngine(lambda _: left.pop(0) if left else GOOD)
    chain = build_chain([config], engine, runtime or virtual_time.runtime())
    return [asyncio.ensure_future(chain(row())) for _ in range(rows)]


def send_together(
    rows: int, config: retry.Config, *answers: TransportResponse
) -> list[tuple[str, int, float]]:
    """Return for each row why it stopped, its attempts and the seconds it waited for the budget."""

    async def main() -> list[RequestExchange]:
        return await asyncio.gather(*start(rows, config, *answers))

    return [
        (each.metadata["retry.stop"], each.attempts, round(each.spent.get("budget", 0), 3))
        for each in run(main())
    ]


def test_success_of_a_retry_lets_the_next_row_go() -> None:
    """Each gives back what it paid, so that a queue is gone as fast as the rate allows."""
    ends = send_together(6, waiting(per_second=0.5), *[BAD] * 6)

    assert ends == [("ok", 2, 0)] * 5 + [("ok", 2, 11)]


def test_somebody_goes_ahead_for_nothing_when_the_tokens_are_used_up() -> None:
    """Else nobody would find out that the API is back: all rows wait, and no success brings a token."""
    ends = send_together(3, waiting(per_second=0.2), *[BAD] * 3, BAD)

    assert ends == [("ok", 3, 16), ("ok", 2, 5), ("ok", 2, 11)]


def test_a_row_waits_no_longer_than_its_deadline() -> None:
    ends = send_together(2, waiting(per_second=0), *[BAD] * 2)

    assert ends == [("budget", 1, 60), ("budget", 1, 60)]


def test_each_row_in_the_queue_has_its_own_deadline() -> None:
    """Whoever stands behind another may have to leave first."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        config = Budget(tokens=14, ratio=1e6, per_second=0.001, on_exhausted="wait")
        budget = Budgets(config, virtual_time.runtime()).of("http://api.test/", 0)
        budget.failed()
        await budget.pay(throttled=False, until=1000)

        async def leave(until: float) -> float:
            assert await budget.pay(throttled=False, until=until) is None
            return loop.time()

        return list(await asyncio.gather(leave(5), leave(3), leave(8)))

    assert run(main()) == [5, 3, 8]


def test_backoff_and_waiting_for_the_budget_pass_together() -> None:
    """A row that waited long enough does not sleep as well."""

    async def main() -> list[RequestExchange]:
        config = waiting(ratio=1, per_second=0.2).model_copy(update={"base_delay": 8.0, "max_delay": 8.0})
        runtime = replace(virtual_time.runtime(), uniform=lambda low, high: high)
        return await asyncio.gather(*start(3, config, *[BAD] * 3, runtime=runtime))

    spent = [each.spent for each in run(main())]

    assert spent == [{"budget": 0, "backoff": 8}, {"budget": 5, "backoff": 3}, {"budget": 8, "backoff": 0}]


def test_whoever_gives_up_waiting_makes_room() -> None:
    async def main() -> list[str]:
        rows = start(5, waiting(), *[BAD] * 5)
        await asyncio.sleep(1)
        rows[1].cancel()
        rows[3].cancel()
        ends = await asyncio.gather(*rows, return_exceptions=True)
        return [
            "cancelled"
            if isinstance(each, BaseException)
            else f"{each.metadata['retry.stop']} {each.spent['budget']:g}"
            for each in ends
        ]

    assert run(main()) == ["ok 0", "cancelled", "ok 11", "cancelled", "ok 22"]


def test_tokens_for_a_row_that_is_cancelled_at_that_moment_go_to_the_next() -> None:
    """And no timer is left behind."""

    async def main() -> tuple[int | None, float, int]:
        loop = asyncio.get_running_loop()
        config = Budget(tokens=14, ratio=1e6, per_second=0.01, on_exhausted="wait")
        budget = Budgets(config, virtual_time.runtime()).of("http://api.test/", loop.time())
        budget.failed()
        await budget.pay(throttled=False, until=1000)
        first, second = (asyncio.ensure_future(budget.pay(throttled=False, until=1000)) for _ in range(2))
        await asyncio.sleep(5)
        budget.earn(14)
        first.cancel()
        price, now = await second, loop.time()
        await asyncio.sleep(0)
        return price, now, len(asyncio.all_tasks())

    assert run(main()) == (14, 5, 1)


def test_nobody_waits_on_in_a_run_that_was_given_up() -> None:
    async def main() -> tuple[list[RequestExchange], float]:
        loop, runtime = asyncio.get_running_loop(), virtual_time.runtime()
        rows = start(4, waiting(), *[BAD] * 4, runtime=runtime)
        await asyncio.sleep(2.5)
        runtime.run.stop("the API is gone")
        return await asyncio.gather(*rows), loop.time()

    rows, took = run(main())

    assert [(each.error_kind, each.metadata["retry.stop"]) for each in rows[1:]] == [
        ("http_status", "stopped")
    ] * 3
    assert took == 2.5
