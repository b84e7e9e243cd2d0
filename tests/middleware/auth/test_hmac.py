"""Signatures made with a shared secret, compared with what the standard library makes of the same message."""

from __future__ import annotations

import hashlib
import hmac as stdlib
from base64 import b64encode, urlsafe_b64encode
from dataclasses import replace
from itertools import count

import pytest

from http_enrich_middleware import RequestExchange, WorkerRuntime, build_chain, parse_middleware
from http_enrich_middleware.auth import hmac
from http_enrich_middleware.traffic import retry
from http_enrich_transport import SecretText
from tests.support.chain import EPOCH, FakeTime, answer, answering, row, send_over_http
from tests.support.peer import serving

SECRET = SecretText("canary-7")
NOW = EPOCH + 1000
URL = "http://api.test/v1/a%20b?z=1&a=%2F"


def config_of(**options: object) -> hmac.Config:
    return hmac.Config.model_validate({"secret": SECRET, "parts": ["body"], **options})


def runtime() -> WorkerRuntime:
    numbers = count(1)
    return replace(FakeTime().runtime, token=lambda: f"nonce-{next(numbers)}")


def posted(url: str = URL, body: bytes | None = b"", **headers: str) -> RequestExchange:
    exchange = row("POST", url, **headers)
    exchange.request.body = body
    return exchange


async def signed(config: hmac.Config, exchange: RequestExchange) -> dict[str, str]:
    """Return the headers that are sent."""
    engine = answering(answer(200))
    await build_chain([config], engine, runtime())(exchange)
    assert exchange.error_kind is None, exchange.error_message
    return engine.requests[0].headers


def made_of(message: str | bytes, algorithm: str = "sha256") -> str:
    raw = message.encode() if isinstance(message, str) else message
    return stdlib.new(b"canary-7", raw, algorithm).hexdigest()


async def test_githubs_signature_is_the_one_it_publishes() -> None:
    """Secret, body and signature stand in GitHub's "Validating webhook deliveries"."""
    secret = SecretText("It's a Secret to Everybody")
    config = config_of(secret=secret, header="X-Hub-Signature-256", prefix="sha256=")

    headers = await signed(config, posted(body=b"Hello, World!"))

    published = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert headers == {"X-Hub-Signature-256": f"sha256={published}"}


@pytest.mark.parametrize(
    ("key", "message", "algorithm", "signature"),
    [
        ("0b" * 20, b"Hi There", "sha1", "b617318655057264e28bc0b6fb378c8ef146be00"),
        (
            *("0b" * 20, b"Hi There", "sha256"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            *("4a656665", b"what do ya want for nothing?", "sha384"),
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        ),
        (
            *("4a656665", b"what do ya want for nothing?", "sha512"),
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
            "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ],
)
async def test_the_vectors_of_the_rfcs(key: str, message: bytes, algorithm: str, signature: str) -> None:
    """RFC 2202 §3 and RFC 4231 §4.2, §4.3."""
    config = config_of(secret=SecretText(key), secret_encoding="hex", algorithm=algorithm)

    assert (await signed(config, posted(body=message)))["X-Signature"] == signature


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("method", "POST"),
        ("host", "api.test"),
        ("path", "/v1/a%20b"),
        ("query", "z=1&a=%2F"),
        ("path_and_query", "/v1/a%20b?z=1&a=%2F"),
        ("url", URL),
        ("timestamp", "1800001000"),
        ("nonce", "nonce-1"),
        ("body", "{}"),
        ("body_sha256", hashlib.sha256(b"{}").hexdigest()),
        ({"header": "content-TYPE"}, "application/json"),
        ({"header": "X-Time"}, "1800001000"),
        ({"text": "v1 ä"}, "v1 ä"),
    ],
    ids=str,
)
async def test_each_part_is_what_the_server_sees(part: object, text: str) -> None:
    config = config_of(parts=[part], timestamp_header="X-Time", nonce_header="X-Nonce")
    exchange = posted(body=b"{}", **{"Content-Type": " application/json\t"})

    headers = await signed(config, exchange)

    assert headers["X-Signature"] == made_of(text)
    assert (headers["X-Time"], headers["X-Nonce"]) == ("1800001000", "nonce-1")


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        ("http://api.test", "api.test", "/"),
        ("http://api.test?a=1", "api.test", "/?a=1"),
        ("http://api.test/v1?", "api.test", "/v1"),
        ("http://API.test:80/V1", "api.test", "/V1"),
    ],
)
async def test_an_address_is_signed_in_the_form_in_which_it_is_sent(url: str, host: str, target: str) -> None:
    headers = await signed(config_of(parts=["url", "host", "path_and_query"]), posted(url))

    assert headers["X-Signature"] == made_of(f"http://{host}{target}\n{host}\n{target}")


