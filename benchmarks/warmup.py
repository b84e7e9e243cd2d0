"""
Latency of a worker's first 50 requests over HTTPS, with a warm-up and without.

All 50 are sent at once, each over a connection of its own, to a server that has
never seen the client. Wall time: read the ratio, not the milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from . import _contenders
from ._contenders import Aiohttp, Engine, Pyreqwest
from ._report import Row, dump, show
from ._server import certificate, serving

REQUESTS = 50


def main() -> None:
    """Measure both engines, cold and warm in turn."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    _contenders.CONNECTIONS = REQUESTS
    with tempfile.TemporaryDirectory() as folder:
        certificate(Path(folder))
        with serving(Path(folder)) as url:
            authority = Path(folder, "cert.pem")
            rows = [measure(engine, url, authority, rounds) for engine in (Aiohttp, Pyreqwest)]
    show(f"first {REQUESTS} requests over HTTPS, {rounds} rounds, medians in milliseconds", rows)
    dump("warmup", rows)


def measure(engine: type[Engine], url: str, authority: Path, rounds: int) -> Row:
    """Return a row of figures for *engine*."""
    cold, warm, took = [], [], []
    for _ in range(rounds):
        cold.append(_first(engine(url, authority, warm=False))[0])
        latencies, warmup_ms = _first(engine(url, authority))
        warm.append(latencies)
        took.append(warmup_ms)
    p50 = [(median(before), median(after)) for before, after in zip(cold, warm, strict=True)]
    return {
        "engine": engine.name,
        "cold_p50": round(median(before for before, _ in p50), 1),
        "warm_p50": round(median(after for _, after in p50), 1),
        "cold_p99": round(median(quantiles(each, n=100)[98] for each in cold), 1),
        "warm_p99": round(median(quantiles(each, n=100)[98] for each in warm), 1),
        "warmup": round(median(took), 1),
        "cold/warm_p50": round(median(before / after for before, after in p50), 1),
    }


def _first(engine: Engine) -> tuple[list[float], float]:
    """Return the latencies of the first requests of *engine*, and how long its warm-up took."""

    async def timed(row: int) -> float:
        started = time.perf_counter()
        await engine.fetch(row)
        return (time.perf_counter() - started) * 1000

    async def all_at_once() -> list[float]:
        return await asyncio.gather(*map(timed, range(REQUESTS)))

    report = engine.loop.run_until_complete(engine.open())
    try:
        assert report.connections == (REQUESTS if engine.warm else 0)
        return engine.loop.run_until_complete(all_at_once()), report.elapsed_ms
    finally:
        engine.loop.run_until_complete(engine.close())
        engine.loop.close()


if __name__ == "__main__":
    main()
