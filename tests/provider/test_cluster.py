"""Deploy mode cluster on YARN, with a `spark-submit` and a resource manager of our own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from http_enrich_provider._environment import spark_variables
from http_enrich_provider.operators import HttpEnrichSparkOperator
from http_enrich_spark.submission import CONNECTIONS
from tests.support.fake_spark import FakeSpark
from tests.support.pipelines import pipeline
from tests.support.tasks import CANARY, PUBLISHED, SUMMARY, StateStore, context

APPLICATION = "application_1700000000000_0007"
RESULT = {**SUMMARY, "error_rate": 0.2, "report": f"{SUMMARY['folder']}/report.json"}


class ResourceManager:
    """Answers for the application's state, one after the other; the last one stays."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.states: list[tuple[str, str]] = [("FINISHED", "SUCCEEDED")]
        self.statuses: list[int] = []
        self.killed: list[str] = []

    def answer(self) -> dict[str, Any]:
        state, final = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"app": {"state": state, "finalStatus": final, "diagnostics": "why"}}


@pytest.fixture
def yarn(monkeypatch: pytest.MonkeyPatch, connections: None) -> Iterator[ResourceManager]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(manager.answer()).encode()
            self.send_response(manager.statuses.pop(0) if manager.statuses else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_PUT(self) -> None:
            manager.killed.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    manager = ResourceManager(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    spark = {
        "conn_type": "spark",
        "host": "yarn",
        "extra": {"yarn_resourcemanager_webapp_address": manager.url},
    }
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps(spark))
    yield manager
    server.shutdown()
    server.server_close()


def operator(spark: FakeSpark, folder: Path, **options: Any) -> HttpEnrichSparkOperator:
    tracked = {"deploy_mode": "cluster", "yarn_track_via_rm_api": True, "spark_binary": spark.program}
    source = pipeline(
        {
            "middleware": [{"type": "bearer", "token": "${conn.api.password}"}],
            "execution": {"checkpoint": str(folder / "checkpoint")},
            **options.pop("changes", {}),
        }
    )
    return HttpEnrichSparkOperator(task_id="enrich", pipeline=source, **{**tracked, **options})


def test_the_outcome_is_read_from_the_checkpoint(
    yarn: ResourceManager, fake_spark: FakeSpark, tmp_path: Path
) -> None:
    task = operator(fake_spark.will(PUBLISHED, application=APPLICATION), tmp_path)

    assert task.execute(context(task_state_store=StateStore())) == RESULT


def test_secrets_travel_as_a_file_of_the_owner_and_in_no_other_way(
    yarn: ResourceManager, fake_spark: FakeSpark, tmp_path: Path
) -> None:
    task = operator(fake_spark.will(PUBLISHED, application=APPLICATION), tmp_path)
    task.execute(context(task_state_store=StateStore()))

    (start,) = fake_spark.starts
    assert start.modes == {CONNECTIONS: 0o600, "http-enrich-submission.json": 0o600}
    assert CANARY not in json.dumps([start.argv, start.submission])
    shipped = start.argv[start.argv.index("--files") + 1].split(",")
    assert [Path(each).exists() for each in shipped] == [False, False]
    # Those that Airflow keeps in the environment are there anyway; what we add is in the file.
    assert json.loads((tmp_path / "fake-spark" / "sandbox" / CONNECTIONS).read_text())["AIRFLOW_CONN_API"]


def test_a_driver_elsewhere_is_not_told_of_the_python_here(
    yarn: ResourceManager, fake_spark: FakeSpark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spark's YARN client would pass it on to the application master."""
    for name in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    task = operator(fake_spark.will(PUBLISHED, application=APPLICATION), tmp_path)
    task.execute(context(task_state_store=StateStore()))

    (start,) = fake_spark.starts
    assert [name for name in start.environ if name.startswith("PYSPARK")] == []


@pytest.mark.parametrize("on_path", [True, False])
def test_spark_submit_beside_this_python_finds_its_spark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_path: bool
) -> None:
    """It asks a `python3` for it, and another one that comes first on PATH knows of no Spark."""
    beside, other = Path(sys.executable).parent, tmp_path / "python3"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    path = os.pathsep.join(
        [str(tmp_path), *os.defpath.split(os.pathsep), *([str(beside)] if on_path else [])]
    )
    monkeypatch.setenv("PATH", path)
    for name in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON", "SPARK_HOME"):
        monkeypatch.delenv(name, raising=False)

    version = subprocess.run(
        ["spark-submit", "--version"], env=os.environ | spark_variables(), capture_output=True, text=True
    )

    assert version.returncode == 0, version.stderr


def test_a_spark_submit_that_is_on_the_path_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "spark-submit"
    theirs.touch(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.defpath}")

    assert shutil.which("spark-submit", path=spark_variables()["PATH"]) == str(theirs)


def published(fake_spark: FakeSpark, tmp_path: Path) -> StateStore:
    """Publish a run, and return what its task remembers."""
    store = StateStore()
    fake_spark.will(PUBLISHED, application=APPLICATION)
    operator(fake_spark, tmp_path).execute(context(task_state_store=store))
    return store


def test_a_retry_joins_the_application_of_the_try_before(
    yarn: ResourceManager, fake_spark: FakeSpark, tmp_path: Path
) -> None:
    store = StateStore()
    operator(fake_spark.will(PUBLISHED, application=APPLICATION), tmp_path).execute(
        context(task_state_store=store)
    )
    yarn.states = [("RUNNING", "UNDEFINED"), ("FINISHED", "SUCCEEDED")]
    joined = operator(fake_spark, tmp_path)

    assert joined.execute(context(task_state_store=store)) == RESULT
    assert len(fake_spark.starts) == 1


def test_a_task_that_has_succeeded_and_was_cleared_submits_nothing(
    yarn: ResourceManager, fake_spark: FakeSpark, tmp_path: Path
) -> None:
    store = StateStore()
    results = [
        operator(fake_spark.will(PUBLISHED, application=APPLICATION), tmp_path).execute(
            context(task_state_store=store)
        )
        for _ in range(2)
    ]

    assert results == [RESULT, RESULT]
    assert len(fake_spark.starts) == 1


@pytest.mark.parametrize(
    "again",
    [{"resume": "never"}, {"changes": {"endpoint.path": "/v2/${row.icao}"}}],
    ids=["resume is never", "the pipeline has changed"],
)
def test_it_submits_again_when_the_success_of_before_does_not_count(
    yarn: ResourceManager, fake_spark: FakeSpark, tmp_path: Path, again: dict[str, Any]
) -> None:
    store = published(fake_spark, tmp_path)
    operator(fake_spark, tmp_path, **again).execute(context(task_state_store=store))

    assert len(fake_spark.starts) == 2


def test_it_submits_again_when_the_report_of_before_is_gone(
    yarn: ResourceManager, fake_spark: FakeSpark, tmp_path: Path
) -> None:
    """A redrive has changed the figures of the run since, and deleted it."""
    store = published(fake_spark, tmp_path)
    (report,) = tmp_path.rglob("outcome-*.json")
    report.unlink()

    assert operator(fake_spark, tmp_path).execute(context(task_state_store=store)) == RESULT
    assert len(fake_spark.starts) == 2


def test_an_application_that_the_cluster_has_forgotten_is_submitted_again(
    yarn: ResourceManager, fake_spark: FakeSpark, tmp_path: Path
) -> None:
    store = published(fake_spark, tmp_path)
    yarn.statuses = [404]
    operator(fake_spark, tmp_path).execute(context(task_state_store=store))

    assert len(fake_spark.starts) == 2


def test_a_failed_application_says_why_and_not_only_that_it_failed(
    yarn: ResourceManager, fake_spark: FakeSpark, tmp_path: Path
) -> None:
    yarn.states = [("FINISHED", "FAILED")]
    fake_spark.will({"error": "the API rejected the credentials"}, application=APPLICATION, status=0)

    with pytest.raises(AirflowFailException, match="the API rejected the credentials"):
        operator(fake_spark, tmp_path).execute(context(task_state_store=StateStore()))


def test_a_failed_application_without_an_outcome_is_told_by_the_cluster(
    yarn: ResourceManager, fake_spark: FakeSpark, tmp_path: Path
) -> None:
    yarn.states = [("FAILED", "FAILED")]
    fake_spark.will(None, application=APPLICATION, status=0)

    with pytest.raises(AirflowException, match=r"left no report; look at its log on the.*\n.*state: FAILED"):
        operator(fake_spark, tmp_path).execute(context(task_state_store=StateStore()))


def test_a_checkpoint_that_airflow_cannot_read_is_named_with_the_remedy(
    yarn: ResourceManager, fake_spark: FakeSpark, tmp_path: Path
) -> None:
    fake_spark.will(None, application=APPLICATION, status=0)
    far = {"changes": {"execution.checkpoint": "nosuch://cluster/checkpoint"}}

    with pytest.raises(AirflowFailException) as caught:
        operator(fake_spark, tmp_path, **far).execute(context(task_state_store=StateStore()))

    assert "outcome of the run cannot be read from nosuch://cluster/checkpoint/" in str(caught.value)
    assert "install the Airflow provider of that file system" in str(caught.value)
    assert str(caught.value).endswith("/report.json")


def test_a_checkpoint_that_cannot_be_read_for_now_is_read_by_the_next_try(
    yarn: ResourceManager, fake_spark: FakeSpark, tmp_path: Path
) -> None:
    fake_spark.will(PUBLISHED, application=APPLICATION)
    ctx = context(task_state_store=StateStore())
    operator(fake_spark, tmp_path).execute(ctx)
    outcome = Path(fake_spark.starts[0].submission["report"]) / f"outcome-{APPLICATION}.json"
    away = outcome.rename(tmp_path / "away.json")
    outcome.mkdir()

    with pytest.raises(AirflowException, match=r"cannot be read from .* start it again when") as caught:
        operator(fake_spark, tmp_path).execute(ctx)
    assert not isinstance(caught.value, AirflowFailException)

    outcome.rmdir()
    away.rename(outcome)
    assert operator(fake_spark, tmp_path).execute(ctx) == RESULT
    assert len(fake_spark.starts) == 1


def test_a_published_run_without_an_outcome_says_where_to_look(
    yarn: ResourceManager, fake_spark: FakeSpark, tmp_path: Path
) -> None:
    fake_spark.will(None, application=APPLICATION, status=0)

    with pytest.raises(
        AirflowException, match=rf"no report; look at its log .* {tmp_path}/checkpoint/.*short$"
    ):
        operator(fake_spark, tmp_path).execute(context(task_state_store=StateStore()))


def test_without_tracking_spark_submit_waits_and_the_outcome_is_found_as_well(
    yarn: ResourceManager, fake_spark: FakeSpark, tmp_path: Path
) -> None:
    fake_spark.will(PUBLISHED, application=APPLICATION)
    task = operator(fake_spark, tmp_path, yarn_track_via_rm_api=False, durable=False)

    assert task.execute(context()) == RESULT


def test_a_resource_manager_that_is_not_known_is_asked_for(
    fake_spark: FakeSpark, tmp_path: Path, connections: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, an application would live on when its task is stopped."""
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "yarn"}')
    for tracking in ({}, {"yarn_track_via_rm_api": False, "durable": False}):
        with pytest.raises(
            AirflowFailException, match="'spark_default' has no extra 'yarn_resourcemanager_webapp_address'"
        ):
            operator(fake_spark.will(PUBLISHED), tmp_path, **tracking).execute(context())

    assert fake_spark.starts == []


def test_a_durable_task_that_is_not_tracked_is_refused_for_good(
    yarn: ResourceManager, fake_spark: FakeSpark, tmp_path: Path
) -> None:
    task = operator(fake_spark.will(PUBLISHED), tmp_path, yarn_track_via_rm_api=False, durable=True)

    with pytest.raises(AirflowFailException, match=r"set yarn_track_via_rm_api=True.*or durable=False"):
        task.execute(context(task_state_store=StateStore()))
    assert fake_spark.starts == []


def test_a_kill_reaches_an_application_that_is_not_tracked(
    yarn: ResourceManager, fake_spark: FakeSpark, tmp_path: Path
) -> None:
    fake_spark.will(PUBLISHED, application=APPLICATION)
    task = operator(fake_spark, tmp_path, yarn_track_via_rm_api=False, durable=False)
    task.execute(context())

    task.on_kill()

    assert yarn.killed == [f"/ws/v1/cluster/apps/{APPLICATION}/state"]


def test_a_kill_reaches_an_application_that_was_joined(
    yarn: ResourceManager, fake_spark: FakeSpark, tmp_path: Path
) -> None:
    """Spark's own operator would not: it learns the id from what spark-submit prints."""
    store = published(fake_spark, tmp_path)
    yarn.states = [("RUNNING", "UNDEFINED"), ("FINISHED", "SUCCEEDED")]
    joined = operator(fake_spark, tmp_path)
    joined.execute(context(task_state_store=store))

    joined.on_kill()

    assert yarn.killed == [f"/ws/v1/cluster/apps/{APPLICATION}/state"]
