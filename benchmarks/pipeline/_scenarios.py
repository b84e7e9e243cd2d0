"""What is measured, and what each figure is compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from ._contenders import (
    Contender,
    GatherAiohttp,
    PandasRequests,
    Product,
    ProductWithEight,
    ProductWithEightInCluster,
)
from ._measure import Bench, Figures
from ._server import DELAY, TAIL_DELAY, TAIL_EVERY

SLOTS = 100
"""Requests in flight where the server is slow."""

FAST_SLOTS = 32
"""Requests in flight where it is not."""

FAST_TIMES = 5
"""Times as many rows there: what a run takes for its start must not weigh."""

BATCH = 10_000
"""Rows per task; the product's default."""


class Run(NamedTuple):
    """Somebody takes so many rows to the server."""

    contender: str
    rows: int
    measure: Callable[[], Figures]


class Scenario(NamedTuple):
    """
    Runs that are compared.

    `ratio` is told the figures of a run and those of the first of the same round.
    """

    name: str
    rounds: int
    runs: list[Run]
    ratio: Callable[[Figures, Figures], float]


def ideal(path: str) -> float:
    """Return the rows per second that `SLOTS` allow: as many per mean latency of the server."""
    late = 1 / TAIL_EVERY if path == "tail" else 0.0
    return SLOTS / ((1 - late) * DELAY + late * TAIL_DELAY)


def scenarios(bench: Bench, *, rounds: int, rows: int, many: int) -> Iterator[Scenario]:
    """Return all of them, at *rows* per run; the one that needs *many* has four rounds."""
    for path in ("slow", "tail"):
        yield _latency(bench, path, rounds, rows)
    yield _cpu(bench, rounds, FAST_TIMES * rows)
    for path in ("slow", "tail"):
        yield _instead(bench, path, rounds, rows)
    yield _flat(bench, many)


def _latency(bench: Bench, path: str, rounds: int, rows: int) -> Scenario:
    """One task: how fast it is between its first and its last tenth, of what is ideal."""
    ours = Product(bench.spark, bench.url, slots=SLOTS, batch=rows)
    runs = [Run("product", rows, partial(bench.measure, ours, path, rows))]
    return Scenario(f"latency-{path}", rounds, runs, lambda own, _: own["steady_rps"] / ideal(path))


def _cpu(bench: Bench, rounds: int, rows: int) -> Scenario:
    """Rows per second of the worker's CPU, of those of bare aiohttp."""
    contenders: dict[str, type[Product]] = {
        "product + 8": ProductWithEight,
        "product + 8, cluster": ProductWithEightInCluster,
        "product": Product,
    }
    runs = [Run("bare aiohttp", rows, partial(bench.measure_bare, "fast", rows, FAST_SLOTS))]
    for name, kind in contenders.items():
        contender = kind(bench.spark, bench.url, slots=FAST_SLOTS, batch=BATCH)
        runs.append(Run(name, rows, partial(bench.measure, contender, "fast", rows)))
    return Scenario("cpu", rounds, runs, lambda own, bare: bare["cpu_us"] / own["cpu_us"])


def _instead(bench: Bench, path: str, rounds: int, rows: int) -> Scenario:
    """Several tasks, from the first request to the last answer: how fast, of ours."""
    contenders: dict[str, type[Contender]] = {
        "product": Product,
        "pandas UDF + requests": PandasRequests,
        "mapPartitions + gather": GatherAiohttp,
    }
    runs = []
    for name, kind in contenders.items():
        contender = kind(bench.spark, bench.url, slots=SLOTS, batch=max(1, rows // 4))
        runs.append(Run(name, rows, partial(bench.measure, contender, path, rows)))
    return Scenario(f"instead-{path}", rounds, runs, lambda own, ours: own["whole_rps"] / ours["whole_rps"])


def _flat(bench: Bench, many: int) -> Scenario:
    """How fast *many* rows are, of a tenth of them."""
    ours = ProductWithEight(bench.spark, bench.url, slots=FAST_SLOTS, batch=BATCH)
    runs = [
        Run("product + 8", rows, partial(bench.measure, ours, "fast", rows)) for rows in (many // 10, many)
    ]
    # Each way round twice: a shared machine is slower in one minute than in the next.
    return Scenario("flat", 4, runs, lambda own, few: own["steady_rps"] / few["steady_rps"])
