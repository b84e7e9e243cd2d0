"""Signs requests with a shared secret."""

from __future__ import annotations

import time
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable
from email.utils import formatdate
from hmac import digest
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from http_enrich_middleware import Failure, Middleware, NotSentError, WorkerRuntime
from http_enrich_transport import SecretText, TransportRequest

from ._credentials import AuthConfig, Credentials, HeaderName, Identity, Put, credentials_for, plain, sendable
from ._parts import Facts, HeaderPart, MissingHeaderError, Part, joined
from ._wire import address_of


def _algorithm(value: Any) -> Any:
    if value == "md5":
        msg = "md5 is broken (RFC 6151) and is not offered; ask the API for sha256"
        raise ValueError(msg)
    return value


class Config(AuthConfig):
    """A keyed hash (RFC 2104) of parts of the request, in a header; made anew for each attempt."""

    type: Literal["hmac"] = "hmac"
    secret: SecretText
    secret_encoding: Literal["text", "base64", "hex"] = "text"  # noqa: S105 - how a secret is written is none
    """How the secret is written; `text` is taken as UTF-8."""
    parts: list[Part] = Field(min_length=1)
    """What is signed, in this order."""
    separator: str = "\n"
    """What stands between the parts."""
    algorithm: Annotated[
        Literal["sha256", "sha384", "sha512", "sha1"],
        BeforeValidator(_algorithm),
    ] = "sha256"
    """SHA-1 is there for old APIs; as a part of HMAC it is not broken, and still nothing to start with."""
    encoding: Literal["hex", "base64", "base64url"] = "hex"
    """How the signature is written; the forms of Base64 keep their padding (RFC 4648)."""
    header: HeaderName = "X-Signature"
    prefix: str = Field(default="", pattern=r"^[ -~]*$")
    """What stands before the signature, such as `sha256=`."""
    timestamp_header: HeaderName | None = None
    timestamp_format: Literal["seconds", "milliseconds", "iso8601", "http_date"] = "seconds"
    """Since 1970; or `2026-05-31T09:30:00Z`; or the form of RFC 9110 §5.6.7."""
    nonce_header: HeaderName | None = None
    """Gets 32 hexadecimal digits that no other request has."""
    key_id: Identity | None = None
    key_id_header: HeaderName | None = None

    @model_validator(mode="after")
    def _sends_what_it_signs(self) -> Self:
        for word, header in (("timestamp", self.timestamp_header), ("nonce", self.nonce_header)):
            if word in self.parts and header is None:
                msg = f"the {word} is signed and not sent; set {word}_header, or the server cannot check it"
                raise ValueError(msg)
        if (self.key_id is None) != (self.key_id_header is None):
            msg = "key_id and key_id_header need each other"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _names_each_header_once(self) -> Self:
        own = [self.header, self.timestamp_header, self.nonce_header, self.key_id_header]
        names = [name.lower() for name in own if name is not None]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            msg = f"the header {twice.pop()!r} cannot carry two things"
            raise ValueError(msg)
        if any(isinstance(part, HeaderPart) and part.header.lower() == names[0] for part in self.parts):
            msg = f"the header {self.header!r} carries the signature, and cannot be a part of it"
            raise ValueError(msg)
        return self


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps no state. Raises `ValueError` for a secret that is not what it says."""
    origin = credentials_for(config, runtime)
    put = _signer(config, runtime)
    own = [config.header, config.timestamp_header, config.nonce_header, config.key_id_header]
    credentials = Credentials(*filter(None, own))

    return credentials.step(origin, put)


def _signer(config: Config, runtime: WorkerRuntime) -> Put:
    """Return a function that signs a request."""
    secret = _secret(config)
    runtime.redactor.add(config.secret.get_secret_value())
    message = joined(config.parts, config.separator)
    algorithm, prefix, header = config.algorithm, config.prefix, config.header
    encode, stamp = _ENCODINGS[config.encoding], _STAMPS[config.timestamp_format]
    timestamp_header, nonce_header = config.timestamp_header, config.nonce_header
    fixed = _key_id(config)

    def sign(request: TransportRequest) -> None:
        timestamp = nonce = ""
        headers, address = request.headers, address_of(request.url)
        headers.update(fixed)
        if timestamp_header:
            timestamp = headers[timestamp_header] = stamp(runtime.now())
        if nonce_header:
            nonce = headers[nonce_header] = runtime.token()
        request.url = address.url
        facts = Facts(request.method, address, headers, request.body or b"", timestamp, nonce)
        try:
            signed = message(facts)
        except MissingHeaderError as error:
            what = f"the header {error} is to be signed, and the request has none; set it in endpoint.headers"
            raise NotSentError(Failure("invalid_request", what)) from None
        headers[header] = prefix + encode(digest(secret, signed, algorithm))

    return sign


def _key_id(config: Config) -> dict[str, str]:
    if config.key_id is None or config.key_id_header is None:
        return {}
    return {config.key_id_header: sendable(plain(config.key_id), "the key_id")}


def _secret(config: Config) -> bytes:
    try:
        return _SECRETS[config.secret_encoding](config.secret.get_secret_value())
    except ValueError:
        # The reason may quote what was wrong with it.
        msg = f"the secret is no {config.secret_encoding}; look at secret_encoding"
        raise ValueError(msg) from None


_SECRETS: dict[str, Callable[[str], bytes]] = {
    "text": str.encode,
    "base64": lambda text: b64decode(text, validate=True),
    "hex": bytes.fromhex,
}

_ENCODINGS: dict[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "base64": lambda signature: b64encode(signature).decode(),
    "base64url": lambda signature: urlsafe_b64encode(signature).decode(),
}

_STAMPS: dict[str, Callable[[float], str]] = {
    "seconds": lambda now: str(int(now)),
    "milliseconds": lambda now: str(int(now * 1000)),
    "iso8601": lambda now: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
    "http_date": lambda now: formatdate(now, usegmt=True),
}
