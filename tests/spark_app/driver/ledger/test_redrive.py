"""Rows of a published run that have failed are requested again, and nothing else is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from aiohttp import web
from pyspark.sql import SparkSession

from http_enrich_spark.config import Recipe, RunInfo
from http_enrich_spark.driver import RunError, RunSummary, _redrive, _try, redrive_run, run_pipeline
from http_enrich_spark.driver._files import Folder
from tests.support.dying import Killed, dies_after
from tests.support.runs import Sections, asked, ok, pipeline, redrive, run, write_parquet
from tests.support.web import WebServer, web_server

IDS = [f"{n:02}" for n in range(20)]


class Api:
    """An API that refuses some ids until it is well again."""

    def __init__(self, **refused: int) -> None:
        self.refused = {id.lstrip("_"): status for id, status in refused.items()}

    def __call__(self, request: web.Request) -> web.Response:
        id = request.path.rpartition("/")[2]
        return web.Response(status=self.refused[id]) if id in self.refused else ok(request)


def tired() -> Api:
    """Refuse three rows with 429 and two with 500."""
    return Api(_03=429, _07=429, _11=429, _05=500, _13=500)


def write_source(folder: Path) -> None:
    numbers = [int(id) for id in IDS]
    countries = ["abc"[number % 3] for number in numbers]
    rows = pa.table({"id": IDS, "country": countries, "number": pa.array(numbers, pa.int32())})
    write_parquet(folder / "source", *(rows.slice(first, 7) for first in range(0, len(IDS), 7)))


def data_for(
    folder: Path, url: str, *, dead: dict[str, Any] | None = None, **sections: Any
) -> dict[str, Any]:
    answer = {"select": "data", "schema": "path STRING, n INT"}
    source = {"path": None, "query": f"SELECT * FROM parquet.`{folder}/source`"}
    errors = {"errors": {"dead_letter": {"path": str(folder / "dead"), **dead}}} if dead is not None else {}
    found = pipeline(folder, url, source=source, response=answer, **sections, **errors)
    return found


def rows(
    spark: SparkSession, folder: Path, name: str = "out", format: str = "parquet"
) -> list[tuple[Any, ...]]:
    """Return the rows of a table, without what differs from run to run."""
    table = spark.read.format(format).load(str(folder / name)).orderBy("id", "http.outcome")
    columns = [each for each in ("id", "country", "number", "path", "n") if each in table.columns]
    found = table.select(*columns, "http.outcome", "http.status", "http.attempts", "http.body")
    return [tuple(row) for row in found.collect()]


EXPECTED = [(id, "abc"[int(id) % 3], int(id), f"/items/{id}", 7, "ok", 200, 1, None) for id in IDS]


@contextmanager
def tired_run(
    spark: SparkSession, folder: Path, **sections: Any
) -> Iterator[tuple[Api, WebServer, RunSummary]]:
    """Run a pipeline against an API that is `tired`; yields it, its server, and the figures of the run."""
    write_source(folder)
    api = tired()
    with web_server(api) as server:
        yield api, server, run(spark, data_for(folder, server.url, **sections))


def failed(spark: SparkSession, folder: Path) -> dict[str, str]:
    """Return the failed rows of the table and their outcomes; every row has to be there once."""
    found = rows(spark, folder)
    assert [row[0] for row in found] == IDS
    return {row[0]: row[-4] for row in found if row[-4] != "ok"}


SINKS: list[dict[str, Any]] = [
    {"mode": "error"},
    {"mode": "overwrite", "format": "orc", "partition_by": ["country"]},
    {"mode": "append", "partition_by": ["country"]},
    {"mode": "overwrite_partitions", "partition_by": ["country"]},
    # A column of the answer: rows move into other partitions when they heal.
    {"mode": "overwrite_partitions", "partition_by": ["country", "n"]},
]


@pytest.mark.parametrize("sink", SINKS, ids=lambda sink: " ".join(map(str, sink.values())))
def test_a_table_is_as_if_the_rows_had_never_failed(
    spark: SparkSession, tmp_path: Path, sink: dict[str, Any]
) -> None:
    with tired_run(spark, tmp_path, sink=sink) as (api, server, first):
        before = asked(server.paths)
        api.refused.clear()
        second = redrive(spark, first)

    assert asked(server.paths) - before == {id: 1 for id in ("03", "05", "07", "11", "13")}
    assert rows(spark, tmp_path, format=sink.get("format", "parquet")) == EXPECTED
    assert (second.rows_in, second.rows_out, second.ok, second.failed) == (20, 20, 20, 0)
    assert (second.redriven, second.healed, second.calls) == (5, 5, 25)
    assert (first.ok, first.failed, second.outcomes) == (15, 5, {"ok": 20})


def test_that_is_how_a_run_without_failures_looks(spark: SparkSession, tmp_path: Path) -> None:
    write_source(tmp_path)
    with web_server(ok) as server:
        run(spark, data_for(tmp_path, server.url))

    assert rows(spark, tmp_path) == EXPECTED


@pytest.mark.parametrize("sink", [{"format": "csv", "options": {"header": True}}, {"format": "json"}])
def test_rows_leave_the_dead_letter_and_join_the_table(
    spark: SparkSession, tmp_path: Path, sink: dict[str, Any]
) -> None:
    """Rows are not read back from either, so that any format will do."""
    with tired_run(spark, tmp_path, dead=sink, sink=sink) as (api, server, first):
        api.refused = {"03": 429}
        second = redrive(spark, first)
        half = ids(spark, tmp_path, "out", sink), ids(spark, tmp_path, "dead", sink)
        before = asked(server.paths)
        api.refused = {}
        third = redrive(spark, second)

    assert half == ([id for id in IDS if id != "03"], ["03"])
    assert asked(server.paths) - before == {"03": 1}
    assert (ids(spark, tmp_path, "out", sink), ids(spark, tmp_path, "dead", sink)) == (IDS, [])
    assert [(each.rows_out, each.dead, each.failed) for each in (first, second, third)] == [
        (15, 5, 5),
        (19, 1, 1),
        (20, 0, 0),
    ]


def ids(spark: SparkSession, folder: Path, name: str, sink: dict[str, Any]) -> list[str]:
    reader = spark.read.format(sink["format"]).schema("id STRING").options(**sink.get("options", {}))
    return sorted(row.id for row in reader.load(str(folder / name)).collect())


def test_only_what_was_asked_for_is_requested_and_the_rest_stays_to_be_redriven(
    spark: SparkSession, tmp_path: Path
) -> None:
    # Of the redriven rows, more may fail than of the whole run.
    limits = {"max_error_rate": 0.3}
    with tired_run(spark, tmp_path, sink={"mode": "append"}, execution=limits) as (api, server, first):
        api.refused = {"07": 503}
        second = redrive(spark, first, "rate_limited")
        half = failed(spark, tmp_path)
        api.refused = {}
        nothing = redrive(spark, second, "rate_limited", "not_found")
        calls = len(server.paths)
        third = redrive(spark, second, "server_error")

    assert half == {"05": "server_error", "07": "server_error", "13": "server_error"}
    assert (calls, nothing.repeated, nothing.redriven, nothing.failed) == (20 + 3, True, 0, 3)
    assert asked(server.paths) == {id: 1 for id in IDS} | {"03": 2, "11": 2, "07": 3, "05": 2, "13": 2}
    assert failed(spark, tmp_path) == {}
    assert (second.redriven, second.healed, third.redriven, third.healed) == (3, 2, 3, 3)
    report = json.loads((Path(third.folder) / "report.json").read_text())
    assert (report["summary"]["failed"], report["redriven"]["summary"]["rows_in"]) == (0, 3)
    assert run_again(spark, tmp_path, server.url).repeated


def test_rows_that_were_not_asked_for_stay_to_be_redriven_when_all_others_are_healed(
    spark: SparkSession, tmp_path: Path
) -> None:
    with tired_run(spark, tmp_path, sink={"mode": "append"}) as (api, _, first):
        api.refused = {}
        second = redrive(spark, first, "rate_limited")
        third = redrive(spark, second, "server_error")

    assert (second.redriven, second.healed, second.failed) == (3, 3, 2)
    assert (third.redriven, third.healed, third.failed) == (2, 2, 0)


def run_again(spark: SparkSession, folder: Path, url: str) -> RunSummary:
    return run(spark, data_for(folder, url, sink={"mode": "append"}))


@contextmanager
def dying(monkeypatch: pytest.MonkeyPatch, step: int) -> Iterator[None]:
    """Let the process end at the *step*-th thing that is done to a file or folder once there are answers."""
    left = [step]

    def wrapped(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Folder, *args: Any) -> Any:
            if not self.path.endswith(".lease"):
                left[0] -= 1
                if left[0] == 0:
                    raise Killed
            return real(self, *args)

        return call

    with monkeypatch.context() as patch:
        for name in ("move_to", "write", "delete", "make"):
            patch.setattr(Folder, name, wrapped(getattr(Folder, name)))
        yield


DYING: list[dict[str, Any]] = [
    {"sink": {"mode": "append", "partition_by": ["country"]}},
    {"sink": {"mode": "overwrite_partitions", "partition_by": ["country", "n"]}},
    {"sink": {"mode": "overwrite"}, "dead": {"mode": "overwrite"}},
]


@pytest.mark.parametrize("sections", DYING, ids=["append", "partitions", "dead-letter"])
def test_a_redrive_that_dies_again_and_again_ends_with_each_row_once(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sections: Sections
) -> None:
    """Each try dies a little later than the one before, whatever it is at."""
    write_source(tmp_path)
    api, step, over = tired(), 2, False
    with web_server(api) as server:
        first = run(spark, data_for(tmp_path, server.url, **sections))
        api.refused = {"13": 404}  # fails again, and is then not one of those to be redriven
        while not over:
            try:
                with dying(monkeypatch, step):
                    redrive(spark, first, "rate_limited", "server_error")
                over = True
            except Killed:
                step += 2

    assert step > 15
    assert set(asked(server.paths).values()) == {1, 2}
    dead = [row[0] for row in rows(spark, tmp_path, "dead")] if "dead" in sections else []
    table = rows(spark, tmp_path)
    assert sorted([*dead, *(row[0] for row in table)]) == IDS
    assert dead + [row[0] for row in table if row not in EXPECTED] == ["13"]
    assert {path.name for path in tmp_path.iterdir()} <= {"source", "out", "dead", "_http_enrich"}


def test_a_redrive_that_was_cut_short_while_it_published_is_finished_first(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tired_run(spark, tmp_path, sink={"mode": "append"}) as (api, server, first):
        api.refused = {}
        with monkeypatch.context() as patch:
            patch.setattr(_redrive, "keep_failures", dies)
            with pytest.raises(Killed):
                redrive(spark, first, "rate_limited")
        with pytest.raises(RunError, match="was cut short while it published; finish it first"):
            redrive(spark, first, "server_error")
        redrive(spark, first, "rate_limited")
        redrive(spark, first, "server_error")

    assert max(asked(server.paths).values()) == 2
    assert failed(spark, tmp_path) == {}


def test_a_redrive_that_dies_when_all_is_written_down_leaves_nothing_but_its_end_to_the_next(
    spark: SparkSession, tmp_path: Path
) -> None:
    with tired_run(spark, tmp_path, sink={"mode": "append"}) as (api, server, first):
        api.refused = {"07": 429}
        with dies_after(_redrive, "write_report"):
            redrive(spark, first, "rate_limited")
        api.refused = {}
        second = redrive(spark, first, "rate_limited")

    assert asked(server.paths) == {id: 1 for id in IDS} | {"03": 2, "11": 2, "07": 3}
    assert (second.redriven, second.healed, second.ok, second.failed) == (1, 1, 18, 2)
    assert failed(spark, tmp_path) == {"05": "server_error", "13": "server_error"}


def test_failures_of_a_try_whose_answers_did_not_count_in_the_end_are_not_redriven(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_source(tmp_path)
    api = tired()
    with web_server(api) as server:
        data = data_for(tmp_path, server.url, sink={"mode": "overwrite"})
        with dies_after(_try, "write_report"):
            run(spark, data)
        api.refused = {}
        second = run(spark, {**data, "endpoint": {**data["endpoint"], "params": {"lang": "en"}}})
        nothing = redrive(spark, second)

    assert (second.failed, nothing.repeated, nothing.redriven) == (0, True, 0)
    assert len(server.paths) == 2 * len(IDS)


def dies(*_: Any) -> None:
    raise Killed


def test_a_mended_pipeline_does_it_with_the_same_keys_and_secrets_from_where_they_were(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API may have done its work although it said 500."""
    spark.sql("SELECT 'a' AS id").write.parquet(str(tmp_path / "source"))
    monkeypatch.setenv("AIRFLOW_CONN_API", '{"password": "canary"}')
    steps = [{"type": "idempotency_key"}, {"type": "bearer", "token": "${conn.api.password}"}]
    with web_server(lambda r: ok(r) if "X-Mended" in r.headers else web.Response(status=500)) as server:
        endpoint = {"headers": {"X-Run": "${run.id}"}}
        data = pipeline(tmp_path, server.url, middleware=steps, endpoint=endpoint)
        recipe = Recipe("test", data, {}, RunInfo(id="r1"))
        first = run_pipeline(spark, recipe.load(), recipe.run, recipe=recipe)
        written = b"".join(file.read_bytes() for file in Path(first.folder).rglob("*") if file.is_file())
        wrong = Recipe("wrong.yaml", {**data, "response": {"keep_body": True}}, {}, RunInfo())
        with pytest.raises(RunError, match=r"wrong\.yaml: response is not as it was in the run"):
            redrive_run(spark, first.folder, instead=wrong)
        mended = {
            **data,
            "endpoint": {**data["endpoint"], "headers": {"X-Run": "${run.id}", "X-Mended": "1"}},
        }
        second = redrive_run(
            spark, first.folder, instead=Recipe("mended.yaml", mended, {}, RunInfo(id="another"))
        )

    assert b"${conn.api.password}" in written
    assert b"canary" not in written
    assert second.healed == 1
    assert [each["Authorization"] for each in server.headers] == ["Bearer canary"] * 2
    assert [each["X-Run"] for each in server.headers] == ["r1"] * 2
    assert len({each["Idempotency-Key"] for each in server.headers}) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: shutil.rmtree(folder / "out"), "files are gone, 0 others are there"),
        (
            lambda folder: (folder / "out" / "other.parquet").write_bytes(b""),
            "0 of its 1 files are gone, 1 other",
        ),
        (
            lambda folder: shutil.rmtree(folder / "_http_enrich"),
            "has no run.json; give the folder of a publi",
        ),
    ],
    ids=["gone", "others", "no run"],
)
def test_a_table_that_has_changed_is_left_alone(
    spark: SparkSession, tmp_path: Path, change: Callable[[Path], Any], message: str
) -> None:
    spark.sql("SELECT 'a' AS id").write.parquet(str(tmp_path / "source"))
    with web_server(lambda _: web.Response(status=429)) as server:
        summary = run(spark, pipeline(tmp_path, server.url))
        change(tmp_path)
        with pytest.raises(RunError, match=message):
            redrive(spark, summary)

    assert len(server.paths) == 1


