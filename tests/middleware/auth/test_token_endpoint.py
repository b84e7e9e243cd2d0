"""How an authorization server is asked, and what stays between us and it."""

from __future__ import annotations

import sys
from base64 import b64decode
from typing import Any
from urllib.parse import unquote_plus

import pytest

from http_enrich_middleware import build_chain, parse_middleware
from http_enrich_middleware.auth._token_endpoint import MissingExtraError
from http_enrich_transport import RESOLVED, SecretText
from tests.support.chain import FakeTime, answer, failure, row
from tests.support.tokens import TOKEN_URL, Api, granting, refusing

SECRET = "canary-7:+/ é%"
CLIENT = {"type": "oauth2_client_credentials", "client_id": "my id", "client_secret": SecretText(SECRET)}
GRANTS: list[dict[str, Any]] = [
    {**CLIENT, "extra": {"key": SecretText("canary-6")}},
    {"type": "oauth2_password", "username": "me", "password": SecretText(SECRET), "client_id": "my id"},
    {"type": "oauth2_refresh_token", "refresh_token": SecretText(SECRET), "client_id": "my id"},
    {"type": "jwt_bearer", "secret": SecretText("canary-7-of-some-length"), "algorithm": "HS256"},
]
TYPES = [str(each["type"]) for each in GRANTS]


async def send(entry: dict[str, Any], api: Api, time: FakeTime | None = None) -> Any:
    config = parse_middleware({"token_url": TOKEN_URL, **entry})
    return await build_chain([config], api.engine, (time or FakeTime()).runtime)(row())


async def test_the_client_is_named_in_a_header_with_its_parts_encoded() -> None:
    api = Api()
    await send(CLIENT, api)

    (request,) = api.asked
    scheme, _, pair = request.headers["Authorization"].partition(" ")
    client_id, _, secret = b64decode(pair).decode().partition(":")
    assert (scheme, unquote_plus(client_id), unquote_plus(secret)) == ("Basic", "my id", SECRET)
    assert (request.method, request.body) == ("POST", b"grant_type=client_credentials")
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["Accept"] == "application/json"


async def test_the_client_may_be_named_in_the_body() -> None:
    api = Api()
    await send({**CLIENT, "client_auth": "post"}, api)

    assert "Authorization" not in api.asked[0].headers
    assert api.forms == [
        {"grant_type": "client_credentials", "client_id": "my id", "client_secret": SECRET},
    ]


async def test_scope_audience_and_what_the_vendor_wants_go_along() -> None:
    api = Api()
    extra = {"resource": "https://api.test/?a=b&c", "key": SecretText("canary-6")}
    await send({**CLIENT, "scope": "read write", "audience": "api", "extra": extra}, api)

    assert api.forms == [
        {
            "grant_type": "client_credentials",
            "scope": "read write",
            "audience": "api",
            "resource": "https://api.test/?a=b&c",
            "key": "canary-6",
        }
    ]


async def test_a_client_without_a_secret_gives_its_name() -> None:
    api = Api()
    await send(GRANTS[1], api)

    assert "Authorization" not in api.asked[0].headers
    assert api.forms == [
        {"grant_type": "password", "username": "me", "password": SECRET, "client_id": "my id"},
    ]


@pytest.mark.parametrize("entry", GRANTS, ids=TYPES)
async def test_a_request_without_an_answer_is_made_again(entry: dict[str, Any]) -> None:
    api, time = Api(tokens=[failure("reset"), answer(503, retry_after="3")]), FakeTime()
    exchange = await send(entry, api, time)

    assert (exchange.error_kind, len(api.asked)) == (None, 3)
    assert time.waits == [0.5, 4.0]


REFUSALS = [
    (refusing("invalid_client", 401), "auth_failed", False),
    (refusing("canary-7"), "auth_failed", False),
    (failure("tls_verify"), "auth_failed", False),
    (granting("a b"), "auth_failed", False),
    (answer(200, b"<html>canary-7"), "auth_failed", False),
    (answer(500, b"canary-7"), "auth_unavailable", True),
    (failure("read_timeout"), "auth_unavailable", True),
]


@pytest.mark.parametrize("entry", GRANTS, ids=TYPES)
@pytest.mark.parametrize(("response", "kind", "again"), REFUSALS, ids=range(len(REFUSALS)))
async def test_without_a_token_nothing_is_sent(
    entry: dict[str, Any], response: Any, kind: str, again: bool
) -> None:
    api = Api(tokens=[response] * 3)
    exchange = await send(entry, api)

    assert (exchange.error_kind, exchange.attempts, api.seen) == (kind, 0, [])
    assert exchange.failure.retry is again
    assert len(api.asked) == (3 if again else 1)
    assert exchange.error_message.startswith(("the token request ", "the answer to the token request "))


async def test_a_code_that_repeats_a_secret_is_not_shown() -> None:
    api = Api(tokens=[refusing("bad:canary-7")])
    exchange = await send({**CLIENT, "client_secret": SecretText("canary-7")}, api)

    assert exchange.error_message == "the token request was refused with HTTP status 400: bad:***"


