"""A run that was published is not paid for again, whatever has happened to it or to its pipeline."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from http_enrich_spark.config import RunInfo, load_pipeline
from http_enrich_spark.driver import RunError, _try, run_pipeline
from http_enrich_spark.driver._errors import LeaseLostError
from http_enrich_spark.driver._facts import Frozen
from http_enrich_spark.driver._files import Folder
from http_enrich_spark.driver._try import Try
from http_enrich_spark.driver.ledger import Epoch, Ledger, _lease
from http_enrich_spark.driver.ledger._lease import Lease
from http_enrich_spark.driver.sink import _publish
from tests.support.dying import Killed, dies_after
from tests.support.runs import Sections, asked, ok, out, pipeline, run, write_ids
from tests.support.web import web_server

IDS = [f"{n:02}" for n in range(20)]


def folder_of(folder: Path) -> Path:
    """Return the folder of the only run."""
    return next((folder / "_http_enrich").iterdir())


def test_it_is_not_done_again(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a", "b")
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, sink={"mode": "append"})
        first = run(spark, data)
        again = run(spark, data)

    assert len(server.paths) == 2
    assert (again.repeated, again.rows_out, again.calls) == (True, 2, 2)
    assert not first.repeated
    assert len(out(spark, tmp_path)) == 2


def test_fresh_does_it_again(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a")
    with web_server(ok) as server:
        config = load_pipeline(pipeline(tmp_path, server.url, sink={"mode": "append"}), environ={})
        run_pipeline(spark, config, RunInfo())
        summary = run_pipeline(spark, config, RunInfo(), fresh="now")

    assert (len(server.paths), summary.repeated, summary.resumed) == (2, False, 0)
    assert len(out(spark, tmp_path)) == 2


def test_a_table_that_is_gone_is_not_taken_for_published(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a")
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url)
        run(spark, data)
        (tmp_path / "out").rename(tmp_path / "moved")
        with pytest.raises(RunError, match="is not there any more; start it with --fresh"):
            run(spark, data)


def test_a_try_that_waited_while_it_was_published_does_nothing(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks again when it has the run: the other one may have been publishing already when it came."""
    write_ids(tmp_path, *IDS)
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, sink={"mode": "append"})
        run(spark, data)
        done = folder_of(tmp_path) / "done-1.json"
        done.rename(tmp_path / "aside")
        real = Lease.wait_for_others

        def wait(self: Lease) -> None:
            real(self)
            (tmp_path / "aside").rename(done)

        monkeypatch.setattr(Lease, "wait_for_others", wait)
        summary = run(spark, data)

    assert (summary.repeated, len(server.paths)) == (True, len(IDS))
    assert [row.id for row in out(spark, tmp_path)] == IDS


def test_one_whose_settings_changed_starts_afresh_and_says_why(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_ids(tmp_path, "a")
    with web_server(ok) as server:
        run(spark, pipeline(tmp_path, server.url))
        changed = pipeline(tmp_path, server.url, endpoint={"params": {"lang": "en"}})
        summary = run(spark, {**changed, "sink": {**changed["sink"], "mode": "overwrite"}})
        done = sorted(each.name for each in folder_of(tmp_path).iterdir())

    assert (summary.repeated, len(server.paths)) == (False, 2)
    assert [text.partition(" on ")[0] for text in caplog.messages if "changed since" in text] == [
        "endpoint.params changed since the run was published"
    ]
    assert done == ["done-2.json", "epoch-2.lease", "report.json", "run.json"]


def test_runs_into_places_that_a_variable_tells_apart_are_runs_of_their_own(
    spark: SparkSession, tmp_path: Path
) -> None:
    """A mapped task has one for each country, with the same name and window."""
    write_ids(tmp_path, "a", "b")
    with web_server(ok) as server:
        data = pipeline(
            tmp_path,
            server.url,
            source={"where": "id = '${var.id}'"},
            sink={"path": str(tmp_path / "out-${var.id}")},
        )
        first, second = (run(spark, data, id=each) for each in "ab")
        again = run(spark, data, id="a")
        tables = [spark.read.parquet(str(tmp_path / f"out-{each}")).collect() for each in "ab"]

    assert (first.repeated, second.repeated, again.repeated) == (False, False, True)
    assert first.folder != second.folder
    assert asked(server.paths) == {"a": 1, "b": 1}
    assert [[row.id for row in table] for table in tables] == [["a"], ["b"]]


def test_a_change_would_add_the_rows_a_second_time_and_is_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_ids(tmp_path, "a")
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, sink={"mode": "append"})
        run(spark, data)
        with pytest.raises(RunError, match=r"endpoint.params changed .* append would add its rows a second"):
            run(spark, {**data, "endpoint": {**data["endpoint"], "params": {"lang": "en"}}})

    assert len(server.paths) == len(out(spark, tmp_path)) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"sink": {"mode": "append", "options": {"compression": "gzip"}}},
        {"endpoint": {"params": {"lang": "en"}}},
    ],
)
def test_a_publish_that_was_cut_short_is_finished_before_anything_else_is_published(
    spark: SparkSession, tmp_path: Path, changed: Sections
) -> None:
    """Else the rows that are in the table already would be there twice."""
    write_ids(tmp_path, *IDS)
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, sink={"mode": "append"})
        with dies_after(_publish, "publish_files"):
            run(spark, data)
        other = pipeline(tmp_path, server.url, **{"sink": {"mode": "append"}, **changed})
        with pytest.raises(RunError, match="an earlier try was cut short while it published"):
            run(spark, other)
        summary = run(spark, data)

    assert summary.resumed == len(IDS)
    assert [row.id for row in out(spark, tmp_path)] == IDS
    assert len(server.paths) == len(IDS)


