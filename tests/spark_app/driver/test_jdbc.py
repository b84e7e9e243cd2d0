"""Whole runs out of a database and into it, and what nobody sees of its password."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pyspark.sql import SparkSession
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.types import StructType

from http_enrich_spark.config import Recipe, RunInfo, load_pipeline
from http_enrich_spark.driver import RunError, RunSummary, redrive_run, run_pipeline
from tests.support.driver_process import driver
from tests.support.postgres import DRIVER, PASSWORD, USER, Postgres
from tests.support.runs import out, pipeline
from tests.support.web import WebServer, web_server

WRONG = f"{PASSWORD}, but another"
LOGIN = {"user": "${conn.db.login}", "password": "${conn.db.password}"}


def connection(password: str = PASSWORD) -> str:
    return json.dumps({"login": USER, "password": password})


def run(spark: SparkSession, data: dict[str, Any], password: str = PASSWORD) -> RunSummary:
    environ = {"AIRFLOW_CONN_DB": connection(password)}
    return run_pipeline(spark, load_pipeline(data, environ=environ), RunInfo(id="r1"))


def respond(request: web.Request) -> web.Response:
    body = {"text": "a\0b", "list": [1, 2]}
    return web.Response(status=500) if request.path.endswith("c") else web.json_response(body)


def in_database(folder: Path, server: WebServer, postgres: Postgres, **sink: Any) -> dict[str, Any]:
    """A pipeline from the table `ids` to the table `answers`, and to `failures`."""
    postgres.ask(
        "DROP TABLE IF EXISTS ids, answers, failures; CREATE TABLE ids (id TEXT, n INT);"
        "INSERT INTO ids VALUES ('a', 1), ('b', 2), ('c', 3), ('d', 4)"
    )
    place = {"format": "jdbc", "options": {"url": postgres.url, **LOGIN}}
    data = pipeline(
        folder,
        server.url,
        response={"schema": "text STRING, list ARRAY<INT>"},
        execution={"checkpoint": str(folder / "stage")},
    )
    data["source"] = {**place, "table": "ids", "where": "n < 4", "id": ["id"]}
    data["sink"] = {**place, "table": "public.answers", "mode": "append", **sink}
    data["errors"] = {"dead_letter": {**place, "table": "failures"}}
    return data


def test_rows_come_out_of_a_database_and_go_into_it(
    spark: SparkSession, postgres: Postgres, tmp_path: Path
) -> None:
    with web_server(respond) as server:
        data = in_database(tmp_path, server, postgres)
        summary = run(spark, data)
        again = run(spark, data)

    assert (summary.rows_in, summary.rows_out, summary.dead) == (3, 2, 1)
    assert (again.repeated, len(server.paths)) == (True, 3)
    query = "SELECT id, n, text, list, http_status, http_outcome FROM answers ORDER BY id"
    assert postgres.ask(query) == ["a|1|a\ufffdb|[1,2]|200|ok", "b|2|a\ufffdb|[1,2]|200|ok"]
    assert postgres.ask("SELECT id, n, http_outcome FROM failures") == ["c|3|server_error"]


def test_healed_rows_leave_the_dead_letter_and_join_the_table(
    spark: SparkSession, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a table that did not exist when the run began, and does now."""
    monkeypatch.setenv("AIRFLOW_CONN_DB", connection())
    ill = {"/items/c"}

    def api(request: web.Request) -> web.Response:
        return (
            web.Response(status=500) if request.path in ill else web.json_response({"text": "x", "list": []})
        )

    with web_server(api) as server:
        data = in_database(tmp_path, server, postgres, mode="error")
        data["errors"] = {"dead_letter": {"path": str(tmp_path / "dead")}}
        recipe = Recipe("test", data, {}, RunInfo(id="r1"))
        summary = run_pipeline(spark, recipe.load(), recipe.run, recipe=recipe)
        ill.clear()
        healed = redrive_run(spark, summary.folder)

    assert (summary.rows_out, summary.dead) == (2, 1)
    assert (healed.rows_out, healed.dead, healed.healed) == (3, 0, 1)
    assert postgres.ask("SELECT id, http_outcome FROM answers ORDER BY id") == ["a|ok", "b|ok", "c|ok"]
    assert len(server.paths) == 4


