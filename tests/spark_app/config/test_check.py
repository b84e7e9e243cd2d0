"""What is said about a pipeline before it runs, and about which place."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from http_enrich_spark.config import PipelineError, check_pipeline, read_document
from tests.support.pipelines import TEXT, pipeline

CANARY = "canary-7f3a"


def lines(source: str | dict[str, Any], variables: dict[str, Any] | None = None) -> list[str]:
    """Return what is wrong with *source*, one line for each problem."""
    document = read_document(source, name="p.yaml")
    with pytest.raises(PipelineError) as caught:
        check_pipeline(document, variables=variables)
    return str(caught.value).split("\n")


def line(source: str | dict[str, Any], variables: dict[str, Any] | None = None) -> str:
    """Return the only thing that is wrong with *source*."""
    (only,) = lines(source, variables)
    return only


def test_a_correct_pipeline_passes() -> None:
    assert check_pipeline(read_document(TEXT)).data == pipeline()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("name: air", "nam: air"), "p.yaml:2:1: nam: unknown key 'nam'; did you mean 'name'?"),
        (("  path: out", "  paht: out"), "p.yaml:10:3: sink.paht: unknown key 'paht'; did you mean 'path'?"),
        (("[icao]", "icao"), "p.yaml:5:3: source.id: Input should be a valid list"),
        (("[icao]", "[a, 2]"), "p.yaml:5:11: source.id[1]: Input should be a valid string"),
        (("version: 1", "version: 2"), "p.yaml:1:1: version: Input should be 1"),
        (("https://api.test", "api.test"), "p.yaml:7:3: endpoint.base_url: expected an address such as"),
    ],
)
def test_a_problem_names_line_column_and_key(change: tuple[str, str], said: str) -> None:
    assert any(each.startswith(said) for each in lines(TEXT.replace(*change)))


def test_an_unknown_key_without_a_neighbour_is_told_what_there_is() -> None:
    said = line(TEXT.replace("sink:\n", "sink:\n  zzz: 1\n"))

    assert said.startswith("p.yaml:10:3: sink.zzz: unknown key 'zzz'; known here: format, mode, options,")


def test_a_missing_key_is_told_where_it_belongs() -> None:
    assert line(TEXT.replace("  id: [icao]\n", "")) == "p.yaml:3:1: source.id: this key is missing"


def test_an_unknown_middleware_is_told_the_nearest() -> None:
    said = line(TEXT + "middleware:\n  - type: timing\n  - type: retri\n")

    assert said.startswith("p.yaml:13:5: middleware[1].type: no middleware 'retri'; did you mean 'retry'?")


def test_an_option_of_a_middleware_has_its_own_line() -> None:
    said = line(TEXT + "middleware:\n  - type: retry\n    max_atempts: 3\n")

    assert said == (
        "p.yaml:13:5: middleware[0].max_atempts: unknown key 'max_atempts'; did you mean 'max_attempts'?"
    )


@pytest.mark.parametrize("entry", ["middleware: [retry]", "middleware: [{max_attempts: 3}]"])
def test_a_middleware_without_a_type_is_shown_how_to_write_one(entry: str) -> None:
    assert line(TEXT + entry).endswith("middleware[0]: expected an entry such as '- type: retry'")


def test_an_unknown_engine_is_told_which_there_are() -> None:
    said = line(TEXT + "transport:\n  engine: curl\n")

    assert said == (
        "p.yaml:12:3: transport.engine: no transport engine 'curl'; there are: aiohttp, memory, pyreqwest, "
        "and package.module:Class for one of your own"
    )


@pytest.mark.parametrize(
    ("key", "written", "said"),
    [
        ("transport.base_timeout", "5x", "Input should be a valid number"),
        ("transport.base_timeout", 0, "greater than 0"),
        ("transport.base_timeout", float("inf"), "finite"),
        ("transport.tcp_connection.limit", 0, "greater than or equal to 1"),
        ("execution.batch_size", True, "expected a number, not true or false"),
        ("execution.batch_size", 1.5, "valid integer"),
        ("execution.max_error_rate", 1.5, "less than or equal to 1"),
        ("endpoint.method", "get", "Input should be 'GET'"),
        ("endpoint.params", {"a": [1]}, "expected a text or a number"),
        ("sink.mode", "overwrit", "Input should be 'append'"),
        ("name", "../x", "String should match pattern"),
        ("response.select", "a..b", "String should match pattern"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(key: str, written: object, said: str) -> None:
    text = line(pipeline({key: written}))

    assert text.startswith(f"p.yaml: {key}")
    assert said in text


def test_all_problems_are_reported_in_the_order_of_the_file() -> None:
    text = TEXT.replace("data/", "${var.data").replace("name:", "nam:").replace("out/", "${row.out}/")

    said = lines(text + "middleware:\n  - type: retri\n")

    assert [each.split(": ")[0] for each in said] == [
        "p.yaml:1:1",
        "p.yaml:2:1",
        "p.yaml:4:3",
        "p.yaml:10:3",
        "p.yaml:12:5",
    ]


def test_a_mapping_has_paths_but_no_lines() -> None:
    changes = {"sink.paht": 1, "middleware": [{"type": "timing"}, {"type": "retry", "max_attempts": 0}]}

    assert lines(pipeline(changes)) == [
        "p.yaml: middleware[1].max_attempts: Input should be greater than or equal to 1",
        "p.yaml: sink.paht: unknown key 'paht'; did you mean 'path'?",
    ]


def test_an_error_survives_the_way_between_processes() -> None:
    with pytest.raises(PipelineError) as caught:
        check_pipeline(read_document("{}", name="p.yaml"))
    copy = pickle.loads(pickle.dumps(caught.value))

    assert (str(copy), copy.problems) == (str(caught.value), caught.value.problems)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source.table": "db.a"}, "source: give exactly one of path, table and query"),
        ({"source.path": None}, "source: give exactly one of path, table and query"),
        ({"source.id": []}, "source.id: List should have at least 1 item"),
        ({"sink.table": "db.a"}, "sink: give exactly one of path and table"),
        ({"sink.path": None}, "sink: give exactly one of path and table"),
        ({"sink.mode": "overwrite_partitions"}, "sink: mode overwrite_partitions needs partition_by"),
        ({"endpoint.json": {"a": 1}, "endpoint.body": "b"}, "endpoint: give at most one of json, form and"),
        ({"endpoint.json": {"a": 1}, "endpoint.form": {}}, "endpoint: give at most one of json, form and"),
        ({"endpoint.path": "v1"}, "endpoint: path must start with '/'"),
        ({"endpoint.path": "/v1?a=1"}, "endpoint: path has no '?' and no '#'"),
        ({"endpoint.path": "/v1#a"}, "endpoint: path has no '?' and no '#'"),
        ({"endpoint.base_url": "ftp://api.test"}, "endpoint.base_url: expected an address"),
        ({"endpoint.base_url": "file:///etc/passwd"}, "endpoint.base_url: expected an address"),
        ({"endpoint.base_url": "https://"}, "endpoint.base_url: expected an address"),
        ({"endpoint.base_url": "https://api.test?a=1"}, "endpoint.base_url: no query or fragment here"),
        ({"endpoint.headers": {"Host": "evil"}}, "endpoint.headers.Host: 'Host' is written by the HTTP"),
        ({"endpoint.headers": {"content-length": "1"}}, "endpoint.headers.content-length: 'content-length'"),
        ({"endpoint.headers": {"X Y": "a"}}, "endpoint.headers.X Y: 'X Y' is not a header name"),
        ({"endpoint.headers": {"X:\r\nY": "a"}}, "endpoint.headers.X:\r"),
    ],
)
def test_values_have_to_fit_together(changes: dict[str, Any], said: str) -> None:
    assert lines(pipeline(changes))[0].startswith(f"p.yaml: {said}")


def test_a_sink_table_needs_a_folder_for_unpublished_answers() -> None:
    table = pipeline({"sink.path": None, "sink.table": "db.airports"})
    assert "a sink table needs execution.checkpoint" in line(table)

    check_pipeline(table | {"execution": {"checkpoint": "state/airports"}})


# Placeholders.


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "${var.version}"},
        {"execution.batch_size": "${var.size}", "execution.max_error_rate": "${env.RATE}"},
        {"transport.base_timeout": "${var.timeout}"},
        {"transport.tcp_connection.limit": "${var.limit}0"},
        {"middleware": [{"type": "retry", "max_attempts": "${var.tries}"}]},
        {"middleware": "${var.middleware}"},
        {"source.id": "${var.ids}"},
        {"endpoint.base_url": "https://${conn.api.host}:${conn.api.port}"},
        {"endpoint.method": "${var.method}"},
        {"response.keep_body": "${var.keep}"},
        {"sink.mode": "${var.mode}"},
    ],
)
def test_a_placeholder_is_trusted_to_become_what_its_field_needs(changes: dict[str, Any]) -> None:
    assert check_pipeline(pipeline(changes)).data == pipeline(changes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${foo.x}", "no placeholder '${foo.x}'; there are ${var.…}, ${env.…}, ${run.…}, ${conn.…}"),
        ("${var.}", "no placeholder '${var.}'; there are"),
        ("${}", "no placeholder '${}'; there are"),
        ("a ${ var.x }", "no placeholder '${ var.x }'; there are"),
        ("${x.__class__}", "no placeholder '${x.__class__}'; there are"),
        ("${var.x", "'${var.x' is not closed by '}'"),
        ("${{ var.x }}", "'${' is not closed by '}'"),
        ("${run.now}", "no placeholder '${run.now}'; ${run.…} has id, date, window_start, window_end"),
        ("${conn.api}", "'${conn.api}' names no field; write ${conn.api.password}"),
    ],
)
def test_a_placeholder_without_a_meaning_is_refused_at_its_place(text: str, said: str) -> None:
    assert line(TEXT.replace("data/airports", f"'{text}'")).startswith(f"p.yaml:4:3: source.path: {said}")


@pytest.mark.parametrize("text", ["{x.__class__}", "%s", "$x", "$ {row.x}", "$${nope.x}", "#{x}"])
def test_other_template_languages_are_plain_text(text: str) -> None:
    check_pipeline(pipeline({"source.path": text, "endpoint.headers": {"X": text}}))


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"days": 1, "x": 2}, "did you mean 'days'?"),
        ({"x": 1, "alpha": 2}, "given: alpha, x"),
        ({}, "given: none"),
    ],
)
def test_an_unknown_variable_is_told_what_there_is(given: dict[str, Any], hint: str) -> None:
    text = TEXT.replace("data/airports", "data/${var.day}")

    assert line(text, given) == f"p.yaml:4:3: source.path: no variable 'day'; {hint}"


def test_variables_are_not_judged_while_they_are_unknown() -> None:
    assert check_pipeline(pipeline({"source.path": "data/${var.day}"}), variables=None)


@pytest.mark.parametrize(
    "key",
    [
        "name",
        "source.path",
        "endpoint.base_url",
        "endpoint.method",
        "transport.base_timeout",
        "response.select",
        "sink.path",
    ],
)
def test_a_row_cannot_choose_anything_but_its_request(key: str) -> None:
    said = line(pipeline({key: "https://${row.x}"}))

    assert said.startswith(f"p.yaml: {key}: ${{row.x}} cannot stand here, only in endpoint.path, params,")


def test_a_row_cannot_choose_the_token() -> None:
    said = line(pipeline({"middleware": [{"type": "bearer", "token": "${row.x}"}]}))

    assert said.startswith("p.yaml: middleware[0].token: ${row.x} cannot stand here")


# Secrets.


@pytest.mark.parametrize("token", [CANARY, f"{CANARY}-$${{var.x}}", [CANARY], {"a": CANARY}])
def test_a_literal_secret_is_refused_and_not_repeated(token: object) -> None:
    said = line(pipeline({"middleware": [{"type": "bearer", "token": token}]}))

    assert said.startswith(
        "p.yaml: middleware[0].token: a secret is not written into the pipeline; use ${conn"
    )
    assert CANARY not in said


def test_credentials_in_the_address_are_refused_and_not_repeated() -> None:
    said = line(pipeline({"endpoint.base_url": f"https://me:{CANARY}@api.test"}))

    assert said.startswith("p.yaml: endpoint.base_url: credentials do not belong into the address")
    assert CANARY not in said
