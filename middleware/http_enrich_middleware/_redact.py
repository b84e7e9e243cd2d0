"""The one place that hides secrets: whatever leaves a worker as text goes through here."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

from http_enrich_transport import redact_url

HIDDEN = "***"

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"})
"""Headers, in lower case, whose values are never shown, known secret or not."""

MIN_LENGTH = 4
"""Characters; a shorter secret would blot out half of every text, and guard little."""


class Redactor:
    """
    Knows the secrets of a worker and takes them out of texts.

    A secret is found as it is, percent-encoded and in Base64. Tokens that are
    renewed are remembered by who renews them, the last two of each.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._static: dict[str, None] = {}
        self._private: dict[str, None] = {}
        self._renewed: dict[str, list[str]] = {}
        self._forms: tuple[str, ...] = ()
        self._in_answers: tuple[tuple[str, str], ...] = ()
        self.add(*secrets)

    def add(self, *secrets: str, private: bool = False) -> None:
        """Hide *secrets* from now on; *private* ones open nothing, and stay in what an API answers."""
        (self._private if private else self._static).update(dict.fromkeys(secrets))
        self._collect()

    def renew(self, owner: str, secret: str) -> None:
        """Hide *secret*, which replaces what *owner* had until now; the one before it stays hidden."""
        self._renewed[owner] = [*self._renewed.get(owner, [])[-1:], secret]
        self._collect()

    def text(self, text: str) -> str:
        """Return *text* with `***` for every secret in it."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        return text

    def answer(self, text: str) -> str:
        """
        Return what an API has answered with `***` for every secret in it, and no hole beside.

        What is private may be any word. A secret of digits may be any number, and JSON would be none without
        it, so it is taken out where it is a whole text.
        """
        for form, instead in self._in_answers:
            if form in text:
                text = text.replace(form, instead)
        return text

    def url(self, url: str) -> str:
        """Return *url* without user info, query values, fragment and secrets."""
        return self.text(redact_url(url))

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return *headers* with `***` for what is secret by its name, or contains a secret."""
        return {
            name: HIDDEN if name.lower() in SECRET_HEADERS else self.text(value)
            for name, value in headers.items()
        }

    def _collect(self) -> None:
        known = [*self._static, *(each for renewed in self._renewed.values() for each in renewed)]
        self._forms = _forms([*known, *self._private])
        self._in_answers = tuple(
            (f'"{form}"', f'"{HIDDEN}"') if form.isdecimal() else (form, HIDDEN) for form in _forms(known)
        )


def _forms(secrets: Iterable[str]) -> tuple[str, ...]:
    forms = {form for secret in secrets if len(secret) >= MIN_LENGTH for form in secret_forms(secret)}
    # A secret that contains another one goes first, else its rest would stay.
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def secret_forms(secret: str) -> set[str]:
    """Return the texts as which *secret* may show up: as it is, in an address, a form or JSON, in Base64."""
    raw = secret.encode("utf-8", "surrogatepass")
    encoded = {quote(raw, safe=""), quote_plus(raw)}
    lower = {_ESCAPE.sub(lambda match: match[0].lower(), each) for each in encoded}
    escaped = {json.dumps(secret, ensure_ascii=ascii)[1:-1] for ascii in (True, False)}
    # PHP and others escape slashes, too.
    slashed = {each.replace("/", "\\/") for each in escaped}
    return {secret, *encoded, *lower, *escaped, *slashed, b64encode(raw).decode()}


_ESCAPE = re.compile("%[0-9A-F]{2}")
