"""What a row can say in a request, and what it cannot."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from http_enrich_spark.worker._request import MAX_URL, RequestBuilder
from http_enrich_spark.worker._values import InvalidRequestError
from http_enrich_transport import TransportRequest
from tests.support.pipelines import endpoint

HOSTILE = [
    "../admin",
    "//evil.test",
    "@evil.test",
    ".evil.test",
    ":80@evil.test",
    "?a=1",
    "#a",
    "\\..\\x",
    "\r\nX: 1",
]


def build(changes: dict[str, Any], **row: Any) -> TransportRequest:
    """Build the request of *row*, whose columns the builder may take in any order."""
    builder = RequestBuilder(endpoint(changes))
    return builder.build([row[name] for name in builder.columns])


def refusal(changes: dict[str, Any], **row: Any) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        build(changes, **row)
    return str(caught.value)


def json_body(template: Any, **row: Any) -> str:
    body = build({"method": "POST", "json": template, "path": "/"}, **row).body
    assert body is not None
    return body.decode()


def test_a_request_has_everything_that_the_endpoint_says() -> None:
    request = build(
        {
            "base_url": "https://api.test/base/",
            "method": "PUT",
            "path": "/v1/${row.id}",
            "params": {"lang": "en"},
            "headers": {"Accept": "text/plain"},
            "body": "hi ${row.name}",
        },
        id=7,
        name="Zoë",
    )

    assert (request.method, request.url) == ("PUT", "https://api.test/base/v1/7?lang=en")
    assert (request.headers, request.body) == ({"Accept": "text/plain"}, "hi Zoë".encode())


def test_only_the_columns_in_use_are_read_each_once() -> None:
    changes = {
        "path": "/${row.b}/${row.a}",
        "params": {"q": "${row.b}"},
        "json": {"x": ["${row.c}", "$${row.d}"]},
    }

    assert RequestBuilder(endpoint(changes)).columns == ["b", "a", "c"]


# The path.


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a/b", "a%2Fb"),
        ("a?b", "a%3Fb"),
        ("a#b", "a%23b"),
        ("50%", "50%25"),
        ("%2e%2e", "%252e%252e"),
        ("a b", "a%20b"),
        ("Þór", "%C3%9E%C3%B3r"),
        ("a\\b;c", "a%5Cb%3Bc"),
        ("\r\n\0", "%0D%0A%00"),
        ("${row.ssn}", "%24%7Brow.ssn%7D"),
        ("{x.__class__} %s", "%7Bx.__class__%7D%20%25s"),
        ("{{ x }}", "%7B%7B%20x%20%7D%7D"),
        ("...", "..."),
        (7, "7"),
        (True, "true"),
        (1.5, "1.5"),
        (Decimal("1.50"), "1.50"),
        (dt.date(2026, 1, 2), "2026-01-02"),
    ],
)
def test_a_value_in_the_path_is_encoded_as_one_segment(value: object, written: str) -> None:
    """I3, I5"""
    assert build({"path": "/v1/${row.x}/end"}, x=value).url == f"https://api.test/v1/{written}/end"


@pytest.mark.parametrize(
    ("path", "value"), [("/v1/${row.x}", "."), ("/v1/.${row.x}", "."), ("/${row.x}/a", "..")]
)
def test_a_value_cannot_name_a_folder_above(path: str, value: str) -> None:
    """Encoding does not help here: clients resolve `..` in whatever form it comes."""
    assert refusal({"path": path}, x=value).startswith("column x makes the path segment '.")


def test_a_value_cannot_make_a_segment_vanish() -> None:
    """`/v1/users/` may list, or delete, them all."""
    assert refusal({"path": "/v1/users/${row.x}"}, x="") == (
        "column x makes the path segment '', which is another resource"
    )


def test_two_columns_can_share_a_segment() -> None:
    assert build({"path": "/${row.a}-${row.b}.json"}, a="x/", b="").url == "https://api.test/x%2F-.json"


@pytest.mark.parametrize("value", HOSTILE)
def test_a_row_changes_neither_host_nor_the_written_path(value: str) -> None:
    request = build(
        {"path": "/v1/${row.x}/end", "params": {"q": "${row.x}"}, "headers": {}, "json": {"a": "${row.x}"}},
        x=value,
    )
    parts = urlsplit(request.url)
    first, version, _, *rest = parts.path.split("/")

    assert (parts.scheme, parts.netloc, first, version, rest) == ("https", "api.test", "", "v1", ["end"])
    assert parse_qsl(parts.query) == [("q", value)]
    assert request.url.isascii()
    assert request.url.isprintable()


def test_the_written_path_is_encoded_once() -> None:
    assert build({"path": "/é x/a%2Fb/$${row.x}"}).url == "https://api.test/%C3%A9%20x/a%2Fb/$%7Brow.x%7D"


# What no text can carry.


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "/${row.secret_id}"},
        {"path": "/", "params": {"q": "a${row.secret_id}"}},
        {"path": "/", "headers": {"X": "${row.secret_id}"}},
        {"path": "/", "body": "a ${row.secret_id}"},
        {"path": "/", "form": {"q": "${row.secret_id}"}},
        {"path": "/", "json": {"q": "a ${row.secret_id}"}},
    ],
    ids=["path", "params", "headers", "body", "form", "json"],
)
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "column secret_id is null"),
        (float("nan"), "column secret_id is nan"),
        (float("-inf"), "column secret_id is -inf"),
        (b"canary-1", "column secret_id is a bytes"),
        (["canary-1"], "column secret_id is a list"),
        ({"a": "canary-1"}, "column secret_id is a dict"),
        ([("canary-1", 1)], "column secret_id is a list"),
    ],
    ids=["null", "nan", "inf", "bytes", "list", "struct", "map"],
)
def test_a_value_without_a_text_is_refused_by_name(changes: dict[str, Any], value: object, said: str) -> None:
    text = refusal(changes, secret_id=value)

    assert text.startswith(said)
    assert "canary-1" not in text


# Query and form.


def test_params_are_encoded() -> None:
    params = {"q": "${row.x}", "a b": "&=", "n": 5, "flag": True}

    assert build({"path": "/", "params": params}, x="a&b=c+ d#é/?").url == (
        "https://api.test/?q=a%26b%3Dc%2B%20d%23%C3%A9%2F%3F&a%20b=%26%3D&n=5&flag=true"
    )


def test_an_empty_param_is_still_a_param() -> None:
    assert build({"path": "/", "params": {"q": "${row.x}"}}, x="").url == "https://api.test/?q="


def test_a_form_is_encoded_and_says_so() -> None:
    request = build({"method": "POST", "path": "/", "form": {"q": "${row.x}", "r": "1"}}, x="a&b é")

    assert request.body == b"q=a%26b%20%C3%A9&r=1"
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded"}


# Headers.


@pytest.mark.parametrize("character", ["\r", "\n", "\0", "\x7f", "\x1b"])
def test_a_control_character_cannot_enter_a_header(character: str) -> None:
    said = refusal({"path": "/", "headers": {"X-Id": "id ${row.x}"}}, x=f"canary-1{character}X-Admin: 1")

    assert said == "column x has a control character, which a header cannot carry"


def test_a_header_takes_the_value_as_it_is() -> None:
    request = build({"path": "/", "headers": {"X-Id": "id ${row.x}; a=%2F"}}, x="a b/ü%")

    assert request.headers == {"X-Id": "id a b/ü%; a=%2F"}


# JSON.


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (5, "5"),
        (2**63, "9223372036854775808"),
        (1.5, "1.5"),
        (True, "true"),
        (None, "null"),
        ("5", '"5"'),
        ('"},{"a":"', r'"\"},{\"a\":\""'),
        ("\r\n\0", r'"\r\n\u0000"'),
        ([1, None, "a"], '[1,null,"a"]'),
        ({"b": [1]}, '{"b":[1]}'),
        (Decimal("1.10"), "1.10"),
        (dt.date(2026, 1, 2), '"2026-01-02"'),
        (dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC), '"2026-01-02T03:00:00Z"'),
        ("${row.ssn}", '"${row.ssn}"'),
    ],
)
def test_a_whole_json_value_keeps_its_type(value: object, written: str) -> None:
    assert json_body({"key": "${row.x}"}, x=value) == f'{{"key":{written}}}'


def test_a_value_within_a_json_text_is_text() -> None:
    assert json_body({"key": "no. ${row.x}"}, x=5) == '{"key":"no. 5"}'


def test_a_json_body_may_have_any_shape() -> None:
    template = {"a": [1, 1.5, None, True, "x", {"b": "${row.x}"}], "": {}}

    assert json.loads(json_body(template, x=[7])) == template | {"a": [1, 1.5, None, True, "x", {"b": [7]}]}
    assert json_body("${row.x}", x=[7]) == "[7]"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_nan(value: float) -> None:
    assert refusal({"path": "/", "json": {"a": "${row.x}"}}, x=value) == (
        f"column x has {value}, which JSON does not have"
    )


def test_json_says_that_it_is_json_unless_the_endpoint_says_what_it_is() -> None:
    changes = {"method": "POST", "path": "/", "json": {}}
    named = {"content-type": "application/vnd.api+json"}

    assert build(changes).headers == {"Content-Type": "application/json"}
    assert build(changes | {"headers": named}).headers == named


def test_a_request_without_a_body_has_none() -> None:
    request = build({"path": "/"})

    assert (request.body, request.headers) == (None, {})


# Limits, secrets, many rows.


def test_an_address_may_have_8_kib_and_not_one_character_more() -> None:
    room = MAX_URL - len("https://api.test/")
    assert len(build({"path": "/${row.x}"}, x="a" * room).url) == 8 * 1024

    said = refusal({"path": "/${row.x}"}, x="a" * (room + 1))

    assert said == "the address has 8193 characters, more than 8192"


def test_an_address_is_measured_as_it_is_sent() -> None:
    assert "more than 8192" in refusal({"path": "/", "params": {"q": "${row.x}"}}, x="é" * 2000)


def test_secrets_are_sent_in_the_clear() -> None:
    environ = {"AIRFLOW_CONN_API": "http://me:p%2Fw@h.test"}
    secret = "${conn.api.password}"
    changes = {
        "path": "/${row.x}",
        "params": {"key": secret},
        "headers": {"X": f"k {secret}"},
        "json": {"a": [secret, "${row.x}"]},
    }

    request = RequestBuilder(endpoint(changes, environ)).build([7])

    assert request.url.endswith("?key=p%2Fw")
    assert (request.headers["X"], request.body) == ("k p/w", b'{"a":["p/w",7]}')


@pytest.mark.parametrize("value", ["${row.ssn}", "$${row.ssn}", "${x", "$$", "a${"])
def test_a_variable_is_sent_as_it_is_whatever_it_looks_like(value: str) -> None:
    changes = {"path": "/", "headers": {"X": "<${var.v}> ${row.x}"}, "json": ["${var.v}", "${row.x}"]}
    builder = RequestBuilder(endpoint(changes, variables={"v": value}))

    request = builder.build([7])

    assert builder.columns == ["x"]
    assert (request.headers["X"], json.loads(request.body or b"")) == (f"<{value}> 7", [value, 7])


def test_requests_share_no_headers() -> None:
    """Middleware adds headers to its own request only."""
    builder = RequestBuilder(endpoint({"path": "/", "headers": {"Accept": "a"}}))
    builder.build([]).headers["Authorization"] = "Bearer one"

    assert builder.build([]).headers == {"Accept": "a"}


def test_a_header_may_have_8_kib_and_not_one_character_more() -> None:
    headers = {"path": "/", "headers": {"X": "${row.x}"}}
    assert len(build(headers, x="a" * 8192).headers["X"]) == 8192

    said = refusal(headers, x="a" * 8193)

    assert said == "column x makes a header of 8193 characters, more than 8192"


def test_a_body_may_have_10_mib_and_not_one_byte_more() -> None:
    body = {"method": "POST", "path": "/", "body": "${row.x}"}
    assert len(build(body, x="a" * 10 * 1024 * 1024).body or b"") == 10 * 1024 * 1024

    said = refusal(body, x="a" * (10 * 1024 * 1024 + 1))

    assert said == "the body has 10485761 characters, more than 10485760"


@pytest.mark.parametrize(
    ("path", "value"), [("/v1/%2e${row.x}", "."), ("/v1/${row.x}", " \t"), ("/v1/%20${row.x}", "")]
)
def test_a_segment_cannot_become_another_resource_with_the_help_of_its_literals(
    path: str, value: str
) -> None:
    assert "which is another resource" in refusal({"path": path}, x=value)


@pytest.mark.parametrize("name", ["path", "body"])
def test_a_lone_surrogate_is_no_request(name: str) -> None:
    changes = {"path": "/", "method": "POST"} | {name: "/${row.x}"}

    assert refusal(changes, x="\ud800") == ("the row cannot be written into a request: UnicodeEncodeError")
