"""Answers that say they succeeded and are not JSON."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from http_enrich_middleware import Redactor, RequestExchange, Verdict, WorkerRuntime, build_chain
from http_enrich_middleware.answers._json import MAX_DEPTH, MAX_NUMBER, find_fault
from http_enrich_middleware.answers.json_body import Config
from http_enrich_middleware.answers.response_rules import Config as Rules
from http_enrich_transport import TransportResponse
from tests.support.chain import answer, answering, failure, row, send_over_http
from tests.support.peer import OK, serving

BODIES: dict[str, tuple[bytes, str | None]] = {
    # J1: nothing of it is JSON, or not all of it.
    "empty": (b"", "json_invalid"),
    "blank": (b" \r\n\t", "json_invalid"),
    "HTML": (b"<!doctype html><title>502 Bad Gateway</title>", "json_invalid"),
    "cut": (b'{"n": 1, "name": "Reyk', "json_invalid"),
    "lines of JSON": (b'{"n":1}\n{"n":2}\n', "json_invalid"),
    "two in a row": (b'{"n":1}{"n":2}', "json_invalid"),
    "trailing text": (b'{"n":1} -- ok', "json_invalid"),
    "JSONP": (b'cb({"n":1})', "json_invalid"),
    "comment": (b'// n\n{"n":1}', "json_invalid"),
    "comma": (b'{"n":1,}', "json_invalid"),
    "single quotes": (b"{'n':1}", "json_invalid"),
    "raw line break": (b'{"n":"a\nb"}', "json_invalid"),
    "raw zero": (b'{"n":"a\0b"}', "json_invalid"),
    # J2: what is no number.
    "NaN": (b'{"n":NaN}', "json_invalid"),
    "Infinity": (b'{"n":-Infinity}', "json_invalid"),
    "1e999": (b'{"n":1e999}', "json_number"),
    "-1E+999": (b'{"n":-1E+999}', "json_number"),
    "1e99999999": (b'{"n":1e99999999}', "json_number"),
    "1.8e308": (b'{"n":1.8e308}', "json_number"),
    "1.7e308": (b'{"n":1.7e308}', None),
    "1e-999": (b'{"n":1e-999}', None),
    "1e+000000000000000000007": (b'{"n":1e+000000000000000000007}', None),
    "exponent in a text": (b'{"n":"1e999","m":"0e000 \\" 1e999"}', None),
    # J3: numbers of any length.
    "5,000 digits": (b'{"n":' + b"9" * 5000 + b"}", "json_number"),
    "5,000 decimals": (b'{"n":0.' + b"3" * 5000 + b"}", "json_number"),
    "1,001 characters": (b'{"n":0.' + b"3" * 999 + b"}", "json_number"),
    "1,000 characters": (b'{"n":0.' + b"3" * 998 + b"}", None),
    "309 digits": (b'{"n":' + b"9" * 309 + b"}", "json_number"),
    "308 digits": (b'{"n":' + b"9" * 308 + b"}", None),
    "beyond int64": (b'{"n":18446744073709551616}', None),
    "5,000 digits in a text": (b'{"n":"' + b"9" * 5000 + b'"}', None),
    # J4: nesting.
    "200,000 deep": (b"[" * 200_000 + b"]" * 200_000, "json_too_deep"),
    "200,000 deep, open": (b'{"a":' * 200_000, "json_too_deep"),
    "501 deep": (b"[" * 501 + b"]" * 501, "json_too_deep"),
    "501 deep, mixed": (b'{"a":[' * 250 + b"{}" + b"]}" * 250, "json_too_deep"),
    "500 deep": (b"[" * 500 + b"]" * 500, None),
    "501 brackets in a row": (b"[" + b"[]," * 500 + b"[]]", None),
    "brackets in a text": (b'["\\"' + b"[" * 501 + b'\\\\"]', None),
    "deep behind brackets in a text": (b'["]",' * 501 + b"0" + b"]" * 501, "json_too_deep"),
    # J5: the last one counts, which Spark sees to.
    "duplicate keys": (b'{"n":1,"n":2}', None),
    # J6: other encodings.
    "mark": (b'\xef\xbb\xbf{"n":1}', "json_encoding"),
    "UTF-16": ('{"n":1}'.encode("utf-16"), "json_encoding"),
    "UTF-16, no mark": ('{"n":1}'.encode("utf-16-le"), "json_encoding"),
    "UTF-32, no mark": ('{"n":1}'.encode("utf-32-be"), "json_encoding"),
    "Latin-1": ('{"n":"Höfn"}'.encode("latin-1"), "json_encoding"),
    "overlong": (b'{"n":"\xc0\x80"}', "json_encoding"),
    "raw surrogate": (b'{"n":"\xed\xa0\x80"}', "json_encoding"),
    # J7: escapes that are no characters, and one that is an odd one.
    "half a pair": (b'{"n":"a\\ud800b"}', "json_encoding"),
    "half a pair at the end": (b'"\\ud800"', "json_encoding"),
    "the other half": (b'{"n":"\\uDC00"}', "json_encoding"),
    "wrong way round": (b'{"n":"\\udc00\\ud800"}', "json_encoding"),
    "half a pair as a key": (b'{"\\udbff":1}', "json_encoding"),
    "half a pair and no JSON": (b'{"n":"\\ud800",}', "json_invalid"),
    "half a pair behind an escaped backslash": (b'{"n":"\\\\ud800\\udc00"}', "json_encoding"),
    "an escaped backslash": (b'{"n":"\\\\ud800"}', None),
    "a pair": (b'{"n":"\\ud83d\\ude00"}', None),
    "zero": (b'{"n":"a\\u0000b"}', None),
    # J9: what the columns make of these is up to response.schema.
    "null": (b"null", None),
    "an array": (b"[1]", None),
    "10 MB": (b'{"n":"' + b"x" * 10_000_000 + b'"}', None),
}


async def check(response: TransportResponse, config: Config | None = None) -> RequestExchange:
    return await build_chain([config or Config()], answering(response))(row())


@pytest.mark.parametrize("name", BODIES)
async def test_each_body_has_its_kind_and_the_row_keeps_its_status_and_body(name: str) -> None:
    body, kind = BODIES[name]

    exchange = await check(answer(200, body))

    assert (exchange.error_kind, exchange.status) == (kind, 200)
    assert exchange.response is not None
    assert exchange.response.body == body
    assert (exchange.failure is None) or not exchange.failure.retry


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[]", b"null", b"0", b'"a"', b' {"a": [1, -2.5e3, true]}\r\n', b'"\xc3\xa9"', b"-0", b"1E5"],
)
async def test_json_is_json(body: bytes) -> None:
    assert (await check(answer(200, body))).error_kind is None


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b'"abc', b"[1,]", b"{1:2}", b"01", b"1.", b".5", b"+1", b"1e", b"-", b"tru", b"[1 2]"),
        *(b'"\x01"', b'"\\x"', b'"\\u12"', b"\xe2\x80\xa8{}"),
    ],
)
async def test_what_only_looks_like_json_is_none(body: bytes) -> None:
    assert (await check(answer(200, body))).error_kind == "json_invalid"


# What the error says.


async def test_the_message_says_what_is_wrong_where_and_how_the_body_begins() -> None:
    exchange = await check(answer(200, b"<html>\n<b>502</b>"))

    assert exchange.error_message == (
        r"the body of 17 bytes is not JSON: invalid character (byte 0); it begins with: <html>\n<b>502</b>"
    )


async def test_an_empty_body_has_no_beginning() -> None:
    assert (await check(answer(200))).error_message == "the body of 0 bytes is empty"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"x" * 1000, "x" * 200),
        ("é".encode() * 1000, "é" * 200),
        (b"\x1b[31m\x00\x7f\t\r\n", r"\x1b[31m\x7f\t\r\n"),
        (b"\n" * 200 + b"x", r"\n" * 100),
        ("\u202e\u2028\u00a0\ufeff".encode(), r"\u202e\u2028\xa0\ufeff"),
        (b"\xff\xfea", "\ufffd\ufffda"),
        ("<a>".encode("utf-16-le"), "<a>"),
    ],
)
async def test_the_beginning_is_short_and_on_one_line(body: bytes, shown: str) -> None:
    message = (await check(answer(200, body))).error_message or ""

    assert message.partition("begins with: ")[2] == shown


async def test_known_secrets_are_not_shown_however_they_lie() -> None:
    secret = "canary-" + "7" * 100
    runtime = WorkerRuntime(redactor=Redactor([secret]))
    across = b"x" * 150 + secret.encode() + b" tail"
    wide = f"your token is {secret}".encode("utf-16-le")

    shown = []
    for body in (across, wide):
        exchange = await build_chain([Config()], answering(answer(200, body)), runtime)(row())
        shown.append((exchange.error_message or "").partition("begins with: ")[2])

    assert shown == ["x" * 150 + "*** tail", "your token is ***"]


async def test_nothing_is_shown_where_that_is_not_wanted() -> None:
    exchange = await check(answer(200, b"canary-7"), Config(snippet=0))

    assert exchange.error_message == "the body of 8 bytes is not JSON: invalid character (byte 0)"


@pytest.mark.parametrize("snippet", [-1, 201])
def test_no_more_than_a_beginning_can_be_asked_for(snippet: int) -> None:
    with pytest.raises(ValueError, match="snippet"):
        Config(snippet=snippet)


# Which answers are looked at.


@pytest.mark.parametrize(
    ("response", "kind"), [(answer(404, b"<html>"), "http_status"), (failure("dns"), "dns")]
)
async def test_a_row_that_failed_already_keeps_its_error(response: TransportResponse, kind: str) -> None:
    exchange = await check(response)

    assert (exchange.error_kind, exchange.failure) == (kind, None)


@pytest.mark.parametrize(
    ("method", "status", "kind"),
    [("GET", 204, None), ("GET", 205, None), ("HEAD", 200, None), ("GET", 200, "json_invalid")],
)
async def test_an_answer_that_has_no_body_by_definition_misses_none(
    method: str, status: int, kind: str | None
) -> None:
    exchange = await build_chain([Config()], answering(answer(status)))(row(method))

    assert exchange.error_kind == kind


@pytest.mark.parametrize(
    ("action", "kind", "verdict"),
    [("ignore", None, Verdict.IGNORE), ("success", "json_invalid", Verdict.SUCCESS)],
)
async def test_what_a_rule_ignores_is_not_read_and_what_it_takes_for_a_success_is(
    action: str, kind: str | None, verdict: Verdict
) -> None:
    rules = Rules.model_validate({"rules": [{"status": 404, "action": action}]})

    exchange = await build_chain([Config(), rules], answering(answer(404, b"<html>")))(row())

    assert (exchange.error_kind, exchange.verdict) == (kind, verdict)


# J8: content types that lie.


@pytest.mark.parametrize(
    ("content_type", "flag"),
    [
        ("application/json", None),
        ("Application/JSON; charset=utf-8", None),
        ("application/problem+json", None),
        ("text/json;charset=bogus", None),
        ("text/html; charset=utf-8", "text/html"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("", ""),
        ("x" * 1000, "x" * 100),
    ],
)
async def test_the_body_counts_and_another_content_type_is_noted(content_type: str, flag: str | None) -> None:
    for body, kind in ((b"{}", None), (b"<html>", "json_invalid")):
        exchange = await check(answer(200, body, Content_Type=content_type))

        assert exchange.error_kind == kind
        assert exchange.metadata.get("json.content_type") == flag


async def test_many_content_types_are_not_all_remembered() -> None:
    answers = [answer(200, b"{}", Content_Type=f"a/json; n={n}") for n in range(300)]
    handler = build_chain([Config()], answering(*answers))

    assert all([not (await handler(row())).metadata for _ in answers])


# Whatever the bytes.


def strict(body: bytes) -> bool:
    """What Python's own parser says, without its leniences and beyond no limit."""

    def refuse(_: str) -> NoReturn:
        raise ValueError

    try:
        value = json.loads(body.decode(), parse_constant=refuse)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # half pairs and infinities
    except (ValueError, RecursionError):
        return False
    return True


