"""A run goes on where its last try has ended."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pyspark.sql import SparkSession

from http_enrich_spark.config import RunInfo, load_pipeline
from http_enrich_spark.driver import RunError, RunSummary, _try, run_pipeline
from http_enrich_spark.driver._enrich import enrich
from http_enrich_spark.driver.ledger import Epoch
from tests.support.dying import dies_after
from tests.support.runs import Sections, ok, out, pipeline, run, write_ids
from tests.support.web import web_server

IDS = [f"{n:03}" for n in range(60)]


def day(number: int) -> RunInfo:
    return RunInfo(
        id="r", window_start=f"2026-01-0{number}T00:00:00Z", window_end=f"2026-01-0{number + 1}T00:00:00Z"
    )


def asked(paths: list[str]) -> Counter[str]:
    return Counter(path.rpartition("/")[2] for path in paths)


def test_every_window_and_every_run_without_one_is_a_run_of_its_own(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_ids(tmp_path, "a")
    with web_server(ok) as server:
        config = load_pipeline(pipeline(tmp_path, server.url, sink={"mode": "append"}), environ={})
        for info in (day(1), day(2), RunInfo(id="x"), RunInfo(id="y"), day(1), RunInfo(id="y")):
            run_pipeline(spark, config, info)

    assert asked(server.paths) == {"a": 4}


def test_another_try_asks_only_for_what_is_not_answered(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task fails for good after others have ended: their answers stay."""
    write_ids(tmp_path, *IDS)

    async def late(request: web.Request) -> web.Response:
        # As many are not in this row's task and the one beside it.
        while request.path.endswith("007") and len(server.paths) < 45:  # noqa: ASYNC110 - tasks decide
            await asyncio.sleep(0.01)
        return ok(request)

    with web_server(late) as server:
        data = pipeline(tmp_path, server.url, transport={"base_timeout": 60}, execution={"batch_size": 10})

        def failing(*args: Any) -> Any:
            rows = enrich(*args)
            return rows.where("IF(id = '007', raise_error('broken'), true)")

        monkeypatch.setattr(_try, "enrich", failing)
        with pytest.raises(RunError, match="Nothing is lost: answers are kept in") as caught:
            run(spark, data)
        monkeypatch.setattr(_try, "enrich", enrich)
        before = asked(server.paths)
        summary = run(spark, data)

    assert caught.value.retry
    assert 0 < summary.resumed < 60
    assert sorted(row.id for row in out(spark, tmp_path)) == IDS
    assert summary.rows_out == summary.ok == 60
    assert sum(asked(server.paths).values()) == sum(before.values()) + 60 - summary.resumed


def test_the_report_says_how_many_rows_were_answered_again(spark: SparkSession, tmp_path: Path) -> None:
    """Twice answers of some tasks are lost, other ones each time."""
    write_ids(tmp_path, *IDS)
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, execution={"batch_size": 10})
        for epoch in (1, 2):
            with dies_after(Epoch, "write"):
                run(spark, data)
            folder = next((tmp_path / "_http_enrich").iterdir())
            for file in sorted((folder / f"epoch={epoch}").glob("part-*"))[::2]:
                file.unlink()
        summary = run(spark, data)

    again = len(server.paths) - len(IDS)
    assert summary.redone == again > 0


