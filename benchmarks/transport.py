"""
CPU per request of the engines, against bare aiohttp on uvloop doing the same work.

Contenders take turns in one process, in another order each round, so that a
noisy machine is unfair to all alike; ratios are of the same round. CPU is user
and system time of the whole process, threads included; the server is another
process.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from ._contenders import CONTENDERS, Contender
from ._report import Row, dump, show
from ._server import CORES, certificate, serving

BASE = "bare aiohttp"


def main() -> None:
    """Measure over plain HTTP and over HTTPS."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--rows", type=int, default=3000, help="requests per contender and round")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, CORES[:1])  # as a Spark worker has one
    rows: list[Row] = []
    for scheme in ("http", "https"):
        rows += measure(scheme, arguments.rounds, arguments.rows)
    show(f"{arguments.rounds} rounds of {arguments.rows} requests, 32 at a time, medians", rows)
    dump("transport", rows)


def measure(scheme: str, rounds: int, rows: int) -> list[Row]:
    """Return a row of figures for each contender."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        certificate(folder)
        url = stack.enter_context(serving(folder if scheme == "https" else None))
        authority = folder / "cert.pem" if scheme == "https" else None
        contenders = {name: each(url, authority) for name, each in CONTENDERS.items()}
        for contender in contenders.values():
            contender.loop.run_until_complete(contender.open())
            contender.fetch_all(500)  # imports, caches, the first connections
        spent = [_round(contenders, turn, rows) for turn in range(rounds)]
        for contender in contenders.values():
            contender.loop.run_until_complete(contender.close())
            contender.loop.close()
    return [_figures(scheme, name, spent) for name in contenders]


def _round(contenders: dict[str, Contender], turn: int, rows: int) -> dict[str, float]:
    """Let everyone fetch *rows*; return microseconds of CPU per request."""
    first = turn % len(contenders)
    names = list(contenders)
    spent = {}
    for name in names[first:] + names[:first]:
        before = _cpu()
        contenders[name].fetch_all(rows)
        spent[name] = (_cpu() - before) / rows * 1e6
    return spent


def _figures(scheme: str, name: str, spent: list[dict[str, float]]) -> Row:
    ratios = [each[name] / each[BASE] for each in spent]
    return {
        "scheme": scheme,
        "contender": name,
        "cpu_us": round(median(each[name] for each in spent), 1),
        "ratio": round(median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
    }


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