PIECES = rb"""" \ \u d8 dc 00 [ ] { } : , 1 e - . true null NaN "a" {"a": \\ e999""".split()
NEARLY_JSON = st.lists(st.sampled_from([*PIECES, b"\xff", b" ", b"\n"]), max_size=12).map(b"".join)


@settings(max_examples=1000, deadline=None, derandomize=True, database=None)
@given(st.one_of(st.binary(max_size=40), NEARLY_JSON))
def test_bytes_are_json_exactly_if_a_strict_parser_says_so(body: bytes) -> None:
    fault = find_fault(body)

    assert (fault is None) == strict(body)
    if fault is not None:
        assert fault.kind in ("json_invalid", "json_encoding", "json_number")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**300), 10**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(VALUES, st.booleans())
def test_every_value_within_the_limits_passes(value: Any, ascii_only: bool) -> None:
    assert find_fault(json.dumps(value, ensure_ascii=ascii_only).encode()) is None


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    st.from_regex(r"-?(0|[1-9][0-9]{0,330})(\.[0-9]{1,720})?([eE][-+]?[0-9]{1,5})?", fullmatch=True),
    st.text(st.characters(codec="utf-8"), max_size=50),
)
def test_a_number_passes_exactly_within_the_limits(number: str, text: str) -> None:
    body = json.dumps([text, "@", text]).replace('"@"', number, 1).encode()

    fault = find_fault(body)

    too_large = len(number) > MAX_NUMBER or math.isinf(float(number))
    assert (fault.kind if fault else None) == ("json_number" if too_large else None)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from(["[", '{"]":', '["[{",', '[[],"\\"]",']), min_size=480, max_size=520))
def test_a_nest_passes_exactly_within_the_limit(openings: list[str]) -> None:
    closing = "".join("}" if each[0] == "{" else "]" for each in reversed(openings))

    fault = find_fault(("".join(openings) + "0" + closing).encode())

    assert (fault.kind if fault else None) == ("json_too_deep" if len(openings) > MAX_DEPTH else None)


async def test_answer_of_a_real_server() -> None:
    async with serving(OK) as server:
        unchecked = await send_over_http([], row(url=server.url))
        checked = await send_over_http([Config()], row(url=server.url))

    assert (unchecked.error_kind, checked.error_kind) == (None, "json_invalid")
