"""What must not be seen is not seen, in whatever form it comes."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from http_enrich_middleware import Redactor

SECRET = "canary/7+ä"


@pytest.mark.parametrize(
    "form",
    [SECRET, quote(SECRET, safe=""), base64.b64encode(SECRET.encode()).decode()],
    ids=["plain", "percent-encoded", "Base64"],
)
def test_a_secret_is_found_in_every_usual_form(form: str) -> None:
    assert Redactor([SECRET]).text(f"a {form} b {form}") == "a *** b ***"


@pytest.mark.parametrize(
    "form",
    [
        json.dumps('s3c"ret/ä+')[1:-1],
        json.dumps('s3c"ret/ä+', ensure_ascii=False)[1:-1],
        json.dumps('s3c"ret/ä+').replace("/", "\\/")[1:-1],
        quote('s3c"ret/ä+', safe="").lower(),
        quote_plus('s3c"ret/ä+'),
    ],
    ids=["JSON in ASCII", "JSON", "JSON of PHP", "lower-case percents", "a form"],
)
def test_a_secret_is_found_however_an_api_writes_it(form: str) -> None:
    """Spark would read the secret out of JSON again, into a column."""
    assert Redactor(['s3c"ret/ä+']).answer(f"x {form} y") == "x *** y"


def test_a_text_without_secrets_stays_as_it_is() -> None:
    assert Redactor([SECRET]).text("nothing here") == "nothing here"
    assert Redactor().text(SECRET) == SECRET


def test_a_secret_that_contains_another_leaves_nothing_behind() -> None:
    assert Redactor(["canary", "canary-and-more"]).text("x canary-and-more y canary") == "x *** y ***"


def test_a_secret_of_three_letters_does_not_blot_out_every_text() -> None:
    assert Redactor(["the"]).text("the weather") == "the weather"


def test_a_word_that_says_who_we_are_is_no_hole_in_what_an_api_answers() -> None:
    redactor = Redactor(["canary-7"])
    redactor.add("Iceland", private=True)

    assert redactor.text("Iceland has canary-7") == "*** has ***"
    assert redactor.answer("Iceland has canary-7") == "Iceland has ***"


def test_a_secret_of_digits_leaves_the_numbers_of_an_answer_alone() -> None:
    """JSON without a number would be none."""
    redactor = Redactor(["2024"])

    assert redactor.answer('{"since": 2024, "pin": "2024"}') == '{"since": 2024, "pin": "***"}'
    assert redactor.text("since 2024") == "since ***"


def test_a_secret_can_become_known_later() -> None:
    redactor = Redactor()
    redactor.add("canary-7")

    assert redactor.text("canary-7") == "***"


def test_the_last_two_tokens_of_each_owner_are_hidden() -> None:
    """An answer to a request with the old token may come after the new one has."""
    redactor = Redactor()
    for number in range(4):
        redactor.renew("oauth2", f"token-{number}")
    redactor.renew("jwt", "token-9")

    assert redactor.text("token-0 token-1 token-2 token-3 token-9") == "token-0 token-1 *** *** ***"


def test_an_address_shows_neither_query_values_nor_secrets_in_its_path() -> None:
    shown = Redactor(["canary-7"]).url("https://me:pw@api.test/v1/canary-7/x?key=value#part")

    assert shown == "https://api.test/v1/***/x?***"


def test_some_headers_are_secret_by_their_names() -> None:
    sent = {
        "Authorization": "Basic eA==",
        "proxy-authorization": "x",
        "Cookie": "a=b",
        "Set-Cookie": "a=b",
        "X-API-KEY": "k",
        "X-Note": "with canary-7 inside",
        "Accept": "text/plain",
    }

    assert Redactor(["canary-7"]).headers(sent) == {
        **dict.fromkeys(list(sent)[:5], "***"),
        "X-Note": "with *** inside",
        "Accept": "text/plain",
    }
