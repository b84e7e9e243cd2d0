"""User name and password with every request."""

from __future__ import annotations

from base64 import b64decode

import pytest

from http_enrich_middleware import Middleware, build_chain, parse_middleware
from http_enrich_middleware.auth import basic
from http_enrich_transport import RESOLVED, SecretText
from tests.support.chain import FakeTime, answer, answering, row, send_over_http
from tests.support.peer import OK, serving

PASSWORD = SecretText("open sesame")


async def sent_by(config: basic.Config) -> str:
    """Return what the server reads in the header."""
    engine = answering(answer(200))
    await build_chain([config], engine, FakeTime().runtime)(row())
    scheme, _, pair = engine.requests[0].headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    return b64decode(pair, validate=True).decode()


async def test_the_server_sees_the_pair_of_the_rfc() -> None:
    """RFC 7617 §2 has this example."""
    config = basic.Config(username="Aladdin", password=PASSWORD)
    async with serving(OK) as server:
        await send_over_http([config], row(url=server.url))

    assert b"\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n" in server.heads[0]


async def test_characters_beyond_ascii_are_sent_in_utf_8() -> None:
    """RFC 7617 §2.1 has this example."""
    engine = answering(answer(200))
    config = basic.Config(username="test", password=SecretText("123\u00a3"))
    await build_chain([config], engine, FakeTime().runtime)(row())

    assert engine.requests[0].headers["Authorization"] == "Basic dGVzdDoxMjPCow=="


async def test_a_password_may_have_colons() -> None:
    assert await sent_by(basic.Config(username="me", password=SecretText("a:b:"))) == "me:a:b:"


async def test_both_may_come_from_a_connection() -> None:
    assert await sent_by(basic.Config(username=SecretText("me"), password=PASSWORD)) == "me:open sesame"


async def test_an_api_may_take_its_key_as_the_user_name() -> None:
    assert await sent_by(basic.Config(username=SecretText("sk_live"), password=None)) == "sk_live:"


@pytest.mark.parametrize("username", ["a:b", SecretText("a:b"), ":"])
def test_a_colon_in_the_user_name_is_refused(username: object) -> None:
    with pytest.raises(ValueError, match="a user name has no ':'") as caught:
        parse_middleware({"type": "basic", "username": username, "password": PASSWORD})

    assert "a:b" not in str(caught.value)


@pytest.mark.parametrize("username", ["", None, 12345, True, SecretText("")])
def test_a_user_name_is_a_text(username: object) -> None:
    with pytest.raises(ValueError, match="expected a text"):
        parse_middleware({"type": "basic", "username": username, "password": PASSWORD})


def test_a_password_is_not_forgotten() -> None:
    with pytest.raises(ValueError, match=r"password\n.*this key is missing"):
        parse_middleware({"type": "basic", "username": "me"})


@pytest.mark.parametrize("context", [None, RESOLVED])
def test_a_key_as_the_user_name_is_not_written_down(context: object) -> None:
    with pytest.raises(ValueError, match="the user name is the secret; take it from") as caught:
        parse_middleware({"type": "basic", "username": "sk_live", "password": None}, context)

    assert "sk_live" not in str(caught.value)


@pytest.mark.parametrize(
    ("username", "password"), [("me", "canary\n"), ("me\x00", "canary"), ("me", "\x7fcanary")]
)
def test_control_characters_are_found_before_the_first_row(username: str, password: str) -> None:
    config = basic.Config(username=username, password=SecretText(password))

    with pytest.raises(ValueError, match="control character, such as a line break") as caught:
        built(config)

    assert "canary" not in str(caught.value)


def built(config: basic.Config) -> Middleware:
    return basic.build(config, FakeTime().runtime)


def test_the_worker_hides_the_pair_and_a_key_as_the_user_name() -> None:
    runtime = FakeTime().runtime
    basic.build(basic.Config(username="Aladdin", password=PASSWORD), runtime)
    basic.build(basic.Config(username=SecretText("sk_live"), password=None), runtime)

    assert (
        runtime.redactor.text("QWxhZGRpbjpvcGVuIHNlc2FtZQ== Aladdin sk_live c2tfbGl2ZTo=")
        == "*** Aladdin *** ***"
    )
