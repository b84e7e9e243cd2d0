"""Pipelines that are well formed and would do harm, or be no use."""

from __future__ import annotations

from typing import Any

import pytest

from http_enrich_spark.config import PipelineError, check_pipeline, read_document
from http_enrich_transport import SecretText
from tests.support.deadline import within
from tests.support.pipelines import TEXT, load, pipeline


@pytest.mark.parametrize(
    "address",
    [
        "https://api.test?",
        "https://api.test#",
        "https://api.test:99999",
        "https://a b/",
        "https://api.test/\r\nX: 1",
        "https://me:canary-1℀@api.test",
        "ftp://api.test",
        "api.test",
        "https://",
    ],
)
def test_an_address_that_is_none_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(PipelineError) as caught:
        check_pipeline(pipeline({"endpoint.base_url": address}))

    said = str(caught.value)
    assert said.startswith("pipeline: endpoint.base_url: ")
    assert "canary" not in said


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint.path": "${var.p}"},
        {"endpoint.path": "${var.p}/${row.icao}"},
        {"middleware": [{"type": "${var.m}"}]},
        {"transport.engine": "${var.e}"},
    ],
)
def test_a_placeholder_is_taken_on_trust_wherever_it_stands(changes: dict[str, Any]) -> None:
    assert check_pipeline(pipeline(changes))


def test_a_header_is_given_once_whatever_its_case() -> None:
    with pytest.raises(PipelineError, match="the header 'x-a' is given twice"):
        check_pipeline(pipeline({"endpoint.headers": {"X-A": "1", "x-a": "2"}}))


def test_a_rule_of_the_whole_pipeline_reads_like_the_others() -> None:
    with pytest.raises(PipelineError) as caught:
        check_pipeline(pipeline({"sink": {"table": "t"}}))

    assert str(caught.value) == (
        "pipeline: a sink table needs execution.checkpoint, a folder that every executor can reach"
    )


def test_a_mapping_may_not_be_nested_without_end() -> None:
    deep: dict[str, Any] = {}
    for _ in range(3000):
        deep = {"a": deep}

    with pytest.raises(PipelineError, match="nested deeper than 50 levels"):
        check_pipeline(pipeline({"endpoint.json": deep}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source.path": "a/in", "sink.path": "a", "sink.mode": "overwrite"}, "would delete source.path"),
        (
            {"sink.path": "a/", "sink.mode": "overwrite", "execution.checkpoint": "a/.stage"},
            "would delete execution.checkpoint",
        ),
        ({"sink.path": "s3a://bucket/"}, "sink.path is the top of a file system"),
        ({"sink.path": "/"}, "sink.path is the top of a file system"),
        ({"sink.path": "a/.."}, "sink.path is the top of a file system"),
        ({"sink.path": ""}, "sink.path: String should have at least 1 character"),
        (
            {"source": {"table": "t", "id": ["x"], "format": "csv"}},
            "source: format and options go with path",
        ),
        (
            {"sink.format": "xml", "sink.partition_by": ["a"], "sink.mode": "overwrite_partitions"},
            "mode overwrite_partitions works with avro, csv,",
        ),
    ],
)
def test_what_would_do_harm_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PipelineError) as caught:
        check_pipeline(pipeline(changes))

    assert said in str(caught.value)


@pytest.mark.parametrize("path", ["a", "/a", "s3a://bucket/a", "file:///a", "hdfs://nn:8020/a", "a=1"])
def test_a_sink_may_be_any_folder(path: str) -> None:
    assert check_pipeline(pipeline({"sink.path": path}))


def test_a_source_may_be_replaced_by_its_own_result() -> None:
    same = {"source.path": "a", "sink.path": "a", "sink.mode": "overwrite"}

    assert check_pipeline(pipeline(same))


def test_many_problems_are_counted_and_not_all_shown() -> None:
    with pytest.raises(PipelineError) as caught:
        check_pipeline(pipeline({f"key{number}": 1 for number in range(30)}))

    assert len(str(caught.value).splitlines()) == 21
    assert str(caught.value).endswith("pipeline: and 10 more")


def test_a_file_of_very_many_keys_is_refused_at_once() -> None:
    text = TEXT + "middleware:\n" + "  - {type: timing}\n" * 10_000

    with pytest.raises(PipelineError, match=r"more than 10,000 keys and values"):
        within(1, lambda: read_document(text, name="p.yaml"))


def test_authorization_is_set_by_one_of_two() -> None:
    bearer = {"type": "bearer", "token": SecretText("x")}
    changes = {"endpoint.headers": {"authorization": "${env.X}"}, "middleware": [bearer]}

    with pytest.raises(PipelineError, match=r"endpoint\.headers and bearer both set Authorization"):
        check_pipeline(pipeline(changes))


def test_a_header_that_holds_a_secret_is_not_written_down() -> None:
    literal = {"endpoint.headers": {"authorization": "Bearer abcdef"}}
    with pytest.raises(PipelineError, match=r"authorization: a secret is not written into the pipeline; use"):
        check_pipeline(pipeline(literal))

    for written in ("Token ${conn.api.password}", "${var.token}", "${row.token}"):
        assert check_pipeline(pipeline({"endpoint.headers": {"authorization": written}}))


@pytest.mark.parametrize("section", ["source", "sink"])
def test_a_format_is_the_same_in_capitals(section: str) -> None:
    """Spark takes them; what is done for a format must not hang on how it is written."""
    config = getattr(load({f"{section}.format": "PARQUET"}), section)
    assert config.format == "parquet"

    with pytest.raises(PipelineError, match=rf"{section}.format: write 'jdbc', whose credentials are hidden"):
        check_pipeline(pipeline({f"{section}.format": "org.apache.spark.sql.jdbc"}))


def test_the_keys_of_a_mapping_are_texts() -> None:
    with pytest.raises(PipelineError, match=r"endpoint\.json: the key 1 is no text"):
        check_pipeline(pipeline({"endpoint.json": {1: "a"}}))


def test_a_field_that_no_connection_has_is_a_mistake_of_the_pipeline() -> None:
    with pytest.raises(PipelineError, match="has no field 'pasword'; did you mean 'password'"):
        check_pipeline(pipeline({"endpoint.headers": {"X": "${conn.api.pasword}"}}))


def test_a_request_may_have_double_braces() -> None:
    assert check_pipeline(pipeline({"endpoint.headers": {"X": "{{ x }}"}}))


@pytest.mark.parametrize("key", ["sink.path", "source.where", "name"])
def test_jinja_is_sent_to_where_it_works(key: str) -> None:
    """A folder called `{{ ds }}` is what one would get."""
    with pytest.raises(PipelineError, match="Jinja works in the operator's variables only"):
        check_pipeline(pipeline({key: "a/{{ ds }}"}))
