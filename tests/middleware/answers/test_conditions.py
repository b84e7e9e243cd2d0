"""Which answers a rule is about: those of a status, and those whose body an expression holds for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from http_enrich_middleware import Verdict
from http_enrich_middleware.answers import response_rules
from tests.support.chain import answer
from tests.support.rules import BAD, judge


@pytest.mark.parametrize(
    ("status", "matched"),
    [
        (404, [404]),
        ("404", [404]),
        ("2xx", [200, 201, 204, 299]),
        ("9XX", [999]),
        ("400-403", [400, 401, 403]),
        (" 400 - 403 ", [400, 401, 403]),
        ([404, "5xx", "200-201"], [200, 201, 404, 500, 599]),
        (None, [101, 200, 201, 204, 299, 300, 399, 400, 401, 403, 404, 500, 599, 999]),
    ],
)
async def test_statuses_are_written_in_several_ways(status: Any, matched: list[int]) -> None:
    every = [101, 200, 201, 204, 299, 300, 399, 400, 401, 403, 404, 500, 599, 999]

    found = [
        each
        for each in every
        if (await judge(answer(each, b"[1]"), {"status": status, "when": "@", "action": "ignore"})).verdict
    ]

    assert found == matched


@pytest.mark.parametrize(
    ("body", "holds"),
    [
        *[(text, False) for text in (b"false", b"null", b'""', b"[]", b"{}")],
        *[(text, True) for text in (b"true", b"0", b"0.0", b'"x"', b"[null]", b'{"a":null}')],
    ],
)
async def test_true_is_what_jmespath_takes_for_true(body: bytes, holds: bool) -> None:
    exchange = await judge(answer(200, b'{"v":' + body + b"}"), {"when": "v", "action": "ignore"})

    assert (exchange.verdict is Verdict.IGNORE) == holds


@pytest.mark.parametrize(
    "when",
    [
        "error.code == 'QUOTA'",
        "!ok && error",
        "contains(['QUOTA', 'RATE'], error.code)",
        "error.{code: code}",
        "length(keys(@)) == `2`",
        "starts_with(error.code, 'QU')",
    ],
)
async def test_a_success_with_an_error_inside_is_found(when: str) -> None:
    entry = {"status": "2xx", "when": when, "action": "fail_row"}

    assert (await judge(answer(200, BAD), entry)).error_kind == "response_rule"
    assert (await judge(answer(200, b'{"ok":true,"error":null,"data":{}}'), entry)).error_kind is None


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"<html>error</html>",
            b'{"error":1',
            b'{"error":NaN}',
            b'{"error":1e999}',
            b"\xff",
            b"\xef\xbb\xbf{}",
        ),
        *(b'{"error":"\\ud800"}', b"[" * 200_000, b"[" * 200_000 + b"]" * 200_000, b'{"error":1}{}'),
        b'{"error":' + b"9" * 5000 + b"}",
    ],
)
async def test_a_body_that_is_no_json_matches_no_when(body: bytes) -> None:
    exchange = await judge(
        answer(200, body), {"when": "error || @", "action": "fail_run"}, {"status": 200, "action": "ignore"}
    )

    assert exchange.verdict is Verdict.IGNORE


async def test_a_large_body_is_not_looked_into_and_the_row_says_so() -> None:
    body = json.dumps({"error": "x" * 1000}).encode()
    entry = {"when": "error", "action": "fail_row"}

    exact = await judge(answer(200, body), entry, max_body=len(body))
    above = await judge(answer(200, body), entry, max_body=len(body) - 1)

    assert exact.error_kind == "response_rule"
    assert (above.error_kind, above.metadata) == (
        None,
        {"response_rules.unread": f"the body of {len(body)} bytes exceeds max_body"},
    )


async def test_an_expression_that_does_not_fit_the_body_does_not_match_and_the_row_says_so() -> None:
    exchange = await judge(
        answer(200, b'{"n":"seven"}'),
        {"when": "n", "status": 404, "action": "retry"},
        {"when": "abs(n) > `3`", "action": "fail_run"},
    )

    assert exchange.error_kind is None
    assert exchange.metadata == {"response_rules.error": "rule 2: JMESPathTypeError"}


async def test_a_body_is_decoded_once_and_only_for_a_rule_that_may_match(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded: list[bytes] = []
    decode = response_rules._decode

    def counting(body: bytes) -> Any:
        decoded.append(body)
        return decode(body)

    monkeypatch.setattr(response_rules, "_decode", counting)
    entries: list[dict[str, Any]] = [
        {"status": 404, "action": "ignore"},
        *[{"status": "4xx", "when": "no", "action": "retry"}] * 3,
    ]

    for status in (200, 404, 410):
        await judge(answer(status, b"{}"), *entries)

    assert len(decoded) == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=8,
)

EXPRESSIONS = [
    "a",
    "a.b[0]",
    "a[*].b | [0]",
    "sort(a)",
    "sum(a[])",
    "max_by(a, &b)",
    "a > b",
    "a == b",
    "to_string(@)",
]
EXPRESSIONS += [
    "map(&b, a)",
    "join(',', a)",
    "a[?b > `1`]",
    "merge(a, b)",
    "a[::-1]",
    "not_null(a, b).c",
    "length(a)",
]


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.one_of(VALUES.map(lambda value: json.dumps({"a": value}).encode()), st.binary(max_size=20)))
async def test_no_body_breaks_an_expression(body: bytes) -> None:
    for each in EXPRESSIONS:
        exchange = await judge(answer(200, body), {"when": each, "action": "ignore"})

        assert exchange.error_kind is None
        assert exchange.verdict in (None, Verdict.IGNORE)
