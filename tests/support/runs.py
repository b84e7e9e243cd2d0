"""Whole runs on a real Spark session, for the tests of the driver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from aiohttp import web
from pyspark.sql import Row, SparkSession

from http_enrich_spark.config import Recipe, RunInfo
from http_enrich_spark.driver import RunSummary, redrive_run, run_pipeline

Sections = dict[str, dict[str, Any]]


def pipeline(folder: Path, url: str, *, middleware: Any = (), **sections: dict[str, Any]) -> dict[str, Any]:
    """A pipeline from folder/source to folder/out; *sections* add to its sections or replace their keys."""
    base: dict[str, Any] = {
        "version": 1,
        "name": "test",
        "source": {"path": str(folder / "source"), "id": ["id"]},
        "endpoint": {"base_url": url, "path": "/items/${row.id}"},
        "transport": {"base_timeout": 60},
        "middleware": list(middleware),
        "sink": {"path": str(folder / "out")},
        "execution": {"max_error_rate": 1},
    }
    for name, keys in sections.items():
        base[name] = {**base.get(name, {}), **keys}
    return base


def run(spark: SparkSession, data: dict[str, Any], **variables: Any) -> RunSummary:
    recipe = Recipe("test", data, variables, RunInfo(id="r1"))
    return run_pipeline(spark, recipe.load({}), recipe.run, recipe=recipe)


def redrive(spark: SparkSession, summary: RunSummary, *only: str) -> RunSummary:
    return redrive_run(spark, summary.folder, only=only)


def out(spark: SparkSession, folder: Path) -> list[Row]:
    return spark.read.parquet(str(folder / "out")).orderBy("id").collect()


def write_ids(folder: Path, *ids: str | None) -> None:
    write_parquet(folder / "source", pa.table({"id": pa.array(ids, pa.string())}))


def write_parquet(folder: Path, *tables: pa.Table) -> None:
    """Make *folder* with a file for each of the *tables*."""
    folder.mkdir(parents=True)
    for number, each in enumerate(tables):
        pq.write_table(each, folder / f"part-{number}.parquet")


def ok(request: web.Request) -> web.Response:
    return web.json_response({"data": {"path": request.path, "n": 7}})


def asked(paths: Iterable[str]) -> Counter[str]:
    """How often each id was asked for."""
    return Counter(path.rpartition("/")[2] for path in paths)