def test_a_change_of_the_columns_is_not_passed_over(spark: SparkSession, tmp_path: Path) -> None:
    """The answers are gone, so that the table cannot have them; it has to be said."""
    write_ids(tmp_path, "a")
    with web_server(ok) as server:
        run(spark, pipeline(tmp_path, server.url, response={"schema": "path STRING", "select": "data"}))
        with pytest.raises(RunError, match=r"was published on .*, but response.schema changed since"):
            run(spark, pipeline(tmp_path, server.url, response={"schema": "n INT", "select": "data"}))

    assert len(server.paths) == 1


def test_a_change_that_is_refused_costs_nothing_when_it_is_undone(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_ids(tmp_path, "a")
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, sink={"mode": "overwrite"})
        run(spark, data)
        mistyped = {**data, "source": {**data["source"], "id": ["idd"]}}
        with pytest.raises(RunError, match="idd"):
            run(spark, mistyped)
        summary = run(spark, data)

    assert (summary.repeated, len(server.paths)) == (True, 1)


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"sink": {"mode": "overwrite"}}, "sink.mode"),
        ({"sink": {"mode": "append", "options": {"compression": "gzip"}}}, "sink.options"),
        ({"errors": {"dead_letter": {"path": "/dead"}}}, "errors"),
    ],
)
def test_it_cannot_be_published_to_another_place_unseen(
    spark: SparkSession, tmp_path: Path, changed: Sections, where: str
) -> None:
    """Its answers are gone; that they are paid for again has to be asked for."""
    write_ids(tmp_path, "a")
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, sink={"mode": "append"})
        run(spark, data)
        with pytest.raises(RunError, match=rf"was published on .*, but {where}.* changed since; .*--fresh"):
            run(spark, pipeline(tmp_path, server.url, **{"sink": {"mode": "append"}, **changed}))
        summary = run(spark, data)

    assert (summary.repeated, len(server.paths)) == (True, 1)


def test_a_death_while_that_is_written_down_costs_no_request(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ids(tmp_path, *IDS)
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, sink={"mode": "append"})
        real = Folder.write

        def write(self: Folder, text: str) -> None:
            torn = "done-" in self.name
            real(self, text[: len(text) // 2] if torn else text)
            if torn:
                raise Killed

        monkeypatch.setattr(Folder, "write", write)
        with pytest.raises(Killed):
            run(spark, data)
        monkeypatch.setattr(Folder, "write", real)
        summary = run(spark, data)

    assert (summary.resumed, len(server.paths)) == (20, 20)
    assert [row.id for row in out(spark, tmp_path)] == IDS


def test_what_another_version_has_written_is_not_guessed_at(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a")
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url)
        run(spark, data)
        done = folder_of(tmp_path) / "done-1.json"
        done.write_text(json.dumps({**json.loads(done.read_text()), "version": 2}))
        with pytest.raises(RunError, match=r"done-1\.json cannot be read .*another version"):
            run(spark, data)

    assert len(server.paths) == 1


def test_a_run_whose_folder_was_deleted_is_another_one(spark: SparkSession, tmp_path: Path) -> None:
    """What tells in the sink that it was published must not be that of the first."""
    write_ids(tmp_path, "a")
    tokens = []
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, sink={"mode": "append"})
        for _ in range(2):
            real = Epoch.begin

            def begin(self: Epoch, *args: Any, real: Any = real) -> None:
                tokens.append(self.token)
                real(self, *args)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Epoch, "begin", begin)
                run(spark, data)
            shutil.rmtree(tmp_path / "_http_enrich")

    assert len(set(tokens)) == 2
    assert len(out(spark, tmp_path)) == len(server.paths) == 2


