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
import tempfile
from contextlib import ExitStack
from pathlib import Path

from ._contenders import CONTENDERS
from ._report import Row, dump, show
from ._rounds import alternate, figures
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
        spent = alternate(
            {name: each.fetch_all for name, each in contenders.items()}, rounds=rounds, rows=rows
        )
        for contender in contenders.values():
            contender.loop.run_until_complete(contender.close())
            contender.loop.close()
    return [{"scheme": scheme, **figures(name, spent, BASE)} for name in contenders]


if __name__ == "__main__":
    main()
