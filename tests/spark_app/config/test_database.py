"""Sources and sinks in a database: what they need, and where their secrets may stand."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from typing import Any

import pytest

from http_enrich_spark.config import (
    PipelineConfig,
    PipelineError,
    RunInfo,
    RunKey,
    check_pipeline,
    plain,
    plain_options,
    secret_texts,
)
from http_enrich_transport import SecretText
from tests.support.pipelines import load, pipeline

URL = "jdbc:postgresql://db.test:5432/airports"
LOGIN = {"user": "${conn.db.login}", "password": "${conn.db.password}"}
ENVIRON = {"AIRFLOW_CONN_DB": '{"login": "canary-login", "password": "canary-password"}'}
SINK = {"format": "jdbc", "table": "public.airports", "options": {"url": URL, **LOGIN}}
SOURCE = {"format": "jdbc", "table": "public.airports", "options": {"url": URL, **LOGIN}, "id": ["icao"]}


def config(environ: Mapping[str, str] = ENVIRON, **sections: Any) -> PipelineConfig:
    changes = {"source": SOURCE, "sink": SINK, "execution.checkpoint": "stage", **sections}
    return load(changes, environ)


def refusal(**sections: Any) -> str:
    with pytest.raises(PipelineError) as caught:
        config(**sections)
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def test_the_options_of_a_database_may_be_secret() -> None:
    found = config()

    assert plain_options(found.sink.options) == {
        "url": URL,
        "user": "canary-login",
        "password": "canary-password",
    }
    assert set(secret_texts(found)) == {"canary-login", "canary-password"}
    assert "canary" not in repr(found) + str(found.model_dump())


def test_another_password_makes_no_other_run() -> None:
    other = {"AIRFLOW_CONN_DB": '{"login": "canary-login", "password": "canary-other"}'}
    keys = [RunKey.of(config(environ), RunInfo()) for environ in (ENVIRON, other)]

    assert keys[0].digest == keys[1].digest
    assert "canary" not in json.dumps([keys[0].settings, plain(config().sink)])


def test_a_password_out_of_the_environment_is_a_secret_too() -> None:
    options = {"url": URL, "sslPassword": "${env.DB}", "fetchsize": 100, "pushDownLimit": True}
    found = config(sink={**SINK, "options": options}, environ={**ENVIRON, "DB": "canary"})

    assert isinstance(found.sink.options["sslPassword"], SecretText)
    assert plain_options(found.sink.options)["sslPassword"] == "canary"
    assert (found.sink.options["fetchsize"], plain_options(found.sink.options)["pushDownLimit"]) == (
        100,
        "true",
    )


@pytest.mark.parametrize(
    ("section", "changes", "said"),
    [
        ("sink", {"format": "parquet"}, "only format jdbc can hide its options"),
        ("sink", {"table": None}, "format jdbc needs a table such as airports or public.airports"),
        ("sink", {"table": "a.b.c"}, "format jdbc needs a table such as airports or public.airports"),
        ("sink", {"table": "public."}, "format jdbc needs a table such as airports or public.airports"),
        ("sink", {"path": "out"}, "format jdbc has no path; give options.url, and table"),
        ("sink", {"options": {}}, "format jdbc needs options.url, such as jdbc:postgresql://"),
        ("sink", {"options": {"url": URL, "dbtable": "x"}}, "take dbtable and query out of options"),
        ("source", {"table": None}, "format jdbc needs exactly one of table and query"),
        ("source", {"query": "SELECT 1"}, "format jdbc needs exactly one of table and query"),
        ("source", {"options": {"url": URL, "query": "SELECT 1"}}, "needs exactly one of table and query"),
        ("source", {"path": "in"}, "format jdbc has no path"),
        ("source", {"options": {"url": URL, "dbtable": LOGIN["user"]}, "table": None}, "Spark shows queries"),
        ("source", {"options": {"url": URL, "password": "${env.NO}"}}, "NO is not set"),
        ("sink", {"options": {"url": f"{URL}?user=x&password=canary"}}, "do not belong into the address"),
        ("sink", {"options": {"url": "jdbc:mysql://me:canary@db.test/x"}}, "do not belong into the address"),
        (
            "sink",
            {"options": {"url": URL, "password": "canary"}},
            "a secret is not written into the pipeline",
        ),
    ],
)
def test_what_cannot_be_a_database_is_refused(section: str, changes: dict[str, Any], said: str) -> None:
    base = SINK if section == "sink" else SOURCE
    given = {key: value for key, value in {**base, **changes}.items() if value is not None}

    assert said in refusal(**{section: given})


def test_a_whole_address_may_be_a_secret() -> None:
    environ = {"AIRFLOW_CONN_DB": json.dumps({"extra": {"url": f"{URL}?password=canary"}})}
    found = config(
        environ, source={**SOURCE, "options": {"url": "${conn.db.extra.url}"}}, sink={"path": "out"}
    )

    assert "canary" not in repr(found)


@pytest.mark.parametrize("name", ["table", "query"])
def test_a_database_is_checked_while_the_dag_is_parsed(name: str) -> None:
    source = {"format": "jdbc", name: "x", "options": {"url": "${var.url}", **LOGIN}, "id": ["icao"]}
    check_pipeline(pipeline({"source": source, "sink": SINK, "execution.checkpoint": "stage"}))

    del source["options"]["url"]  # type: ignore[attr-defined]
    with pytest.raises(PipelineError, match=r"source: format jdbc needs options\.url"):
        check_pipeline(pipeline({"source": source}))


def test_a_format_that_is_no_format_of_files_needs_no_path() -> None:
    source = {"format": "mongodb", "options": {"database": "x"}, "id": ["icao"]}

    assert config(source=source).source.path is None
    assert "give exactly one of path, table and query" in refusal(source={**source, "format": "orc"})
    assert "give exactly one of path, table and query" in refusal(source={"id": ["icao"]})


@pytest.mark.parametrize(
    ("dead", "apart"),
    [
        ({"table": "public.airports"}, False),
        ({"table": "public.failed"}, True),
        ({"table": "public.airports", "options": {"url": f"{URL}2"}}, True),
        ({"table": "public.airports", "format": "parquet", "options": {}}, True),
    ],
)
def test_a_dead_letter_in_the_same_table_is_refused(dead: dict[str, Any], apart: bool) -> None:
    sections: dict[str, Any] = {"errors": {"dead_letter": {**SINK, **dead}}}
    if apart:
        assert config(**sections).dead_letter is not None
    else:
        assert "errors.dead_letter and sink are in one place" in refusal(**sections)
