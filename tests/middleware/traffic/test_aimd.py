"""How the limit moves, step by step."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from http_enrich_middleware.traffic._aimd import FEW, SAMPLE, Aimd


def law(highest: int = 50, *, lowest: int = 1, tolerance: float | None = None) -> Aimd:
    return Aimd(lowest, highest, 0.7, tolerance)


def settled(limit: int) -> Aimd:
    """Return a law whose slow start is over, at *limit*."""
    made = law()
    made.congested(made.send())
    made.limit = limit
    return made


def answers(made: Aimd, count: int, seconds: float = 0.1, *, under_way: int | None = None) -> int:
    """Let *count* requests be answered while *under_way* (default: as many as may) are; return the limit."""
    for _ in range(count):
        made.answered(made.send(), made.limit if under_way is None else under_way, seconds)
    return made.limit


def round_trip(made: Aimd) -> int:
    return answers(made, made.limit)


def grown(seconds: float = 0.1) -> Aimd:
    """Return a law that has reached 50 with answers that took *seconds*, at the start of a sample."""
    made = law(tolerance=2.0)
    answers(made, SAMPLE + (8 + SAMPLE) + (16 + SAMPLE) + (32 + SAMPLE), seconds)
    return made


# Refusals and answers


def test_it_doubles_each_round_trip_until_the_first_congestion() -> None:
    made = law(100)

    assert [round_trip(made) for _ in range(3)] == [8, 16, 32]
    made.congested(made.send())
    assert made.limit == 22
    assert [round_trip(made) for _ in range(3)] == [23, 24, 25]


@pytest.mark.parametrize(
    ("lowest", "highest", "first"), [(1, 50, 4), (1, 3, 3), (1, 1, 1), (10, 50, 10), (2, 2, 2)]
)
def test_it_begins_with_a_few(lowest: int, highest: int, first: int) -> None:
    assert law(highest, lowest=lowest).limit == first


def test_it_stays_between_lowest_and_highest() -> None:
    made = law(6, lowest=2)

    assert [round_trip(made) for _ in range(2)] == [6, 6]
    limits = []
    for _ in range(4):
        made.congested(made.send())
        limits.append(made.limit)
    assert limits == [4, 2, 2, 2]


def test_a_whole_window_of_refusals_counts_once() -> None:
    made = settled(20)
    numbers = [made.send() for _ in range(20)]

    for number in numbers:
        made.congested(number)

    assert made.limit == 14
    made.congested(made.send())
    assert made.limit == 9


def test_answers_from_before_a_cut_do_not_undo_it() -> None:
    made = settled(10)
    numbers = [made.send() for _ in range(10)]
    made.congested(numbers[0])

    for number in numbers[1:]:
        made.answered(number, 9, 0.1)
    assert made.limit == 7
    assert round_trip(made) == 8


def test_answers_that_were_half_a_step_are_forgotten_with_a_cut() -> None:
    made = settled(10)
    answers(made, 9)
    made.congested(made.send())

    assert answers(made, 6) == 7
    assert answers(made, 1) == 8


def test_a_trickle_does_not_raise_what_it_does_not_use() -> None:
    made = settled(10)

    assert answers(made, 100, under_way=4) == 10
    assert answers(made, 10, under_way=5) == 11


# Latency


def test_it_doubles_at_most_before_latency_is_looked_at() -> None:
    made = law(tolerance=2.0)

    assert [answers(made, 4), answers(made, SAMPLE - 5), answers(made, 1)] == [8, 8, 9]
    assert [answers(made, 7 + SAMPLE), answers(made, 1)] == [16, 17]
    assert [answers(made, 15 + SAMPLE), answers(made, 1), answers(made, 17)] == [32, 33, 50]


def test_latency_of_more_than_twice_the_best_is_congestion() -> None:
    """Ten milliseconds of our own are taken for granted on both sides."""
    made = grown(0.1)

    assert [answers(made, SAMPLE, seconds) for seconds in (0.1, 0.209, 0.211)] == [50, 50, 35]


def test_nothing_is_added_until_the_latency_has_come_down() -> None:
    made = grown(0.1)
    answers(made, SAMPLE, 0.3)

    assert answers(made, 50 + 35 + SAMPLE - 1, 0.1) == 35  # what was under way comes first
    assert [answers(made, 34), answers(made, 1)] == [35, 36]


def test_without_a_tolerance_latency_is_no_sign() -> None:
    made = law()

    assert [answers(made, 500, seconds) for seconds in (0.1, 100.0)] == [50, 50]


def test_slow_answers_alone_leave_a_few_and_then_are_the_measure() -> None:
    """If four requests at a time take as long, then concurrency is not what makes them slow."""
    made = grown(0.1)
    limits = [answers(made, 1, 0.5) for _ in range(1000)]

    assert list(dict.fromkeys(limits))[:9] == [50, 35, 24, 16, 11, 7, 4, 5, 6]
    assert limits.index(FEW) == 528
    assert limits[-1] == 50


def test_hiccups_of_a_few_milliseconds_are_nothing() -> None:
    made = grown(0.001)

    assert [answers(made, SAMPLE, seconds) for seconds in (0.005, 0.0119, 0.0121)] == [50, 50, 35]


def test_refusals_leave_less_than_slow_answers_do() -> None:
    made = law(tolerance=2.0)
    for _ in range(5):
        made.congested(made.send())

    assert made.limit == 1
    answers(made, 200, 0.1, under_way=0)
    assert answers(made, 500, 1.0, under_way=0) == 1


def finish(
    latency: Callable[[random.Random], float], *, places: int = 1000, requests: int = 10_000
) -> tuple[float, float]:
    """Let an API with so many *places* answer *requests*; return how long it took and the mean limit."""
    dice, made, now, area = random.Random(7), law(tolerance=2.0), 0.0, 0.0
    free, under_way = [0.0] * places, list[tuple[float, int, float]]()
    for _ in range(requests):
        while len(under_way) < made.limit:
            end = max(now, heapq.heappop(free)) + latency(dice)
            heapq.heappush(free, end)
            heapq.heappush(under_way, (end, made.send(), now))
        end, number, begun = heapq.heappop(under_way)
        area, now = area + made.limit * (end - now), end
        made.answered(number, len(under_way) + 1, end - begun)
    return now, area / now


@pytest.mark.parametrize(
    "latency",
    [
        lambda dice: 0.1,
        lambda dice: dice.expovariate(10),
        lambda dice: dice.lognormvariate(-2.3, 1.0),
        lambda dice: 0.02 if dice.random() < 0.45 else 0.3,
        lambda dice: 30.0 if dice.random() < 0.01 else 0.1,
    ],
    ids=["constant", "exponential", "lognormal", "of two kinds", "one in a hundred"],
)
def test_latencies_that_differ_by_nature_cost_hardly_anything(
    latency: Callable[[random.Random], float],
) -> None:
    dice = random.Random(8)
    mean = sum(latency(dice) for _ in range(100_000)) / 100_000

    seconds, limit = finish(latency)

    assert limit >= 45
    assert seconds <= 1.15 * 10_000 * mean / 50 + 31


@pytest.mark.parametrize(("places", "most"), [(2, 25), (5, 25), (20, 42)])
@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_an_api_that_queues_is_used_up_and_has_no_long_queue(places: int, most: int, spread: float) -> None:
    seconds, limit = finish(
        lambda dice: 0.1 * dice.lognormvariate(-spread * spread / 2, spread), places=places
    )

    assert seconds <= 1.05 * 10_000 * 0.1 / places
    assert places <= limit <= most


STEPS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 60), st.integers(0, 60), st.floats(0, 10)), max_size=300
)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 6), st.integers(0, 20), st.floats(0.01, 0.99), st.none() | st.floats(1.01, 3), STEPS)
def test_the_limit_never_leaves_its_bounds(
    lowest: int,
    more: int,
    decrease: float,
    tolerance: float | None,
    steps: list[tuple[bool, int, int, float]],
) -> None:
    made = Aimd(lowest, lowest + more, decrease, tolerance)
    for answered, back, under_way, seconds in steps:
        number = max(0, made.send() - back)
        before = made.limit
        if answered:
            made.answered(number, under_way, seconds)
            assert made.limit <= before + 1
        else:
            made.congested(number)
            assert made.limit <= before
        assert lowest <= made.limit <= lowest + more
