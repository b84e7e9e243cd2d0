"""Filling in what is known before the first row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from http_enrich_spark.config import PipelineError, Reference, RunInfo, Template, load_pipeline, read_document
from http_enrich_transport import AiohttpEngineConfig
from tests.support.pipelines import TEXT, endpoint, load, pipeline, written

DAY = RunInfo("r-1", "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00", "IS")


def refusal(changes: dict[str, Any], **options: Any) -> str:
    with pytest.raises(PipelineError) as caught:
        load(changes, **options)
    return str(caught.value)


def test_a_file_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "airports.yaml"
    file.write_text(TEXT)

    config = load_pipeline(file, environ={})

    assert (config.source.path, config.source.id, written(config.endpoint.path)) == (
        "data/airports",
        ["icao"],
        "/v1/${row.icao}",
    )


def test_defaults_are_the_documented_ones() -> None:
    config = load({})

    assert (config.source.format, config.sink.format, config.sink.mode) == ("parquet", "parquet", "error")
    assert (config.execution.batch_size, config.execution.max_error_rate) == (10_000, 0.5)
    assert (config.endpoint.method, config.transport.engine, config.transport.base_timeout) == (
        "GET",
        "aiohttp",
        30,
    )


def test_concurrency_is_the_size_of_the_connection_pool_unless_it_is_set() -> None:
    limit = {"transport.tcp_connection.limit": 7}

    assert load(limit).concurrency == 7
    assert load(limit | {"execution.concurrency": 50}).concurrency == 50


def test_answers_wait_beside_the_sink_unless_there_is_a_checkpoint() -> None:
    assert load({"sink.path": "a"}).checkpoint == "_http_enrich"
    assert load({"sink.path": "out/a/"}).checkpoint == "out/_http_enrich"
    assert load({"execution.checkpoint": "state"}).checkpoint == "state"


@pytest.mark.parametrize(("written", "seconds"), [("250ms", 0.25), ("5s", 5), ("1.5m", 90), ("1h", 3600)])
def test_durations_have_units(written: str, seconds: float) -> None:
    transport = load({"transport.base_timeout": written}).transport

    assert isinstance(transport, AiohttpEngineConfig)
    assert transport.base_timeout == seconds


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load({}).name = "other"


# Where values come from.


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a/${var.day}/b", "a/7/b"),
        ("${env.BUCKET}/a", "s3a://b/a"),
        ("${run.id}/${run.date}", "r-1/2026-01-01"),
        ("${run.window_start}", "2026-01-01T00:00:00+00:00"),
        ("${run.window_end}", "2026-01-02T00:00:00+00:00"),
        ("${run.partition_key}", "IS"),
        ("${conn.api.host}:${conn.api.port}", "h.test:81"),
        ("$${var.day}", "${var.day}"),
        ("a $${x} ${var.day} $${", "a ${x} 7 ${"),
        ("$x {row.x} $ {a}", "$x {row.x} $ {a}"),
    ],
)
def test_placeholders_are_filled_in(text: str, value: str) -> None:
    environ = {"BUCKET": "s3a://b", "AIRFLOW_CONN_API": "http://h.test:81"}

    config = load({"source.path": text}, environ, variables={"day": 7}, run=DAY)

    assert config.source.path == value


def test_placeholders_are_filled_in_at_any_depth() -> None:
    body = {"a": [{"b": "x-${var.n}"}, ["${var.n}"]]}

    assert endpoint({"json": body}, variables={"n": 7}).json_ == {"a": [{"b": Template("x-7")}, [7]]}


@pytest.mark.parametrize("value", [7, 1.5, True, None, [2, 1], {"a": {"b": 1}}])
def test_a_text_that_is_one_placeholder_keeps_the_type_of_its_value(value: object) -> None:
    filled = endpoint({"json": {"key": "${var.x}"}}, variables={"x": value}).json_["key"]

    assert filled == value
    assert type(filled) is type(value)


def test_a_variable_may_be_a_list_of_names_or_a_whole_block() -> None:
    given = {"ids": ["a", "b"], "chain": [{"type": "retry", "max_attempts": 5}]}

    config = load({"source.id": "${var.ids}", "middleware": "${var.chain}"}, variables=given)

    assert config.source.id == ["a", "b"]
    assert [each.model_dump()["max_attempts"] for each in config.middleware] == [5]


def test_a_value_that_does_not_fit_its_field_is_refused_at_the_placeholder() -> None:
    document = read_document(TEXT + "execution:\n  batch_size: ${var.size}\n", name="p.yaml")

    with pytest.raises(PipelineError) as caught:
        load_pipeline(document, variables={"size": "many"}, environ={})

    assert str(caught.value).startswith("p.yaml:12:3: execution.batch_size: Input should be a valid integer")


def test_rows_are_left_for_the_workers() -> None:
    path = "/${var.v}/${row.icao}"

    assert endpoint({"path": path}, variables={"v": "v1"}).path == Template("/v1/", Reference("row", "icao"))


# What is not there.


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${var.day}", "no variable 'day'; given: none"),
        ("${env.BUCKET}", "the environment variable BUCKET is not set"),
        (
            "${run.partition_key}",
            "this run has no partition_key; schedule the DAG with CronPartitionTimetable",
        ),
        ("${conn.api.host}", "no connection 'api'; create it in Airflow or set AIRFLOW_CONN_API"),
    ],
)
def test_what_is_missing_is_named(text: str, said: str) -> None:
    assert refusal({"source.path": text}).startswith(f"pipeline: source.path: {said}")


@pytest.mark.parametrize("field", ["date", "window_start", "window_end"])
def test_a_run_without_a_window_says_how_to_get_one(field: str) -> None:
    said = refusal({"source.path": f"${{run.{field}}}"})

    assert said.startswith("pipeline: source.path: this run has no data window; schedule the DAG with")


@pytest.mark.parametrize("field", ["date", "window_start", "window_end"])
def test_an_empty_window_is_refused(field: str) -> None:
    """A DAG on a cron string has one in Airflow 3; it would select no rows, or all of them."""
    noon = "2026-01-01T12:00:00+00:00"

    said = refusal({"source.path": f"${{run.{field}}}"}, run=RunInfo("r", noon, noon))

    assert f"the data window from {noon} to {noon} is empty" in said
    assert "CronDataIntervalTimetable" in said


def test_a_window_is_compared_as_time_and_not_as_text() -> None:
    same = RunInfo("r", "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00Z")
    reversed_ = RunInfo("r", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z")

    for run in (same, reversed_):
        assert "is empty" in refusal({"source.path": "${run.date}"}, run=run)


def test_a_run_that_uses_no_window_needs_none() -> None:
    assert load({"source.path": "${run.id}"}, run=RunInfo("r-2")).source.path == "r-2"


def test_everything_that_is_missing_is_reported_together() -> None:
    said = refusal({"source.path": "${env.A}", "sink.path": "${conn.b.host}"})

    assert [each.split(": ")[1] for each in said.split("\n")] == ["sink.path", "source.path"]


# Values are never templates.


def test_a_variable_cannot_bring_a_placeholder_along() -> None:
    changes = {"path": "/${var.x}/${row.icao}", "json": {"a": "${var.x}", "b": "- ${var.x}"}}

    config = endpoint(changes, variables={"x": "${row.ssn}"})

    assert config.path == Template("/${row.ssn}/", Reference("row", "icao"))
    assert config.json_ == {"a": Template("${row.ssn}"), "b": Template("- ${row.ssn}")}


def test_a_structure_cannot_bring_placeholders_along() -> None:
    given = {"x": {"a": "${row.ssn}", "b": ["${var.q}"]}}

    filled = endpoint({"json": "${var.x}"}, variables=given).json_

    assert filled == {"a": Template("${row.ssn}"), "b": [Template("${var.q}")]}


@pytest.mark.parametrize(("first", "second"), [("$", "{row.ssn}"), ("$", "$"), ("${row.", "ssn}")])
def test_two_variables_do_not_make_a_placeholder_together(first: str, second: str) -> None:
    header = endpoint(
        {"headers": {"X": "${var.a}${var.b}${row.n}"}}, variables={"a": first, "b": second}
    ).headers["X"]

    assert header.parts == (first + second, Reference("row", "n"))


@pytest.mark.parametrize(("value", "text"), [(True, "is true"), (1.5, "is 1.5")])
def test_variables_are_written_into_texts_as_yaml_writes_them(value: object, text: str) -> None:
    assert load({"source.where": "is ${var.x}"}, variables={"x": value}).source.where == text


def test_a_null_variable_is_no_text() -> None:
    assert "a null cannot be a part of a text" in refusal(
        {"source.where": "is ${var.x}"}, variables={"x": None}
    )


def test_a_variable_is_not_filled_in_again() -> None:
    assert load({"source.path": "${var.x}"}, variables={"x": "${env.HOME}"}).source.path == "${env.HOME}"


def test_filling_in_leaves_the_document_as_it_was() -> None:
    """The operator is a template that runs many times."""
    document = read_document(pipeline({"source.path": "${var.x}"}))

    first, second = (load_pipeline(document, variables={"x": x}, environ={}) for x in ("1", "2"))

    assert (first.source.path, second.source.path) == ("1", "2")
