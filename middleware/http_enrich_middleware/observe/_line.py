"""Writes an exchange as one line of text, whatever the peer or a row puts into it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from http_enrich_middleware import Redactor, RequestExchange

MAX_CHARACTERS = 1000
"""Of a text in a line; an address may have thousands."""

_encode = msgspec.json.Encoder().encode


class Facts:
    """Collects what is logged of exchanges: *headers* are those that may be shown, in lower case."""

    def __init__(self, redactor: Redactor, headers: Collection[str]) -> None:
        self._redactor, self._headers = redactor, headers

    def of(self, exchange: RequestExchange, elapsed: float) -> dict[str, Any]:
        """Return the facts about *exchange*, which took *elapsed* seconds, by their names in the log."""
        request, response = exchange.request, exchange.response
        facts: dict[str, Any] = {
            # What came out of data may be of any type; that is for the engine to refuse.
            "method": clean(str(request.method)),
            "url": clean(self._redactor.url(str(request.url))),
            "status": exchange.status,
            "error_kind": exchange.error_kind,
            "error": self._text(exchange.error_message),
            "sent": str(exchange.sent),
            "attempts": exchange.attempts,
            "elapsed_ms": round(elapsed * 1000, 3),
            "retry_stop": self._text(exchange.metadata.get("retry.stop")),
            "idempotency_key": self._text(exchange.idempotency_key),
        }
        if self._headers:
            facts["request_headers"] = self._shown(request.headers)
            facts["response_headers"] = self._shown(response.headers if response else {})
        return facts

    def _text(self, text: str | None) -> str | None:
        return None if text is None else clean(self._redactor.text(text))

    def _shown(self, headers: Mapping[str, str]) -> dict[str, str]:
        shown: dict[str, str] = {}
        for name, value in headers.items():
            key = str(name).lower()
            if key in self._headers:
                hidden = self._redactor.headers({key: str(value)})[key]
                # A name that comes more than once is one list (RFC 9110 §5.3).
                shown[key] = clean(f"{shown[key]}, {hidden}" if key in shown else hidden)
        return shown


def as_json(event: str, level: str, now: float, facts: Mapping[str, Any]) -> str:
    """Return one JSON object."""
    time = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    return _encode({"time": time, "level": level, "event": event, **facts}).decode()


def as_text(facts: Mapping[str, Any]) -> str:
    """Return a line for people: the method and the address, then what else there is to say."""
    rest = {**facts, **_flat(facts, "request_headers"), **_flat(facts, "response_headers")}
    method, url = rest.pop("method"), rest.pop("url")
    written = [f"{name}={_value(value)}" for name, value in rest.items() if value is not None]
    return " ".join([_word(method), _word(url), *written])


def clean(text: str) -> str:
    """Return *text* without what could end the line, colour the terminal, or turn the reading direction."""
    if not text.isprintable():
        text = "".join([each if each.isprintable() else _escaped(each) for each in text])
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _flat(facts: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the headers of *facts* as facts by themselves, and nothing in their place."""
    side = key.partition("_")[0]
    return {key: None, **{f"{side}.{name}": value for name, value in facts.get(key, {}).items()}}


def _word(text: str) -> str:
    return text if text.isascii() and " " not in text else _encode(text).decode()


def _value(value: Any) -> str:
    # In quotation marks no value can look like another fact.
    plain = not isinstance(value, str) or value.replace("_", "").isalnum()
    return str(value) if plain else _encode(value).decode()