@pytest.mark.parametrize("entry", GRANTS, ids=TYPES)
async def test_nothing_printable_shows_a_secret(entry: dict[str, Any]) -> None:
    config = parse_middleware({"token_url": TOKEN_URL, **entry})
    runtime, api = (
        FakeTime().runtime,
        Api(tokens=[granting("canary-5")], takes=lambda token: token == "canary-5"),
    )
    exchange = await build_chain([config], api.engine, runtime)(row())

    assert exchange.error_kind is None
    assert "canary" not in repr([config, exchange, api.asked]) + str(exchange.error_message)
    hidden = runtime.redactor.text
    request = api.asked[0]
    sent = [*exchange.request.headers.values(), *request.headers.values(), (request.body or b"").decode()]
    for text in sent + [unquote_plus(each) for each in sent]:
        assert "canary" not in hidden(text)
    for text in [each.partition(" ")[2] for each in sent if each.startswith("Basic ")]:
        assert hidden(text) == "***"
    if entry["type"] == "jwt_bearer":
        assert "eyJ" not in hidden((request.body or b"").decode())


@pytest.mark.parametrize(
    "url",
    [
        "https://login.test/token",
        "https://login.test/t?tenant=a",
        "http://127.0.0.1:8080/t",
        "http://localhost/t",
    ],
)
def test_secrets_travel_encrypted_or_not_at_all(url: str) -> None:
    assert parse_middleware({**CLIENT, "token_url": url})


@pytest.mark.parametrize(
    "url", ["http://login.test/token", "http://localhost.evil/", "http://10.0.0.1/", "HTTP://a/"]
)
def test_over_http_they_travel_only_if_told_to(url: str) -> None:
    with pytest.raises(ValueError, match=r"use https, or allow_http: true|expected an address such as"):
        parse_middleware({**CLIENT, "token_url": url})
    if url.startswith("http:"):
        assert parse_middleware({**CLIENT, "token_url": url, "allow_http": True})


@pytest.mark.parametrize(
    "url",
    [
        "",
        "login.test",
        "ftp://login.test/",
        "https://me:canary-7@login.test/",
        "https://a/#b",
        "https://a/ b",
        "https:",
    ],
)
def test_what_is_no_address_is_refused_at_load(url: str) -> None:
    with pytest.raises(ValueError, match="token_url") as caught:
        parse_middleware({**CLIENT, "token_url": url})

    assert "expected an address such as https://login.example.com/oauth/token" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("name", ["grant_type", "client_secret", "scope", "assertion"])
def test_a_parameter_of_the_protocol_is_no_extra(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is a parameter of the protocol"):
        parse_middleware({**CLIENT, "token_url": TOKEN_URL, "extra": {name: "x"}})


@pytest.mark.parametrize("missing", ["token_url", "client_id", "client_secret"])
def test_what_is_needed_is_asked_for_at_load(missing: str) -> None:
    entry = {"token_url": TOKEN_URL, **CLIENT}
    del entry[missing]

    with pytest.raises(ValueError, match=rf"{missing}\s+this key is missing"):
        parse_middleware(entry)


@pytest.mark.parametrize("client_id", ["", 7])
def test_an_id_is_a_text(client_id: Any) -> None:
    with pytest.raises(ValueError, match="client_id"):
        parse_middleware({**CLIENT, "token_url": TOKEN_URL, "client_id": client_id})


def test_a_secret_without_a_client_is_nobodys() -> None:
    entry = {**GRANTS[1], "client_id": None, "client_secret": SecretText("canary-7")}

    with pytest.raises(ValueError, match="client_secret goes with client_id"):
        parse_middleware({**entry, "token_url": TOKEN_URL})


@pytest.mark.parametrize("secret", ["client_secret", "password", "refresh_token", "private_key", "secret"])
def test_a_secret_that_is_written_down_is_refused(secret: str) -> None:
    (entry,) = [each for each in GRANTS if secret in each] or [GRANTS[3]]

    with pytest.raises(ValueError, match="a secret is not written into the pipeline") as caught:
        parse_middleware({"token_url": TOKEN_URL, **entry, secret: "canary-7"})
    assert "canary" not in str(caught.value)


def test_an_id_may_come_out_of_a_connection() -> None:
    entry = {"token_url": TOKEN_URL, **CLIENT, "client_id": "me", "client_secret": "canary-7"}

    assert parse_middleware(entry, RESOLVED)


@pytest.mark.parametrize("entry", GRANTS, ids=TYPES)
def test_a_missing_library_is_named_with_its_remedy(
    entry: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] in ("authlib", "joserfc")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "authlib", None)
    monkeypatch.setitem(sys.modules, "joserfc", None)
    config = parse_middleware({"token_url": TOKEN_URL, **entry})

    with pytest.raises(
        MissingExtraError, match=r"airflow-provider-http-enrich-spark\[oauth2\] on the driver"
    ):
        build_chain([config], Api().engine, FakeTime().runtime)
