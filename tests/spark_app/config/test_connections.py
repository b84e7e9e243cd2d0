"""Connections as Airflow writes them into the environment, and what of them is secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from http_enrich_spark.config import (
    PipelineError,
    Reference,
    Template,
    connection_ids,
    connection_variable,
    secret_texts,
    secrets,
)
from http_enrich_transport import PrivateText, SecretText
from tests.support.pipelines import endpoint, load

FIELDS = {
    "conn_type": "http",
    "host": "h.test",
    "port": 8443,
    "schema": "https",
    "login": "me",
    "password": "p@ss/w#rd",
    "extra": {"key": "k 1"},
}
AS_JSON = json.dumps(FIELDS)
AS_JSON_WITH_TEXT_EXTRA = json.dumps(FIELDS | {"extra": json.dumps(FIELDS["extra"])})
AS_URI = "http://me:p%40ss%2Fw%23rd@h.test:8443/https?key=k+1"


def header(placeholder: str, connection: str) -> Template:
    """Return what a header becomes that is written as *placeholder*."""
    environ = {"AIRFLOW_CONN_API": connection}
    return endpoint({"headers": {"X": placeholder}}, environ).headers["X"]


def refusal(placeholder: str, connection: str) -> str:
    with pytest.raises(PipelineError) as caught:
        header(placeholder, connection)
    return str(caught.value)


@pytest.mark.parametrize("written", [AS_JSON, AS_JSON_WITH_TEXT_EXTRA, AS_URI], ids=["json", "text", "uri"])
@pytest.mark.parametrize(
    ("field", "value"), [("conn_type", "http"), ("host", "h.test"), ("port", "8443"), ("schema", "https")]
)
def test_fields_that_say_where_are_plain(written: str, field: str, value: str) -> None:
    found = header(f"${{conn.api.{field}}}", written)

    assert (found.literal, found.secret) == (value, False)


@pytest.mark.parametrize("written", [AS_JSON, AS_JSON_WITH_TEXT_EXTRA, AS_URI], ids=["json", "text", "uri"])
@pytest.mark.parametrize(
    ("field", "value"), [("login", "me"), ("password", "p@ss/w#rd"), ("extra.key", "k 1")]
)
def test_all_other_fields_are_secret(written: str, field: str, value: str) -> None:
    found = header(f"${{conn.api.{field}}}", written)

    assert (found.literal, found.secret) == (value, True)


def test_of_a_text_with_secrets_in_it_each_is_hidden() -> None:
    found = header("Basic ${conn.api.login}:${conn.api.password} ${row.x}", AS_URI)

    assert found.revealed == ("Basic me:p@ss/w#rd ", Reference("row", "x"))
    assert repr(found) == "Basic ***:*** ${row.x}"
    assert secret_texts(found) == {"me", "p@ss/w#rd"}


@pytest.mark.parametrize(
    ("place", "written", "kind"),
    [
        ("endpoint.params.q", "${conn.api.password}", SecretText),
        ("endpoint.params.q", "${conn.api.extra.apiKey}", SecretText),
        ("endpoint.params.apiKey", "${conn.api.extra.q}", SecretText),
        ("endpoint.headers.X-Who", "${conn.api.login}", SecretText),
        ("endpoint.params.q", "${conn.api.login}", PrivateText),
        ("endpoint.params.q", "${conn.api.extra.country.code}", PrivateText),
    ],
)
def test_what_opens_something_is_told_from_what_says_who_we_are(
    place: str, written: str, kind: type[SecretText]
) -> None:
    """The one is taken out of answers, too; the other may be any word."""
    extra = {"apiKey": "canary", "q": "canary", "country": {"code": "IS"}}
    connection = json.dumps({"login": "me", "password": "canary", "extra": extra})
    config = load({place: written}, {"AIRFLOW_CONN_API": connection})

    assert [type(each) for each in secrets(config)] == [kind]


def test_an_extra_that_airflow_wrote_as_json_is_read() -> None:
    found = header(
        "${conn.api.extra.a.b}", "http://h.test/?__extra__=%7B%22a%22%3A+%7B%22b%22%3A+%22x%22%7D%7D"
    )

    assert found.literal == "x"


def test_an_extra_may_be_nested() -> None:
    found = header("${conn.api.extra.oauth.id}", '{"extra": {"oauth": {"id": 5}}}')

    assert (found.literal, found.secret) == ("5", True)


@pytest.mark.parametrize(
    "written", ['{"conn_type": "http"}', '{"password": ""}', "http://h.test", '{"extra": ""}']
)
@pytest.mark.parametrize("field", ["password", "extra.key"])
def test_a_field_that_is_not_filled_in_is_named(written: str, field: str) -> None:
    said = refusal(f"${{conn.api.{field}}}", written)

    assert said == f"pipeline: endpoint.headers.X: connection 'api' has no {field!r}; fill it in"


@pytest.mark.parametrize(
    "written",
    [
        '{"password": "canary-1"',
        '{"extra": "{canary-1"}',
        "{canary-1}",
        "http://me:canary-1/ab@h.test",
        "http://me:canary-1℀x@h.test",
    ],
)
def test_a_broken_connection_is_refused_and_not_repeated(written: str) -> None:
    said = refusal("${conn.api.password}", written)

    assert said.startswith("pipeline: endpoint.headers.X: AIRFLOW_CONN_API is neither valid JSON nor")
    assert "canary" not in said


@pytest.mark.parametrize("conn_id", ["api", "API", "my_api", "my-api"])
def test_the_variable_of_a_connection_is_the_one_airflow_reads(conn_id: str) -> None:
    assert connection_variable(conn_id) == f"AIRFLOW_CONN_{conn_id.upper()}"


@pytest.mark.parametrize(
    ("data", "ids"),
    [
        ({"a": "${conn.one.host} ${conn.two.extra.k}", "b": [{"c": "${conn.one.login}"}]}, {"one", "two"}),
        ({"a": "$${conn.one.host} ${var.conn.x}", "b": 1}, set()),
    ],
)
def test_the_connections_that_a_pipeline_needs_are_known_before_it_runs(data: Any, ids: set[str]) -> None:
    assert connection_ids(data) == ids