def test_the_report_of_a_try_that_dies_counts_nothing_as_redone_that_was_kept(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tasks die in the middle, so that nobody knows of all that they have answered."""
    write_ids(tmp_path, *IDS)
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, execution={"batch_size": 10})

        def failing(*args: Any) -> Any:
            return enrich(*args).where("IF(id = '007', raise_error('broken'), true)")

        monkeypatch.setattr(_try, "enrich", failing)
        again: list[int] = []
        told: list[int] = []
        for _ in range(3):
            with pytest.raises(RunError, match="broken") as caught:
                run(spark, data)
            assert caught.value.report is not None
            again.append(len(server.paths) - len(set(server.paths)))
            told.append(caught.value.report.summary.redone)
        monkeypatch.setattr(_try, "enrich", enrich)
        summary = run(spark, data)

    again.append(len(server.paths) - len(IDS))
    told.append(summary.redone)
    assert told[0] == again[0] == 0
    assert all(rows <= most for rows, most in zip(told, again, strict=True))


def test_the_rows_are_those_of_the_first_try(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a", "b")
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url)
        with dies_after(Epoch, "begin"):
            run(spark, data)
        (tmp_path / "source").rename(tmp_path / "moved")
        summary = run(spark, data)

    assert (summary.rows_out, asked(server.paths)) == (2, {"a": 1, "b": 1})


@pytest.mark.parametrize("step", ["write", "finish"])
def test_a_try_that_dies_with_all_answers_there_costs_no_request(
    spark: SparkSession, tmp_path: Path, step: str
) -> None:
    write_ids(tmp_path, *IDS)
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, sink={"mode": "overwrite"})
        with dies_after(Epoch, step):
            run(spark, data)
        summary = run(spark, data)

    assert set(asked(server.paths).values()) == {1}
    assert [row.id for row in out(spark, tmp_path)] == IDS
    assert (summary.repeated, summary.resumed) == ((False, 60) if step == "write" else (True, 0))


def test_what_a_dying_try_adds_after_it_was_taken_over_is_ignored(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tasks may go on for a while when its driver is gone."""
    write_ids(tmp_path, *IDS)
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, execution={"batch_size": 10})
        with dies_after(Epoch, "write"):
            run(spark, data)
        folder = next((tmp_path / "_http_enrich").iterdir())
        files = sorted((folder / "epoch=1").glob("part-*"))
        late = {file: file.read_bytes() for file in files[::2]}
        for file in late:
            file.unlink()
        real = Epoch.begin

        def begin(self: Epoch, *args: Any) -> None:
            real(self, *args)
            for file, content in late.items():
                file.write_bytes(content)

        monkeypatch.setattr(Epoch, "begin", begin)
        summary = run(spark, data)

    assert [row.id for row in out(spark, tmp_path)] == IDS
    assert len(server.paths) == 60 + 60 - summary.resumed


def test_a_third_try_counts_what_the_second_has_counted_and_no_more(
    spark: SparkSession, tmp_path: Path
) -> None:
    """What came late in the first epoch was asked again in the second: it must not be there twice."""
    write_ids(tmp_path, *IDS)
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, execution={"batch_size": 10})
        late: dict[Path, bytes] = {}
        for epoch in (1, 2):
            with dies_after(Epoch, "write"):
                run(spark, data)
            folder = next((tmp_path / "_http_enrich").iterdir())
            for file, content in late.items():
                file.write_bytes(content)
            files = sorted((folder / f"epoch={epoch}").glob("part-*"))
            late = {file: file.read_bytes() for file in files[::2]}
            for file in late:
                file.unlink()
        summary = run(spark, data)

    assert [row.id for row in out(spark, tmp_path)] == IDS
    assert 0 < summary.resumed < 60


