"""Signature Version 4 of AWS as botocore makes it; botocore is heavy, so this is imported late."""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from botocore.auth import SIGV4_TIMESTAMP, UNSIGNED_PAYLOAD, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from http_enrich_transport import TransportRequest

_UNRESERVED = "-_.~"
_AS_IT_IS = frozenset({"s3", "s3-outposts", "s3-object-lambda"})
"""Services that take the path as it is, where others tidy it up and encode it once more."""
_ANNOUNCED = _AS_IT_IS | {"aoss"}
"""Services that want the hash of the body in a header of its own."""


class Signer(SigV4Auth):  # type: ignore[misc]
    """
    Signs a request for *service* in *region*.

    Where botocore asks the system for the time and writes what it signs to its
    debug log, session token included, this one is handed its clock and is silent.
    """

    def __init__(
        self,
        credentials: Credentials,
        service: str,
        region: str,
        *,
        now: Callable[[], float],
        unsigned_payload: bool,
    ) -> None:
        super().__init__(credentials, service, region)
        self._now, self._unsigned = now, unsigned_payload
        self._as_it_is = service in _AS_IT_IS
        self._announced = service in _ANNOUNCED or unsigned_payload
        self.names = ["Authorization", "X-Amz-Date", "Date"]
        """The headers that belong to the signature; a request to be signed has none of them."""
        self.names += ["X-Amz-Security-Token"] if credentials.token else []
        self.names += ["X-Amz-Content-SHA256"] if self._announced else []

    def sign(self, request: TransportRequest) -> None:
        """Put the signature into *request*, which must not be changed any more."""
        aws = AWSRequest(request.method, request.url, request.headers, request.body)
        self.add_auth(aws)
        request.headers.update({name: aws.headers[name] for name in self.names if name in aws.headers})

    def add_auth(self, request: Any) -> None:
        """Do what botocore's method of this name does."""
        request.context["timestamp"] = time.strftime(SIGV4_TIMESTAMP, time.gmtime(self._now()))
        self._modify_request_before_signing(request)
        if self._announced:
            request.headers["X-Amz-Content-SHA256"] = self.payload(request)
        text = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(text, request))

    def payload(self, request: Any) -> str:
        """Return the hash of the body, or what stands in for it."""
        # Without TLS nothing else keeps the body from being changed on its way.
        if self._unsigned and request.url.startswith("https:"):
            return str(UNSIGNED_PAYLOAD)
        return sha256(request.data or b"").hexdigest()

    def canonical_query_string(self, request: Any) -> str:
        """Write each name and value in the one way that AWS does before it compares."""
        pairs = [pair.partition("=") for pair in request.url.partition("?")[2].split("&") if pair]
        written = sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
        return "&".join(f"{name}={value}" for name, value in written)

    def _normalize_url_path(self, path: str) -> str:
        if self._as_it_is:
            return _encoded(path or "/", safe=f"/{_UNRESERVED}")
        return str(super()._normalize_url_path(path))


def _encoded(text: str, safe: str = _UNRESERVED) -> str:
    return quote(unquote_to_bytes(text), safe=safe)
