"""A run goes on where its last try has ended."""

from __future__ import annotations

import asyncio
import json
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
from tests.support.runs import asked, ok, out, pipeline, run, write_ids
from tests.support.web import web_server

IDS = [f"{n:03}" for n in range(60)]


def day(number: int) -> RunInfo:
    return RunInfo(
        id="r", window_start=f"2026-01-0{number}T00:00:00Z", window_end=f"2026-01-0{number + 1}T00:00:00Z"
    )


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


def test_a_quota_is_that_of_all_tries(spark: SparkSession, tmp_path: Path) -> None:
    """What an API allows in a day does not begin anew with each retry."""
    write_ids(tmp_path, "a", "b", "c", "d", "e")
    quota = {"type": "rate_limit", "rates": [{"limit": 3, "per": "1d"}], "on_exhausted": "fail"}
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, middleware=[quota], execution={"max_error_rate": 0})
        for _ in range(2):
            with pytest.raises(RunError, match="rate_limited: rate_limit_exhausted"):
                run(spark, data)

    assert 1 <= len(server.paths) <= 3  # on a busy machine, the driver's answer may be late for some
