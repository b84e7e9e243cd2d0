"""Who is measured: each takes so many rows to a path of the server, and writes what came back."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import pandas as pd
import requests
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

from benchmarks.middleware import CHAIN, TOKEN
from http_enrich_spark.config import RunInfo, load_pipeline
from http_enrich_spark.driver import run_pipeline

_CHANGES: dict[str, dict[str, Any]] = {"bearer": {"token": "${env.TOKEN}"}, "rate_limit": {"scope": "worker"}}


class Contender(ABC):
    """Enriches rows in a Spark session; *slots* requests at a time, *batch* rows per task."""

    def __init__(self, spark: SparkSession, url: str, *, slots: int, batch: int) -> None:
        self.spark, self.url, self.slots, self.batch = spark, url, slots, batch

    @abstractmethod
    def run(self, source: Path, path: str, out: Path) -> None:
        """Request `/path/ID` for each row of *source*, and write rows and answers to *out*."""


class Product(Contender):
    """A run of ours, from the source to the published table."""

    engine = "aiohttp"
    middleware: list[dict[str, Any]] = []

    def run(self, source: Path, path: str, out: Path) -> None:
        """Run a pipeline."""
        config = load_pipeline(self._pipeline(source, path, out), environ={"TOKEN": TOKEN})
        run_pipeline(self.spark, config, RunInfo(id="bench"))

    def _pipeline(self, source: Path, path: str, out: Path) -> dict[str, Any]:
        return {
            "version": 1,
            "name": "bench",
            "source": {"path": str(source), "id": ["id"]},
            "endpoint": {
                "base_url": self.url,
                "path": f"/{path}/rows/${{row.id}}",
                "headers": {"Accept": "application/json"},
            },
            "transport": {"engine": self.engine, "tcp_connection": {"limit": self.slots}},
            "middleware": self.middleware,
            "response": {"schema": "name STRING", "keep_body": True},
            "sink": {"path": str(out)},
            "execution": {"batch_size": self.batch, "max_error_rate": 0},
        }


class ProductWithEight(Product):
    """A run of ours with the chain of eight; its rate limit is that of one worker."""

    middleware = [each | _CHANGES.get(each["type"], {}) for each in CHAIN]


class ProductWithEightInCluster(Product):
    """The same, but the permits of its rate limit come from the driver."""

    middleware = [*ProductWithEight.middleware[:5], CHAIN[5], *ProductWithEight.middleware[6:]]


class PandasRequests(Contender):
    """A pandas UDF that lets a pool of threads fetch with requests."""

    def run(self, source: Path, path: str, out: Path) -> None:
        """Apply the UDF to the column."""
        fetch = pandas_udf(_fetch_series(f"{self.url}/{path}/rows/", self.slots), "string")  # type: ignore[call-overload]
        rows = self.spark.read.parquet(str(source))
        tasks = -(-rows.count() // self.batch)
        rows.repartition(tasks).withColumn("body", fetch(F.col("id"))).write.parquet(str(out))


class GatherAiohttp(Contender):
    """`mapPartitions` with a session of aiohttp and one `asyncio.gather` per partition."""

    def run(self, source: Path, path: str, out: Path) -> None:
        """Map the partitions."""
        fetch = _fetch_partition(f"{self.url}/{path}/rows/", self.slots)
        rows = self.spark.read.parquet(str(source))
        tasks = -(-rows.count() // self.batch)
        answered = rows.repartition(tasks).rdd.mapPartitions(fetch)
        self.spark.createDataFrame(answered, "id BIGINT, body STRING").write.parquet(str(out))


def _fetch_series(url: str, slots: int) -> Any:
    def fetch_series(ids: pd.Series) -> pd.Series:
        with requests.Session() as session, ThreadPoolExecutor(slots) as pool:
            session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=slots))

            def fetch(row: int) -> str:
                response = session.get(f"{url}{row}", timeout=30)
                response.raise_for_status()
                return str(response.text)

            return pd.Series(list(pool.map(fetch, ids)))

    # PySpark reads them, and takes no texts.
    fetch_series.__annotations__ = {"ids": pd.Series, "return": pd.Series}
    return fetch_series


def _fetch_partition(url: str, slots: int) -> Any:
    async def fetch_all(ids: list[int]) -> list[tuple[int, str]]:
        connector = aiohttp.TCPConnector(limit=slots)
        async with aiohttp.ClientSession(connector=connector, raise_for_status=True) as session:

            async def fetch(row: int) -> tuple[int, str]:
                async with session.get(f"{url}{row}") as response:
                    return row, await response.text()

            return await asyncio.gather(*map(fetch, ids))

    def fetch_partition(rows: Iterable[Row]) -> Iterator[tuple[int, str]]:
        return iter(asyncio.run(fetch_all([row.id for row in rows])))

    return fetch_partition