@pytest.mark.parametrize(
    "source",
    [
        {"query": "SELECT id, upper(id) AS up FROM ids WHERE n = 2"},
        {"options": {"query": "SELECT id, upper(id) AS up FROM ids WHERE n = 2"}},
        {"options": {"dbtable": "(SELECT id, upper(id) AS up FROM ids) AS t"}, "where": "up = 'B'"},
    ],
)
def test_a_query_of_the_database_is_a_source(
    spark: SparkSession, postgres: Postgres, tmp_path: Path, source: dict[str, Any]
) -> None:
    with web_server(respond) as server:
        data = in_database(tmp_path, server, postgres)
        options = {**data["source"]["options"], **source.get("options", {})}
        data["source"] = {"format": "jdbc", "id": ["id"], **source, "options": options}
        run(spark, data)

    assert postgres.ask("SELECT id, up FROM answers") == ["b|B"]


class Letters(DataSource):
    """A source of which there is one."""

    @classmethod
    def name(cls) -> str:
        return "letters"

    def schema(self) -> str:
        return "id STRING"

    def reader(self, schema: StructType) -> DataSourceReader:
        return LettersReader(self.options["of"])


class LettersReader(DataSourceReader):
    def __init__(self, text: str) -> None:
        self._text = text

    def read(self, partition: InputPartition) -> Iterator[tuple[str]]:
        yield from ((letter,) for letter in self._text)


def test_a_format_without_a_path_is_a_source(spark: SparkSession, tmp_path: Path) -> None:
    spark.dataSource.register(Letters)
    with web_server(respond) as server:
        data = pipeline(tmp_path, server.url)
        data["source"] = {"format": "letters", "options": {"of": "ab"}, "id": ["id"]}
        run(spark, data)

    assert [row.id for row in out(spark, tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("section", "options", "password", "message", "retry"),
    [
        ("source", {"url": "jdbc:postgresql://127.0.0.1:1/x"}, PASSWORD, "Connection to .* refused", True),
        ("sink", {"url": "jdbc:postgresql://127.0.0.1:1/x"}, PASSWORD, "Connection to .* refused", True),
        ("source", {}, WRONG, 'failed for user "\\*\\*\\*"; check options.url, user', False),
        (
            "sink",
            {"driver": "some.Driver"},
            PASSWORD,
            "some.Driver; add the driver's jar to spark",
            False,
        ),
        ("sink", {"url": "jdbc:none://127.0.0.1/x"}, PASSWORD, "No suitable driver; add the driver's", False),
    ],
)
def test_a_database_that_cannot_be_reached_is_found_before_anything_is_requested(
    spark: SparkSession,
    postgres: Postgres,
    tmp_path: Path,
    section: str,
    options: dict[str, str],
    password: str,
    message: str,
    retry: bool,
) -> None:
    with web_server(respond) as server:
        data = in_database(tmp_path, server, postgres)
        data[section]["options"] = {**data[section]["options"], **options}
        with pytest.raises(RunError, match=f"^{section}: .*{message}") as caught:
            run(spark, data, password)

        assert server.paths == []
    said = "".join(traceback.format_exception(caught.value))
    assert "canary" not in said
    assert caught.value.retry is retry


@pytest.mark.parametrize("mode", ["append", "overwrite", "overwrite_partitions"])
def test_a_table_with_other_columns_is_found_before_anything_is_requested(
    spark: SparkSession, postgres: Postgres, tmp_path: Path, mode: str
) -> None:
    with web_server(respond) as server:
        data = in_database(tmp_path, server, postgres, mode=mode, partition_by=["n"])
        postgres.ask("CREATE TABLE answers (id TEXT, n INT, text TEXT)")
        with pytest.raises(
            RunError, match=r"answers has other columns .*only here: http_attempts, http_body"
        ):
            run(spark, data)

        assert server.paths == []


def test_the_login_is_seen_nowhere(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spark itself hides options that are called password or url, and shows all others."""
    monkeypatch.setenv("AIRFLOW_CONN_DB", connection())
    events = tmp_path / "events"
    events.mkdir()
    settings = {
        "spark.jars": str(DRIVER),
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file://{events}",
        "spark.eventLog.compress": "false",
        "spark.log.level": "INFO",
    }
    with web_server(respond) as server:
        data = in_database(tmp_path, server, postgres)
        for section in (data["source"], data["sink"], data["errors"]["dead_letter"]):
            section["options"]["ApplicationName"] = "${conn.db.login}-app"
        with driver(tmp_path, data, "local[2]", settings=settings) as process:
            status = process.wait()

    assert status == 0, process.output
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    log = "".join(path.read_text() for path in written if events in path.parents)
    assert "SaveIntoDataSourceCommand" in log
    assert "JDBCRelation" in log
    assert [path for path in written if b"canary" in path.read_bytes()] == []
    assert postgres.ask("SELECT count(*) FROM answers") == ["2"]
