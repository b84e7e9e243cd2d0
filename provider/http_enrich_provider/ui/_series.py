"""Arithmetic of the two charts whose numbers are not shown as they come."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

_FEW = 12
"""Bars; with fewer of them, they are made narrower."""


class Rates(NamedTuple):
    """What went on per second, `until` so many seconds after the start."""

    until: float
    rows: float
    calls: float
    failed: float


class Bin(NamedTuple):
    """Rows that took longer than `above` milliseconds, and `upto` so many at most."""

    above: float
    upto: float
    rows: int


def rates(curve: Iterable[Sequence[float]]) -> list[Rates]:
    """Return the rates between the points of *curve*, which are totals; points at the same time are one."""
    points = [(0.0, 0, 0, 0), *sorted({point[0]: tuple(point) for point in curve}.values())]
    return [
        Rates(
            end[0],
            *(max(0.0, (b - a) / (end[0] - start[0])) for a, b in zip(start[1:], end[1:], strict=True)),
        )
        for start, end in pairwise(points)
        if end[0] > start[0]
    ]


def rebinned(histogram: Sequence[tuple[float, int]]) -> list[Bin]:
    """Return *histogram* with 10 bars per power of ten, or 40 where these would be few."""
    positive = [(upto, rows) for upto, rows in histogram if upto > 0 and rows]
    zeros = sum(rows for upto, rows in histogram if upto <= 0)
    bins = _in_steps(positive, 10)
    if len(bins) < _FEW:
        bins = _in_steps(positive, 40)
    return [Bin(0.0, 0.0, zeros), *bins] if zeros else bins


def _in_steps(histogram: Iterable[tuple[float, int]], steps: int) -> list[Bin]:
    rows: Counter[int] = Counter()
    for upto, count in histogram:
        # An end that is rounded must not fall into the next bar.
        rows[math.ceil(math.log10(upto) * steps - 1e-3)] += count
    return [Bin(10 ** ((bar - 1) / steps), 10 ** (bar / steps), rows[bar]) for bar in sorted(rows)]