def test_failed_rows_are_asked_again_after_a_try_that_failed_because_of_them(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_ids(tmp_path, "a", "b", "c", "d")
    broken = True

    def respond(request: web.Request) -> web.Response:
        return web.Response(status=500) if broken and request.path[-1] in "ab" else ok(request)

    with web_server(respond) as server:
        data = pipeline(tmp_path, server.url, execution={"max_error_rate": 0.25})
        for _ in range(2):
            with pytest.raises(
                RunError, match="and the next try asks again for the rows that failed"
            ) as caught:
                run(spark, data)
        broken = False
        summary = run(spark, data)

    assert caught.value.retry  # the API may be well by then
    assert asked(server.paths) == {"a": 3, "b": 3, "c": 1, "d": 1}
    assert (summary.ok, summary.failed, summary.resumed) == (4, 0, 2)
    assert caught.value.report is not None
    assert (caught.value.report.summary.redone, summary.redone) == (0, 0)  # on purpose is not lost


def test_a_schema_that_was_wrong_is_mended_without_a_request(spark: SparkSession, tmp_path: Path) -> None:
    """The bodies are kept until the table is published."""
    write_ids(tmp_path, "a")

    def data(schema: str) -> dict[str, Any]:
        response = {"select": "data", "schema": schema}
        return pipeline(tmp_path, server.url, response=response, execution={"max_error_rate": 0})

    with web_server(ok) as server:
        with pytest.raises(RunError, match="schema_mismatch"):
            run(spark, data("n BOOLEAN"))
        summary = run(spark, data("n INT"))

    assert (asked(server.paths), summary.ok, out(spark, tmp_path)[0].n) == ({"a": 1}, 1, 7)


def test_answers_that_fit_no_schema_are_asked_for_again_by_a_try_with_the_same_one(
    spark: SparkSession, tmp_path: Path
) -> None:
    """An API may answer with something else for an hour; then the schema was right all the time."""
    write_ids(tmp_path, "a", "b", "c", "d")
    data: dict[str, Any] = {"n": 7}

    def api(request: web.Request) -> web.Response:
        odd = request.path[-1] in "ab"
        return web.json_response({"data": data if odd else {"n": 7}})

    def with_schema(schema: str) -> dict[str, Any]:
        response = {"select": "data", "schema": schema}
        return pipeline(tmp_path, server.url, response=response, execution={"max_error_rate": 0.1})

    with web_server(api) as server:
        data = {"n": "busy"}
        with pytest.raises(RunError, match="schema_mismatch"):
            run(spark, with_schema("n INT"))
        with dies_after(Epoch, "write"):
            run(spark, with_schema("n INT"))  # it asks again, and gets the same
        with pytest.raises(RunError, match="schema_mismatch"):
            run(spark, with_schema("n BOOLEAN"))  # a look at what is there
        with pytest.raises(RunError, match="schema_mismatch"):
            run(spark, with_schema("n INT"))  # and another one
        data = {"n": 8}
        summary = run(spark, with_schema("n INT"))

    assert asked(server.paths) == {"a": 3, "b": 3, "c": 1, "d": 1}
    assert (summary.ok, summary.rows_out, summary.resumed) == (4, 4, 2)
    assert [row.n for row in out(spark, tmp_path)] == [8, 8, 7, 7]


@pytest.mark.parametrize(
    ("changed", "calls"),
    [
        ({"endpoint": {"params": {"lang": "en"}}}, 2),
        ({"endpoint": {"path": "/other/${row.id}"}}, 2),
        ({"response": {"headers": ["etag"]}}, 2),
        ({"transport": {"base_timeout": 7}}, 1),
        ({"execution": {"batch_size": 3}}, 1),
        ({"sink": {"mode": "overwrite"}}, 1),
    ],
)
def test_settings_that_change_an_answer_start_afresh_and_others_go_on(
    spark: SparkSession,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    changed: Sections,
    calls: int,
) -> None:
    write_ids(tmp_path, "a")
    with web_server(ok) as server:
        with dies_after(Epoch, "write"):
            run(spark, pipeline(tmp_path, server.url))
        run(spark, pipeline(tmp_path, server.url, **changed))

    assert len(server.paths) == calls
    section, keys = next(iter(changed.items()))
    said = [text for text in caplog.messages if text.startswith(f"{section}.{next(iter(keys))}")]
    assert [text.partition("changed since")[2] for text in said] == [
        " the last try, so this one starts afresh"
    ] * (calls - 1)


def test_what_a_try_with_other_settings_has_done_in_between_is_not_done_again(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Settings that were changed and changed back go on with the answers from before."""
    write_ids(tmp_path, *IDS)
    with web_server(ok) as server:
        first = pipeline(tmp_path, server.url)
        for data in (first, pipeline(tmp_path, server.url, endpoint={"params": {"lang": "en"}})):
            with dies_after(Epoch, "write"):
                run(spark, data)
        summary = run(spark, first)

    assert (len(server.paths), summary.resumed, summary.redone) == (120, 60, 0)


def test_rate_limit_and_retry_may_change_between_two_tries(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a")
    with web_server(ok) as server:
        with dies_after(Epoch, "write"):
            run(spark, pipeline(tmp_path, server.url))
        steps = [{"type": "retry"}, {"type": "rate_limit", "max_requests_per_second": 5}]
        run(spark, pipeline(tmp_path, server.url, middleware=steps))

    assert len(server.paths) == 1


def test_two_tries_at_once_do_not_both_publish(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second takes over; the first finds out before it publishes, at the latest."""
    write_ids(tmp_path, "a")
    summaries: list[RunSummary] = []
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, sink={"mode": "append"})
        real = Epoch.write

        def write(self: Epoch, answers: Any) -> None:
            monkeypatch.setattr(Epoch, "write", real)
            real(self, answers)
            # As if this try had given no sign of life for long.
            self.lease._ended.set()
            lease = self.folder / self.lease.name
            lease.write(json.dumps({**json.loads(lease.read() or ""), "at": 0.0}))
            summaries.append(run(spark, data))

        monkeypatch.setattr(Epoch, "write", write)
        with pytest.raises(RunError, match="another try of this run has taken over") as caught:
            run(spark, data)

    assert not caught.value.retry
    assert [row.id for row in out(spark, tmp_path)] == ["a"]
    assert summaries[0].resumed == 1


def test_a_try_that_is_lost_between_two_jobs_of_spark_starts_no_other(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just then there is nothing to cancel, and a moment later all rows would be requested twice."""
    write_ids(tmp_path, *IDS)
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url)
        real = Epoch.write

        def write(self: Epoch, answers: Any) -> None:
            (self.folder / "epoch-2.lease").write("{}")
            assert self.lease._thread is not None
            self.lease._thread.join()  # it ends when it has found that
            real(self, answers)

        monkeypatch.setattr(Epoch, "write", write)
        with pytest.raises(RunError, match="another try of this run has taken over"):
            run(spark, data)

    assert server.paths == []
    assert spark.range(3).count() == 3  # what is no job of the run's goes on


@pytest.mark.parametrize(
    ("mode", "ids", "left_out"), [("first", ["a", "b"], 1), ("each", ["a", "a", "b"], 0)]
)
def test_rows_that_share_an_id(
    spark: SparkSession, tmp_path: Path, mode: str, ids: list[str], left_out: int
) -> None:
    write_ids(tmp_path, "a", "b", "a")
    with web_server(ok) as server:
        summary = run(spark, pipeline(tmp_path, server.url, source={"on_duplicate_id": mode}))

    assert [row.id for row in out(spark, tmp_path)] == ids
    assert (summary.rows_in, summary.rows_out, summary.left_out) == (len(ids), len(ids), left_out)
    assert len(server.paths) == len(ids)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "SELECT explode(array('a', 'a', 'b')) AS id",
            r"2 rows share 1 ids; find them with GROUP BY `id` HAVING",
        ),
        ("SELECT explode(array(1D, double('NaN'))) AS id", "1 rows have a null or NaN in id"),
        ("SELECT explode(array(1, NULL)) AS id", "1 rows have a null or NaN in id"),
    ],
)
def test_ids_that_do_not_identify_are_refused_before_anything_is_requested(
    spark: SparkSession, tmp_path: Path, query: str, message: str
) -> None:
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url)
        data["source"] = {"query": query, "id": ["id"]}
        with pytest.raises(RunError, match=message):
            run(spark, data)

        assert server.paths == []
    assert not (tmp_path / "_http_enrich").exists()
