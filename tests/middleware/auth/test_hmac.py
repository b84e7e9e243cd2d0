"""Signatures that the API can check."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest

from http_enrich_middleware import MiddlewareConfig, RequestExchange, build_chain, parse_middleware
from http_enrich_middleware.traffic import retry
from http_enrich_transport import SecretText, TransportRequest
from tests.support.chain import EPOCH, FakeTime, answer, answering, row, send_over_http
from tests.support.peer import OK, serving

KEY = b"canary-7"


def config(**options: Any) -> MiddlewareConfig:
    entry = {"type": "hmac", "secret": SecretText("canary-7"), "parts": ["body"], **options}
    return parse_middleware(entry)


async def signed(request: TransportRequest, **options: Any) -> dict[str, str]:
    engine = answering(answer(200))
    await build_chain([config(**options)], engine, FakeTime().runtime)(RequestExchange(request))
    return engine.requests[0].headers


def post(body: bytes | None = b"Hello, World!") -> TransportRequest:
    return TransportRequest("POST", "http://api.test/v1/a%20b?x=1&y=2", {"X-Date": "today"}, body)


async def test_a_published_signature_is_met() -> None:
    """The example in GitHub's documentation of its webhooks."""
    headers = await signed(
        post(),
        secret=SecretText("It's a Secret to Everybody"),
        header="X-Hub-Signature-256",
        prefix="sha256=",
    )

    assert headers["X-Hub-Signature-256"] == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("method", b"POST"),
        ("host", b"api.test"),
        ("path", b"/v1/a%20b"),
        ("query", b"x=1&y=2"),
        ("path_and_query", b"/v1/a%20b?x=1&y=2"),
        ("url", b"http://api.test/v1/a%20b?x=1&y=2"),
        ("body", b"Hello, World!"),
        ("body_sha256", hashlib.sha256(b"Hello, World!").hexdigest().encode()),
        ({"header": "x-date"}, b"today"),
        ({"header": "X-Missing"}, b""),
        ({"text": "v1"}, b"v1"),
    ],
    ids=str,
)
async def test_each_part_is_what_it_says(part: object, message: bytes) -> None:
    headers = await signed(post(), parts=[part])

    assert headers["X-Signature"] == hmac.new(KEY, message, "sha256").hexdigest()


async def test_parts_are_joined_in_their_order() -> None:
    headers = await signed(post(), parts=["method", {"text": "v1"}, "path"], separator=":")

    assert headers["X-Signature"] == hmac.new(KEY, b"POST:v1:/v1/a%20b", "sha256").hexdigest()


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512", "sha1"])
async def test_algorithms_and_encodings(algorithm: str) -> None:
    digest = hmac.new(KEY, b"Hello, World!", algorithm).digest()
    written = [
        (await signed(post(), algorithm=algorithm, encoding=each))["X-Signature"]
        for each in ("hex", "base64", "base64url")
    ]

    assert written == [
        digest.hex(),
        base64.b64encode(digest).decode(),
        base64.urlsafe_b64encode(digest).decode().rstrip("="),
    ]


@pytest.mark.parametrize(
    ("encoding", "written"),
    [("text", "canary-7"), ("hex", KEY.hex()), ("base64", base64.b64encode(KEY).decode())],
)
async def test_a_secret_can_be_written_in_several_ways(encoding: str, written: str) -> None:
    headers = await signed(post(), secret=SecretText(written), secret_encoding=encoding)

    assert headers["X-Signature"] == hmac.new(KEY, b"Hello, World!", "sha256").hexdigest()


@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_a_secret_that_is_written_otherwise_is_not_shown(encoding: str) -> None:
    with pytest.raises(ValueError, match=f"the secret is not written in {encoding}") as caught:
        build_chain([config(secret_encoding=encoding)], answering(answer(200)), FakeTime().runtime)

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("style", "written"),
    [
        ("seconds", "1800001000"),
        ("milliseconds", "1800001000000"),
        ("iso8601", "2027-01-15T08:16:40Z"),
        ("http_date", "Fri, 15 Jan 2027 08:16:40 GMT"),
    ],
)
async def test_the_time_is_sent_and_signed(style: str, written: str) -> None:
    assert EPOCH + FakeTime().now == 1_800_001_000
    headers = await signed(
        post(), parts=["timestamp", "body"], timestamp_header="X-Time", timestamp_format=style
    )

    assert headers["X-Time"] == written
    message = written.encode() + b"\nHello, World!"
    assert headers["X-Signature"] == hmac.new(KEY, message, "sha256").hexdigest()


async def test_each_attempt_has_a_time_and_a_nonce_of_its_own() -> None:
    seen: list[dict[str, str]] = []
    options = {"parts": ["timestamp", "nonce"], "timestamp_header": "X-Time", "nonce_header": "X-Nonce"}
    async with serving(OK.replace(b"200", b"503")) as server:
        again = retry.Config(max_attempts=3, base_delay=7)
        await send_over_http([again, config(**options)], row(url=server.url), FakeTime().runtime)
        seen = [_fields(head) for head in server.heads]

    for each in seen:
        message = f"{each['X-Time']}\n{each['X-Nonce']}".encode()
        assert each["X-Signature"] == hmac.new(KEY, message, "sha256").hexdigest()
    assert [len({each[name] for each in seen}) for name in ("X-Time", "X-Nonce")] == [3, 3]


def _fields(head: bytes) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)


async def test_the_name_of_the_key_goes_along() -> None:
    headers = await signed(post(), key_id="mine", key_id_header="X-Key")

    assert headers["X-Key"] == "mine"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"parts": ["timestamp"]}, "set timestamp_header"),
        ({"parts": ["nonce"]}, "set nonce_header"),
        ({"parts": []}, "at least 1 item"),
        ({"parts": ["bodies"]}, "Input should be 'method'"),
        ({"algorithm": "md5"}, "Input should be 'sha256'"),
        ({"header": "Host"}, "not the name of a header that can be set"),
        ({"secret": "literal"}, "a secret is not written into the pipeline"),
    ],
)
def test_what_no_api_could_check_is_refused_at_load(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        config(**options)