async def test_a_request_without_a_body_is_signed_as_an_empty_one() -> None:
    headers = await signed(config_of(parts=["body", "body_sha256"]), posted(body=None))

    assert headers["X-Signature"] == made_of("\n" + hashlib.sha256(b"").hexdigest())


async def test_bodies_are_signed_byte_by_byte() -> None:
    headers = await signed(config_of(), posted(body=b"\xff\x00\n"))

    assert headers["X-Signature"] == made_of(b"\xff\x00\n")


@pytest.mark.parametrize(("separator", "message"), [("\n", "POST\n{}"), ("", "POST{}"), (":", "POST:{}")])
async def test_parts_are_joined_in_their_order(separator: str, message: str) -> None:
    config = config_of(parts=["method", "body"], separator=separator)

    assert (await signed(config, posted(body=b"{}")))["X-Signature"] == made_of(message)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("seconds", "1800001000"),
        ("milliseconds", "1800001000000"),
        ("iso8601", "2027-01-15T08:16:40Z"),
        ("http_date", "Fri, 15 Jan 2027 08:16:40 GMT"),
    ],
)
async def test_the_time_is_written_as_the_api_wants_it(form: str, text: str) -> None:
    config = config_of(parts=["timestamp"], timestamp_header="X-Time", timestamp_format=form)

    assert await signed(config, posted()) == {"X-Time": text, "X-Signature": made_of(text)}


@pytest.mark.parametrize("encoding", ["hex", "base64", "base64url"])
async def test_the_signature_is_written_as_the_api_wants_it(encoding: str) -> None:
    digest = stdlib.digest(b"canary-7", b"body 7", "sha256")
    assert {"+", "/"} <= set(b64encode(digest).decode())  # else the two forms of Base64 are the same
    written = {
        "hex": digest.hex(),
        "base64": b64encode(digest).decode(),
        "base64url": urlsafe_b64encode(digest).decode(),
    }

    headers = await signed(config_of(encoding=encoding, prefix="v1="), posted(body=b"body 7"))

    assert headers == {"X-Signature": f"v1={written[encoding]}"}


@pytest.mark.parametrize(
    ("encoding", "secret"),
    [("text", "canary-7"), ("base64", b64encode(b"canary-7").decode()), ("hex", b"canary-7".hex())],
)
async def test_the_secret_is_read_as_it_is_written(encoding: str, secret: str) -> None:
    config = config_of(secret=SecretText(secret), secret_encoding=encoding)

    assert (await signed(config, posted(body=b"{}")))["X-Signature"] == made_of("{}")


@pytest.mark.parametrize(
    ("encoding", "secret"), [("base64", "canary-7-"), ("base64", "canary77!"), ("hex", "canary-7")]
)
def test_a_secret_that_is_not_what_it_says_is_found_before_the_first_row(encoding: str, secret: str) -> None:
    config = config_of(secret=SecretText(secret), secret_encoding=encoding)

    with pytest.raises(ValueError, match=f"the secret is no {encoding}; look at secret_encoding") as caught:
        hmac.build(config, runtime())

    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("key_id", ["key-1", SecretText("key-1")])
