"""AWS signatures, checked by a server that makes its own from what it reads."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote, unquote_to_bytes

import pytest

from http_enrich_middleware import RequestExchange, WorkerRuntime, build_chain, parse_middleware
from http_enrich_middleware.auth import aws_sigv4
from http_enrich_middleware.traffic import retry
from http_enrich_transport import SecretText
from tests.support.chain import EPOCH, FakeTime, answer, answering, row, send_over_http
from tests.support.peer import serving

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = datetime.fromtimestamp(EPOCH + 1000, UTC).strftime("%Y%m%dT%H%M%SZ")


def config_of(**options: object) -> aws_sigv4.Config:
    entry = {
        **{"region": "us-east-1", "service": "service", "access_key_id": "AKIDEXAMPLE"},
        **{"secret_access_key": SecretText(SECRET), **options},
    }
    return aws_sigv4.Config.model_validate(entry)


class Received:
    """One request as it was on the wire, and the signature that AWS would expect of it."""

    def __init__(self, head: bytes, body: bytes) -> None:
        line, *fields = head.decode().rstrip("\r\n").split("\r\n")
        self.method, self.target, _ = line.split(" ")
        pairs = [field.split(":", 1) for field in fields]
        self.headers = {name.lower(): value.strip() for name, value in pairs}
        assert len(self.headers) == len(pairs)  # no header came twice
        self.body = body
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/(\S+), SignedHeaders=(\S+), Signature=([0-9a-f]{64})",
            self.headers["authorization"],
        )
        assert found is not None
        self.scope, signed, self.signature = found.groups()
        self.signed = signed.split(";")

    def expected(self, *, as_it_is: bool = False) -> str:
        """Follow the public description of Signature Version 4, "Create a signed AWS API request"."""
        path, _, query = self.target.partition("?")
        if not as_it_is:
            slashes = "/".join(each for each in path.split("/") if each)
            path = quote(f"/{slashes}" + ("/" if path.endswith("/") and slashes else ""), safe="/~-_.")
        values = [each.partition("=")[::2] for each in query.split("&") if each]
        written = sorted(
            tuple(quote(unquote_to_bytes(part), safe="~-_.") for part in pair) for pair in values
        )
        canonical = [
            *(self.method, path, "&".join(f"{name}={value}" for name, value in written)),
            *(f"{name}:{' '.join(self.headers[name].split())}" for name in self.signed),
            *("", ";".join(self.signed)),
            self.headers.get("x-amz-content-sha256", hashlib.sha256(self.body).hexdigest()),
        ]
        digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{self.headers['x-amz-date']}\n{self.scope}\n{digest}"
        key = f"AWS4{SECRET}".encode()
        for part in self.scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.new(key, text.encode(), "sha256").hexdigest()


class Service:
    """Remembers what it was sent."""

    def __init__(self) -> None:
        self.url = ""
        self.received: list[Received] = []


@asynccontextmanager
async def service(status: bytes = b"200 OK") -> AsyncIterator[Service]:
    """Serve a peer that reads whole requests."""
    there = Service()

    async def answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = server.heads[-1]
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        there.received.append(Received(head, body))
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        await writer.drain()

    async with serving(answer_one) as server:
        there.url = server.url
        yield there


async def received(exchange: RequestExchange, **options: object) -> Received:
    """Return how *exchange*, whose address has no origin, arrives."""
    async with service() as there:
        exchange.request.url = there.url + exchange.request.url
        await send_over_http([config_of(**options)], exchange, FakeTime().runtime)
    assert exchange.error_kind is None, exchange.error_message
    return there.received[0]


def posted(path: str, body: bytes, **headers: str) -> RequestExchange:
    exchange = row("POST", path, **headers)
    exchange.request.body = body
    return exchange


@pytest.mark.parametrize(
    ("url", "signature"),
    [
        (
            "https://example.amazonaws.com/",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "https://example.amazonaws.com/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ],
)
async def test_the_signature_is_the_one_that_aws_publishes(url: str, signature: str) -> None:
    """get-vanilla and get-vanilla-query-order-key-case of the test suite for Signature Version 4."""
    engine = answering(answer(200))
    then = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
    runtime = WorkerRuntime(now=lambda: then, base_url=url)

    await build_chain([config_of()], engine, runtime)(row(url=url))

    assert engine.requests[0].headers == {
        "X-Amz-Date": "20150830T123600Z",
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}",
    }


PATHS = [
    "",
    "/",
    "/v1/a%20b",
    "/v1/a%2Fb/%C3%A9",
    "/v1//a///b/",
    "/model/anthropic.claude:1/invoke",
    "/a~b-c_d.e/(f)",
    "/v1?b=2&a=1&a=0",
    "/v1?a=%2F%20%C3%A9&A=1",
    "/v1?a=x:y&b=%3a",
    "/v1?flag&b=",
    "/v1?x=a=b",
    "/v1?",
    "?a=1",
]


@pytest.mark.parametrize("path", PATHS)
async def test_the_server_comes_to_the_same_signature(path: str) -> None:
    seen = await received(row(url=path, Accept="text/*,  application/json"))

    assert seen.signature == seen.expected()
    assert seen.scope == f"{NOW[:8]}/us-east-1/service/aws4_request"
    assert (seen.headers["x-amz-date"], seen.signed) == (NOW, ["accept", "host", "x-amz-date"])
    assert ":" in seen.headers["host"]  # the port is part of it


@pytest.mark.parametrize("path", ["/b", "/b/a%20b", "/b//c", "/b/a:b?x=1"])
async def test_s3_takes_the_path_as_it_is_and_wants_the_hash_announced(path: str) -> None:
    seen = await received(posted(path, b"{}", **{"x-amz-content-sha256": "of the row"}), service="s3")

    assert seen.headers["x-amz-content-sha256"] == hashlib.sha256(b"{}").hexdigest()
    assert "x-amz-content-sha256" in seen.signed
    seen.target = seen.target.replace(":", "%3A")  # AWS encodes what is not encoded
    assert seen.signature == seen.expected(as_it_is=True)


async def test_the_body_is_signed_byte_by_byte() -> None:
    seen = await received(posted("/v1", b"\xff\x00{}", **{"Content-Type": "application/json"}))

    assert (seen.body, seen.signature) == (b"\xff\x00{}", seen.expected())
    assert seen.signed == ["content-type", "host", "x-amz-date"]
    seen.body += b" "
    assert seen.signature != seen.expected()


async def test_a_session_token_is_sent_and_signed() -> None:
    seen = await received(row(url="/v1"), session_token=SecretText("canary-7"))

    assert seen.headers["x-amz-security-token"] == "canary-7"
    assert seen.signed == ["host", "x-amz-date", "x-amz-security-token"]
    assert seen.signature == seen.expected()


@pytest.mark.parametrize("service", ["service", "s3"])
@pytest.mark.parametrize(
    ("scheme", "announced"),
    [("https", "UNSIGNED-PAYLOAD"), ("http", hashlib.sha256(b"{}").hexdigest())],
)
async def test_a_body_is_left_out_only_where_tls_protects_it(
    service: str, scheme: str, announced: str
) -> None:
    engine, exchange = answering(answer(200)), posted(f"{scheme}://api.test/", b"{}")
    runtime = replace(FakeTime().runtime, base_url=exchange.request.url)

    await build_chain([config_of(unsigned_payload=True, service=service)], engine, runtime)(exchange)

    headers = engine.requests[0].headers
    assert headers["X-Amz-Content-SHA256"] == announced
    head = "POST / HTTP/1.1\r\nHost: api.test\r\n" + "".join(
        f"{name}: {headers[name]}\r\n" for name in headers
    )
    seen = Received(head.encode(), b"{}")
    assert seen.signature == seen.expected()


async def test_an_unsigned_body_may_change_and_the_rest_may_not() -> None:
    plain = await received(posted("/v1", b"{}"), unsigned_payload=True)

    plain.method = "PUT"
    assert plain.signature != plain.expected()


async def test_a_host_in_upper_case_is_signed_as_it_is_sent() -> None:
    async with service() as there:
        url = there.url.replace("127.0.0.1", "LOCALHOST")
        await send_over_http([config_of()], row(url=f"{url}/v1"), FakeTime().runtime)

    (seen,) = there.received
    assert seen.headers["host"].startswith("localhost:")
    assert seen.signature == seen.expected()


async def test_each_attempt_is_signed_at_its_own_time() -> None:
    time = FakeTime()
    config = retry.Config(base_delay=1, max_delay=1)
    async with service(b"503 Busy") as there:
        exchange = row(url=f"{there.url}/v1")
        await send_over_http([config, config_of()], exchange, time.runtime)

    stamps = [f"{NOW[:13]}{int(NOW[13:15]) + n:02}Z" for n in range(3)]
    assert [each.headers["x-amz-date"] for each in there.received] == stamps
    assert [each.signature for each in there.received] == [each.expected() for each in there.received]


@pytest.mark.parametrize("name", ["Authorization", "authorization", "X-AMZ-DATE", "date"])
async def test_what_the_row_brings_along_does_not_get_in_the_way(name: str) -> None:
    seen = await received(row(url="/v1", **{name: "of the row"}))

    assert "of the row" not in seen.headers.values()
    assert seen.signature == seen.expected()


@pytest.mark.parametrize("key", ["region", "service", "access_key_id", "secret_access_key"])
def test_nothing_is_left_empty(key: str) -> None:
    options = {
        **{"type": "aws_sigv4", "region": "us-east-1", "service": "lambda", "access_key_id": "AKID"},
        **{"secret_access_key": SecretText(SECRET)},
    }
    parse_middleware(options)

    with pytest.raises(ValueError, match=key):
        parse_middleware({name: value for name, value in options.items() if name != key})
    with pytest.raises(ValueError, match=key):
        parse_middleware({**options, key: ""})


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"session_token": SecretText("canary\n")}, "session_token has a line break"),
        ({"access_key_id": SecretText("canary ")}, "access_key_id has a line break"),
    ],
)
def test_credentials_that_no_header_can_carry_are_found_before_the_first_row(
    options: dict[str, object], what: str
) -> None:
    with pytest.raises(ValueError, match=what) as caught:
        aws_sigv4.build(config_of(**options), FakeTime().runtime)

    assert "canary" not in str(caught.value)


def test_a_missing_library_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("botocore")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, "http_enrich_middleware.auth._sigv4", raising=False)
    monkeypatch.setitem(sys.modules, "botocore", None)

    with pytest.raises(ImportError, match=r"install airflow-provider-http-enrich-spark\[aws\]"):
        aws_sigv4.build(config_of(), FakeTime().runtime)