def test_fresh_forgets_what_an_unfinished_try_has_left(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a", "b")
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url)
        config = load_pipeline(data, environ={})
        with dies_after(Epoch, "write"):
            run_pipeline(spark, config, RunInfo(id="r1"))
        with dies_after(Epoch, "begin"):
            run_pipeline(spark, config, RunInfo(id="r1"), fresh="now")
        summary = run_pipeline(spark, config, RunInfo(id="r1"))

    assert (summary.resumed, len(server.paths)) == (0, 4)


def test_a_fresh_try_that_dies_is_gone_on_with(spark: SparkSession, tmp_path: Path) -> None:
    """From its beginning on the run counts as published no more: what it pays for is not left aside."""
    write_ids(tmp_path, "a", "b")
    with web_server(ok) as server:
        config = load_pipeline(pipeline(tmp_path, server.url, sink={"mode": "overwrite"}), environ={})
        run_pipeline(spark, config, RunInfo(id="r1"))
        with dies_after(Epoch, "write"):
            run_pipeline(spark, config, RunInfo(id="r1"), fresh="now")
        summary = run_pipeline(spark, config, RunInfo(id="r1"))

    assert (summary.repeated, summary.resumed, len(server.paths)) == (False, 2, 4)


def test_tries_that_begin_anew_together_go_on_with_each_other_and_with_no_other(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Airflow retries a task that is to begin anew, too: what its first try has paid for stays paid."""
    write_ids(tmp_path, "a", "b")
    with web_server(ok) as server:
        config = load_pipeline(pipeline(tmp_path, server.url, sink={"mode": "overwrite"}), environ={})
        with dies_after(Epoch, "write"):
            run_pipeline(spark, config, RunInfo(id="r1"), fresh="cleared once")
        retried = run_pipeline(spark, config, RunInfo(id="r1"), fresh="cleared once")
        repeated = run_pipeline(spark, config, RunInfo(id="r1"), fresh="cleared once")
        auto = run_pipeline(spark, config, RunInfo(id="r1"))
        asked_before = len(server.paths)
        again = run_pipeline(spark, config, RunInfo(id="r1"), fresh="cleared twice")

    assert (retried.resumed, repeated.repeated, auto.repeated, asked_before) == (2, True, True, 2)
    assert (again.repeated, again.resumed, len(server.paths)) == (False, 0, 4)


def test_fresh_deletes_nothing_of_a_try_that_has_taken_over(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a", "b")
    with web_server(ok) as server:
        config = load_pipeline(pipeline(tmp_path, server.url), environ={})
        with Ledger(spark, config, RunInfo(id="r1"), fresh="now").epoch() as stalled:
            stalled.lease.end()  # as one that has given no sign of life for long
            with dies_after(Epoch, "write"):
                run_pipeline(spark, config, RunInfo(id="r1"))
            with pytest.raises(LeaseLostError, match="taken over"):
                stalled.begin(Frozen(rows=2, ids=0, schema="{}"))
        summary = run_pipeline(spark, config, RunInfo(id="r1"))

    assert (summary.resumed, len(server.paths)) == (2, 2)


def test_a_try_that_loses_the_run_while_it_reads_its_source_says_so(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes over cancels its jobs, of which Spark has nothing to say but that."""

    def overtaken(*_: Any) -> None:
        Lease.claim(spark, Folder(spark, str(folder_of(tmp_path))))
        raise ValueError("Job 0 cancelled")

    monkeypatch.setattr(_try, "freeze", overtaken)
    write_ids(tmp_path, "a")
    with web_server(ok) as server, pytest.raises(LeaseLostError, match=r"another try .* has taken over"):
        run(spark, pipeline(tmp_path, server.url))


def test_a_try_that_loses_the_run_when_all_is_answered_publishes_nothing(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Try._judged

    def overtaken(self: Try, *args: Any) -> Any:
        found = real(self, *args)
        Lease.claim(spark, Folder(spark, str(folder_of(tmp_path))))
        return found

    monkeypatch.setattr(Try, "_judged", overtaken)
    monkeypatch.setattr(_lease, "HEARTBEAT", 600.0)  # it is not told on the way
    write_ids(tmp_path, "a", "b")
    with web_server(ok) as server, pytest.raises(LeaseLostError, match="publishes nothing"):
        run(spark, pipeline(tmp_path, server.url))

    assert not (tmp_path / "out").exists()
