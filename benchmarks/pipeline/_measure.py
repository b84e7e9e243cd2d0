"""Measures a run: at the server, and of Spark's Python workers."""

from __future__ import annotations

import os
import resource
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from benchmarks._server import CORES
from benchmarks.middleware import Same

from . import _processes
from ._contenders import Contender
from ._server import figures

Figures = dict[str, Any]


@dataclass
class Bench:
    """Where everything takes place, after *warm* rows that nobody counts."""

    spark: SparkSession
    url: str
    folder: Path
    warm: int

    def measure(self, contender: Contender, path: str, rows: int) -> Figures:
        """Let *contender* take *rows* to *path*, and return what that took."""
        if self.warm:
            # Imports, caches, a worker that Spark has let go in the meantime.
            contender.run(self._source(self.warm), "fast", self.folder / "out")
            self._clean()
        _processes.pin(CORES[0])
        source = self._source(rows)
        figures(self.url)
        before = _processes.cpu()
        with _processes.Memory() as memory:
            contender.run(source, path, self.folder / "out")
        cpu = _processes.cpu_since(before)
        self._clean()
        return {
            **figures(self.url),
            "cpu_us": round(cpu / rows * 1e6, 1),
            "rss_growth": round(memory.growth, 3),
        }

    def measure_bare(self, path: str, rows: int, slots: int) -> Figures:
        """Let bare aiohttp on uvloop fetch the same, in this process and on the workers' core."""
        everywhere = os.sched_getaffinity(0)
        os.sched_setaffinity(0, CORES[:1])
        try:
            return self._bare(Same(f"{self.url}/{path}", None), rows, slots)
        finally:
            os.sched_setaffinity(0, everywhere)

    def _bare(self, bare: Same, rows: int, slots: int) -> Figures:
        figures(self.url)
        bare.loop.run_until_complete(bare.open())
        bare.fetch_all(self.warm, slots)
        connections = figures(self.url)["connections"]
        before = _thread_cpu()
        bare.fetch_all(rows, slots)
        cpu = _thread_cpu() - before
        bare.loop.run_until_complete(bare.close())
        bare.loop.close()
        return {
            **figures(self.url),
            "connections": connections,
            "cpu_us": round(cpu / rows * 1e6, 1),
            "rss_growth": 0.0,
        }

    def _source(self, rows: int) -> Path:
        source = self.folder / f"source-{rows}"
        if not source.exists():
            self.spark.range(rows).write.parquet(str(source))
        return source

    def _clean(self) -> None:
        """Forget what was written, the ledger included: the next run is to be as long."""
        for each in (self.folder / "out", self.folder / "_http_enrich"):
            shutil.rmtree(each, ignore_errors=True)


def _thread_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_THREAD)
    return used.ru_utime + used.ru_stime
