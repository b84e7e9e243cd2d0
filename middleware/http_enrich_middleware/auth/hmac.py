"""Signs every request with a shared secret."""

from __future__ import annotations

import binascii
import hashlib
import hmac as hmac_library
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from secrets import token_hex
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from http_enrich_middleware import Handler, Middleware, RequestExchange, WorkerRuntime
from http_enrich_transport import SecretText, Settings, TransportRequest

from ._credentials import AuthConfig, credentials_for, header_name

Header = Annotated[str, AfterValidator(header_name)]
Named = Literal[
    "method",
    "host",
    "path",
    "query",
    "path_and_query",
    "url",
    "timestamp",
    "nonce",
    "body",
    "body_sha256",
]


class HeaderPart(Settings):
    """The value of a header of the request."""

    header: Header


class TextPart(Settings):
    """A text that is always the same, such as a version."""

    text: str


class Config(AuthConfig):
    """An HMAC (RFC 2104) over parts of the request, in the order that the API asks for."""

    type: Literal["hmac"] = "hmac"
    secret: SecretText
    secret_encoding: Literal["text", "hex", "base64"] = "text"  # noqa: S105 - how it is written, not what it is
    parts: Annotated[list[Named | HeaderPart | TextPart], Field(min_length=1)]
    separator: str = "\n"
    algorithm: Literal["sha256", "sha384", "sha512", "sha1"] = "sha256"
    encoding: Literal["hex", "base64", "base64url"] = "hex"
    header: Header = "X-Signature"
    prefix: str = ""
    """Text before the signature, such as `sha256=`."""
    timestamp_header: Header | None = None
    timestamp_format: Literal["seconds", "milliseconds", "iso8601", "http_date"] = "seconds"
    nonce_header: Header | None = None
    """A random text of 32 hexadecimal digits, another one for each attempt."""
    key_id: SecretText | str | None = None
    key_id_header: Header = "X-Key-Id"

    @model_validator(mode="after")
    def _the_api_can_check_it(self) -> Self:
        for part, header in (("timestamp", self.timestamp_header), ("nonce", self.nonce_header)):
            if part in self.parts and header is None:
                msg = f"the API cannot check a signed {part} that it is not sent; set {part}_header"
                raise ValueError(msg)
        return self


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps no state. Each attempt is signed anew."""
    origin = credentials_for(config, runtime)
    runtime.redactor.add(config.secret.get_secret_value())
    sign = _signer(config)
    stamp = _STAMPS[config.timestamp_format]

    async def hmac(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        request = exchange.request
        if origin.covers(request.url):
            drawn = {"timestamp": stamp(runtime.now()), "nonce": token_hex(16)}
            _announce(request.headers, config, drawn)
            request.headers[config.header] = config.prefix + sign(request, drawn)
        return await call_next(exchange)

    return hmac


def _announce(headers: dict[str, str], config: Config, drawn: dict[str, str]) -> None:
    """Tell the API what it cannot know by itself."""
    if config.timestamp_header is not None:
        headers[config.timestamp_header] = drawn["timestamp"]
    if config.nonce_header is not None:
        headers[config.nonce_header] = drawn["nonce"]
    if config.key_id is not None:
        known = config.key_id
        headers[config.key_id_header] = known.get_secret_value() if isinstance(known, SecretText) else known


def _signer(config: Config) -> Callable[[TransportRequest, dict[str, str]], str]:
    key, algorithm = _key(config), config.algorithm
    encode = _ENCODINGS[config.encoding]
    separator = config.separator.encode()

    def sign(request: TransportRequest, drawn: dict[str, str]) -> str:
        message = separator.join([_part(part, request, drawn) for part in config.parts])
        return encode(hmac_library.digest(key, message, algorithm))

    return sign


def _key(config: Config) -> bytes:
    text = config.secret.get_secret_value()
    try:
        return _DECODINGS[config.secret_encoding](text)
    except (ValueError, binascii.Error):
        msg = f"the secret is not written in {config.secret_encoding}; see secret_encoding"
        raise ValueError(msg) from None


def _part(part: Named | HeaderPart | TextPart, request: TransportRequest, drawn: dict[str, str]) -> bytes:
    if isinstance(part, TextPart):
        return part.text.encode()
    if isinstance(part, HeaderPart):
        wanted = part.header.lower()
        return next((value for name, value in request.headers.items() if name.lower() == wanted), "").encode()
    if part in drawn:
        return drawn[part].encode()
    return _PARTS[part](request)


def _path_and_query(request: TransportRequest) -> str:
    url = urlsplit(request.url)
    return (url.path or "/") + (f"?{url.query}" if url.query else "")


_PARTS: dict[str, Callable[[TransportRequest], bytes]] = {
    "method": lambda request: request.method.encode(),
    "host": lambda request: urlsplit(request.url).netloc.rpartition("@")[2].encode(),
    "path": lambda request: (urlsplit(request.url).path or "/").encode(),
    "query": lambda request: urlsplit(request.url).query.encode(),
    "path_and_query": lambda request: _path_and_query(request).encode(),
    "url": lambda request: request.url.encode(),
    "body": lambda request: request.body or b"",
    "body_sha256": lambda request: hashlib.sha256(request.body or b"").hexdigest().encode(),
}
_DECODINGS: dict[str, Callable[[str], bytes]] = {
    "text": lambda text: text.encode(),
    "hex": bytes.fromhex,
    "base64": lambda text: b64decode(text, validate=True),
}
_STAMPS: dict[str, Callable[[float], str]] = {
    "seconds": lambda now: str(int(now)),
    "milliseconds": lambda now: str(int(now * 1000)),
    "iso8601": lambda now: datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "http_date": lambda now: formatdate(now, usegmt=True),
}
_ENCODINGS: dict[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "base64": lambda digest: b64encode(digest).decode(),
    "base64url": lambda digest: urlsafe_b64encode(digest).decode().rstrip("="),
}
