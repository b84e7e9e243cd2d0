"""What no worker could begin with ends before Spark starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from http_enrich_spark.app import execute
from http_enrich_spark.config import Recipe, RunInfo
from http_enrich_spark.driver import RunError, check_middleware
from tests.support.pipelines import load, pipeline


def test_what_can_be_built_is_fine() -> None:
    check_middleware(load({"middleware": [{"type": "retry"}, {"type": "json_body"}]}))


def test_a_package_that_is_missing_here_is_missing_on_the_executors() -> None:
    entries = [{"type": "retry"}, {"type": "not_here_acme.steps:Tenant", "tenant": "north"}]

    with pytest.raises(RunError, match=r"middleware\[1\] \(not_here_acme.steps:Tenant\): .*on the executors"):
        check_middleware(load({"middleware": entries}))


def test_no_session_is_opened_for_a_chain_that_cannot_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(Path("/nowhere")))
    written = pipeline({"middleware": [{"type": "not_here_acme.steps:Tenant"}]})

    with pytest.raises(RunError, match="not_here_acme"):
        execute(Recipe("airports", written, {}, RunInfo()), master="local[1]")