async def test_the_key_is_named_in_a_header(key_id: object) -> None:
    config = config_of(key_id=key_id, key_id_header="X-Key", parts=[{"header": "X-Key"}])

    assert await signed(config, posted()) == {"X-Key": "key-1", "X-Signature": made_of("key-1")}


async def test_a_header_that_is_missing_fails_the_row() -> None:
    engine = answering(answer(200))
    config = config_of(parts=[{"header": "Content-Type"}])
    exchange = await build_chain([config], engine, runtime())(posted())

    assert (engine.calls, exchange.error_kind) == (0, "invalid_request")
    assert exchange.error_message == (
        "the header Content-Type is to be signed, and the request has none; set it in endpoint.headers"
    )


async def test_each_attempt_has_a_time_and_a_nonce_of_its_own() -> None:
    config = config_of(
        parts=["timestamp", "nonce", "body"], timestamp_header="X-Time", nonce_header="X-Nonce"
    )
    engine = answering(answer(503))
    chain = build_chain(
        [retry.Config(retry_status_codes=frozenset({503}), base_delay=1, max_delay=1), config],
        engine,
        replace((time := FakeTime()).runtime, token=runtime().token),
    )
    await chain(posted(body=b"{}"))

    assert time.waits == [1, 1]
    assert [each.headers for each in engine.requests] == [
        {
            "X-Time": f"180000100{n}",
            "X-Nonce": f"nonce-{n + 1}",
            "X-Signature": made_of(f"180000100{n}\nnonce-{n + 1}\n{{}}"),
        }
        for n in range(3)
    ]


def test_a_nonce_of_the_worker_is_32_digits_that_do_not_repeat() -> None:
    tokens = [WorkerRuntime().token() for _ in range(100)]

    assert {len(bytes.fromhex(token)) for token in tokens} == {16}
    assert len(set(tokens)) == 100


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST"])
async def test_a_server_that_reads_the_wire_comes_to_the_same_signature(host: str) -> None:
    answered = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    config = config_of(parts=["method", "path_and_query", "host", {"header": "Accept"}])
    async with serving(answered) as server:
        exchange = row(url=f"{server.url.replace('127.0.0.1', host)}/a//b%2f?x=%3a&y='", Accept="text/*")
        await send_over_http([config], exchange)

    line, *headers = server.heads[0].decode().split("\r\n")
    method, target, _ = line.split(" ")
    seen = dict(header.split(": ", 1) for header in headers if header)
    assert seen["X-Signature"] == made_of(f"{method}\n{target}\n{seen['Host']}\n{seen['Accept']}")
    assert exchange.error_kind is None


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"parts": []}, "parts"),
        ({"parts": ["timestamp"]}, "the timestamp is signed and not sent; set timestamp_header"),
        ({"parts": ["nonce"]}, "the nonce is signed and not sent; set nonce_header"),
        ({"parts": ["Method"]}, "parts"),
        ({"parts": [7]}, "expected a word such as method or body"),
        ({"parts": [{"text": "a", "header": "b"}]}, "expected a word such as method or body"),
        ({"parts": [{"header": "Host"}]}, "the header 'Host' is written by the engine"),
        ({"parts": [{"header": "X Y"}]}, "this is no name of a header"),
        ({"parts": [{"header": "x-signature"}]}, "carries the signature, and cannot be a part of it"),
        ({"algorithm": "md5"}, "md5 is broken .*; ask the API for sha256"),
        ({"algorithm": "sha3_256"}, "algorithm"),
        ({"key_id": "a"}, "key_id and key_id_header need each other"),
        ({"key_id_header": "A"}, "key_id and key_id_header need each other"),
        ({"nonce_header": "X-A", "timestamp_header": "x-a"}, "the header 'x-a' cannot carry two things"),
        ({"nonce_header": "X-signature"}, "the header 'x-signature' cannot carry two things"),
        ({"header": "Content-Length"}, "is written by the engine"),
        ({"prefix": "a\nb"}, "prefix"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_middleware({"type": "hmac", "secret": SECRET, "parts": ["body"], **options})
