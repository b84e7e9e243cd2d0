"""Lets contenders take turns, and compares what each of them has cost."""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

Work = Callable[[int], None]
"""Does so many rows."""

Round = dict[str, float]
"""Microseconds of CPU per row, for each contender."""


def alternate(contenders: Mapping[str, Work], *, rounds: int, rows: int) -> list[Round]:
    """Let everyone do *rows* in each of *rounds*, in another order each time."""
    return [_round(contenders, turn, rows) for turn in range(rounds)]


def figures(name: str, spent: list[Round], base: str) -> dict[str, Any]:
    """Return the median of *name*, and how it compares with *base* in the same rounds."""
    ratios = [each[name] / each[base] for each in spent]
    return {
        "contender": name,
        "cpu_us": round(median(each[name] for each in spent), 1),
        "more_us": round(median(each[name] - each[base] for each in spent), 2),
        "ratio": round(median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
    }


def _round(contenders: Mapping[str, Work], turn: int, rows: int) -> Round:
    first = turn % len(contenders)
    names = list(contenders)
    spent = {}
    for name in names[first:] + names[:first]:
        gc.collect()  # what the one before has left behind is not on this one's account
        before = _cpu()
        contenders[name](rows)
        spent[name] = (_cpu() - before) / rows * 1e6
    return spent


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
