"""Signed tokens, checked with the public half of the key."""

from __future__ import annotations

import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwk, jwt
from joserfc.errors import BadSignatureError

from http_enrich_middleware import build_chain, parse_middleware
from http_enrich_transport import SecretText
from tests.support.authorization_server import authorizing
from tests.support.chain import EPOCH, FakeTime, answer, answering, row, send_over_http
from tests.support.peer import OK, serving
from tests.support.tokens import TOKEN_URL, Api

SECRET = "canary-7-of-thirty-two-characters-or-more"


def _pem(key: Any) -> str:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


RSA = _pem(rsa.generate_private_key(65537, 2048))
CURVES = {256: ec.SECP256R1(), 384: ec.SECP384R1(), 521: ec.SECP521R1()}
EC = {size: _pem(ec.generate_private_key(curve)) for size, curve in CURVES.items()}
KEYS = {
    **dict.fromkeys(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], RSA),
    **dict(zip(["ES256", "ES384", "ES512"], EC.values(), strict=True)),
    **dict.fromkeys(["HS256", "HS384", "HS512"], SECRET),
}


def entry(algorithm: str = "RS256", key: str | None = None, **options: Any) -> dict[str, Any]:
    name = "secret" if algorithm.startswith("HS") else "private_key"
    return {"type": "jwt_bearer", "algorithm": algorithm, name: SecretText(key or KEYS[algorithm]), **options}


def verified(token: str, algorithm: str = "RS256") -> jwt.Token:
    kind: Any = {"RS": "RSA", "PS": "RSA", "ES": "EC", "HS": "oct"}[algorithm[:2]]
    return jwt.decode(token, jwk.import_key(KEYS[algorithm], kind), [algorithm])


async def sent(api: Api, time: FakeTime, rows: int = 1, **options: Any) -> list[str]:
    """Send *rows* rows and return their tokens."""
    send = build_chain([parse_middleware(entry(**options))], api.engine, time.runtime)
    for _ in range(rows):
        assert (await send(row())).error_kind is None
    return api.seen


@pytest.mark.parametrize("algorithm", KEYS)
async def test_the_api_can_verify_the_token(algorithm: str) -> None:
    api = Api()
    (token,) = await sent(api, FakeTime(), algorithm=algorithm)

    assert verified(token, algorithm).header == {"typ": "JWT", "alg": algorithm}
    with pytest.raises(BadSignatureError):
        verified(f"{token[:-10]}{'A' * 10}", algorithm)


async def test_the_token_says_who_for_whom_and_until_when() -> None:
    options: dict[str, Any] = {
        "key_id": "key-1",
        "issuer": "me",
        "subject": "a user",
        "audience": ["https://api.test", "https://other.test"],
        "claims": {"bid": "com.example", "roles": ["a", {"b": 1.5}]},
        "lifetime": "10m",
    }
    token = verified((await sent(Api(), FakeTime(), **options))[0])

    assert token.header == {"typ": "JWT", "alg": "RS256", "kid": "key-1"}
    jti = token.claims.pop("jti")
    assert re.fullmatch(r"[\w-]{22}", jti)
    assert token.claims == {
        "iss": "me",
        "sub": "a user",
        "aud": ["https://api.test", "https://other.test"],
        "bid": "com.example",
        "roles": ["a", {"b": 1.5}],
        "iat": EPOCH + 1000,
        "exp": EPOCH + 1600,
    }


async def test_what_is_not_given_is_not_claimed() -> None:
    token = verified((await sent(Api(), FakeTime()))[0])

    assert set(token.claims) == {"iat", "exp", "jti"}
    assert token.claims["exp"] - token.claims["iat"] == 300


async def test_it_is_signed_anew_ahead_of_its_end() -> None:
    api, time = Api(), FakeTime(share=0.0)
    send = build_chain([parse_middleware(entry())], api.engine, time.runtime)
    for now in (0, 100, 269.9, 270, 539.9, 540):
        time.now = 1000.0 + now
        await send(row())

    assert [verified(each).claims["iat"] - EPOCH - 1000 for each in api.seen] == [0, 0, 0, 270, 270, 540]
    assert len({verified(each).claims["jti"] for each in api.seen}) == 3
    assert api.asked == []


async def test_a_refused_one_is_signed_anew_and_the_request_sent_once_more() -> None:
    api = Api(takes=lambda token: token != api.seen[0])
    assert len(set(await sent(api, FakeTime()))) == 2


