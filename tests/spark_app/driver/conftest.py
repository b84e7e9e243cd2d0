"""One Spark session for all tests that need a real one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.support import spark_archive
from tests.support.postgres import DRIVER, Postgres, missing, postgres_server

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    spark_archive.ensure()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    # The workers import tests.support, and the same sources as the tests.
    sources = [each for each in sys.path if Path(each).parent == ROOT]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *sources])
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "ERROR")
        .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
        .config("spark.jars", str(DRIVER) if DRIVER.exists() else "")
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    with postgres_server() as server:
        yield server
