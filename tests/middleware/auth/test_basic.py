"""A user name and a password."""

from __future__ import annotations

import base64

import pytest

from http_enrich_middleware import parse_middleware
from http_enrich_transport import SecretText
from tests.support.chain import row, send_over_http
from tests.support.peer import OK, serving


@pytest.mark.parametrize(
    ("user", "password", "secret"),
    [("me", "a:b", True), ("me", "a:b", False), ("jürgen", "pässword €", True), ("", "x", False)],
)
async def test_the_server_sees_both_in_utf8(user: str, password: str, secret: bool) -> None:
    name = SecretText(user) if secret else user
    config = parse_middleware({"type": "basic", "username": name, "password": SecretText(password)})
    async with serving(OK) as server:
        await send_over_http([config], row(url=server.url))

    (line,) = (each for each in server.heads[0].split(b"\r\n") if each.lower().startswith(b"authorization"))
    scheme, encoded = line.split(b": ")[1].split(b" ")
    assert (scheme, base64.b64decode(encoded).decode()) == (b"Basic", f"{user}:{password}")


def test_a_user_name_with_a_colon_would_be_read_as_another_one() -> None:
    with pytest.raises(ValueError, match="a user name has no ':'"):
        parse_middleware({"type": "basic", "username": "a:b", "password": SecretText("xyz-1")})


def test_a_password_is_not_written_into_a_pipeline() -> None:
    with pytest.raises(ValueError, match="a secret is not written into the pipeline"):
        parse_middleware({"type": "basic", "username": "me", "password": "literal"})