async def test_over_http_the_api_sees_it() -> None:
    async with serving(OK) as server:
        exchange = await send_over_http([parse_middleware(entry())], row(url=server.url))

    found = re.search(rb"\r\nAuthorization: Bearer (\S+)\r\n", server.heads[0])
    assert found
    assert verified(found[1].decode())
    assert exchange.status == 200


async def test_with_a_token_url_it_is_exchanged_for_an_access_token() -> None:
    """RFC 7523 §2.1; the audience is the token endpoint unless another one is given."""
    api, time = Api(), FakeTime()
    options = {"token_url": TOKEN_URL, "issuer": "me", "scope": "read"}
    assert await sent(api, time, rows=3, **options) == ["token-1"] * 3

    (form,) = api.forms
    claims = verified(form.pop("assertion")).claims
    assert form == {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "scope": "read"}
    assert (claims["iss"], claims["aud"]) == ("me", TOKEN_URL)


async def test_each_exchange_signs_another_assertion() -> None:
    api = Api(takes=lambda token: token != "token-1", members={"expires_in": 60})
    await sent(api, FakeTime(), token_url=TOKEN_URL, audience="https://login.test/")

    claims = [verified(form["assertion"]).claims for form in api.forms]
    assert [each["aud"] for each in claims] == ["https://login.test/"] * 2
    assert len({each["jti"] for each in claims}) == 2


async def test_over_http_it_is_exchanged_by_a_client_that_names_itself() -> None:
    async with authorizing() as server:
        options: dict[str, Any] = {"client_id": "the client", "client_secret": SecretText("canary-7:+/ é%")}
        config = parse_middleware(entry(token_url=server.token_url, issuer="me", **options))
        exchange = await send_over_http([config], row(url=f"{server.url}/api"))

    assert (exchange.status, len(server.issued)) == (200, 1)


async def test_no_secret_is_shown() -> None:
    runtime, api = FakeTime().runtime, Api()
    config = parse_middleware(entry(token_url=TOKEN_URL))
    await build_chain([config], api.engine, runtime)(row())

    assertion = api.forms[0]["assertion"]
    assert runtime.redactor.text(f"{RSA} {assertion} token-1") == "*** *** ***"
    assert "PRIVATE" not in repr(config)


@pytest.mark.parametrize(("line", "end"), [("\n", "\\n"), ("\n", "\r\n"), ("", "")])
async def test_a_key_may_have_been_through_an_environment_variable(line: str, end: str) -> None:
    key = RSA.replace(line, end) if line else RSA + "\n\n"
    (token,) = await sent(Api(), FakeTime(), key=key)

    assert verified(token)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", "canary-7"),
        ("RS256", EC[256]),
        ("RS256", RSA[:-200]),
        ("RS256", _pem(rsa.generate_private_key(65537, 1024))),
        ("ES256", RSA),
        ("ES256", EC[384]),
        ("HS256", "canary-7"),
    ],
    ids=["garbage", "another kind", "cut off", "short", "RSA for EC", "another curve", "short secret"],
)
def test_a_key_that_does_not_fit_is_found_before_the_first_row(algorithm: str, key: str) -> None:
    config = parse_middleware(entry(algorithm, key))
    name = "secret" if algorithm == "HS256" else "private_key"

    with pytest.raises(
        ValueError, match=f"^{name}: it is no key for {algorithm}, or too short for it$"
    ) as caught:
        build_chain([config], answering(answer(200)), FakeTime().runtime)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "RS256"}, "RS256 takes a private_key, and no secret"),
        ({"algorithm": "HS256"}, "HS256 takes a secret, and no private_key"),
        (
            {"secret": SecretText(SECRET), "private_key": SecretText(RSA)},
            "RS256 takes a private_key, and no secret",
        ),
        ({"algorithm": "none"}, "algorithm"),
        ({**entry(), "lifetime": "2h"}, "lifetime"),
        ({**entry(), "lifetime": 0}, "lifetime"),
        ({**entry(), "claims": {"exp": 1, "aud": "x"}}, "claims: aud, exp cannot stand here"),
        ({**entry(), "claims": {"x": object()}}, "claims"),
        ({**entry(), "scope": "read"}, "scope goes with token_url"),
        ({**entry(), "client_id": "me"}, "client_id goes with token_url"),
        ({**entry(), "extra": {"a": "b"}}, "extra goes with token_url"),
        ({**entry(), "token_url": "http://login.test/"}, "use https, or allow_http: true"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_load(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_middleware({"type": "jwt_bearer", **options})