def test_a_table_whose_rows_cannot_be_replaced_is_told_before_anything_is_requested(
    spark: SparkSession, tmp_path: Path
) -> None:
    spark.sql("SELECT 'a' AS id").write.parquet(str(tmp_path / "source"))
    with web_server(lambda _: web.Response(status=429)) as server:
        summary = run(spark, pipeline(tmp_path, server.url, sink={"format": "json"}))
        with pytest.raises(RunError, match=r"cannot be replaced, .* format orc or parquet; start .* --fresh"):
            redrive(spark, summary)
        with pytest.raises(RunError, match="no row fails with 'rate_limit'; did you mean 'rate_limited'"):
            redrive(spark, summary, "rate_limit")

    assert len(server.paths) == 1


def test_requests_of_the_run_itself_do_not_count_for_the_limit_of_a_redrive(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_source(tmp_path)
    api = tired()
    with web_server(api) as server:
        first = run(spark, data_for(tmp_path, server.url))
        recipe = json.loads((Path(first.folder) / "run.json").read_text())
        few, api.refused = {**recipe["pipeline"]}, {}
        few["execution"] = {**few["execution"], "max_calls": 10}
        summary = redrive_run(spark, first.folder, instead=Recipe("few", few, {}, RunInfo()))

    assert (summary.healed, len(server.paths)) == (5, 25)
