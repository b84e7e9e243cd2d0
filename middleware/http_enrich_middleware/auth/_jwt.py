"""Signs JSON Web Tokens."""

from __future__ import annotations

import warnings
from secrets import token_urlsafe
from typing import Any, Literal

from ._token_endpoint import MissingExtraError

Algorithm = Literal[
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "HS256",
    "HS384",
    "HS512",
]
"""RFC 7518 §3.1, without `none`."""

_KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "HS": "oct"}


class Signer:
    """
    Signs *claims* and the time, each time with another `jti`.

    Raises `MissingExtraError` without joserfc, and `ValueError` if *key* does not fit *algorithm*.
    """

    def __init__(
        self,
        name: str,
        algorithm: Algorithm,
        key: str,
        key_id: str | None,
        claims: dict[str, Any],
        lifetime: int,
    ) -> None:
        try:
            from joserfc import jwk, jwt
        except ImportError as error:
            raise MissingExtraError(name, error) from error
        self._encode = jwt.encode
        self._header = {"alg": algorithm, **({"kid": key_id} if key_id is not None else {})}
        self._claims, self._lifetime = claims, lifetime
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # joserfc only warns of keys that are too short
                self._key = jwk.JWKRegistry.import_key(_lines(key), _KEY_TYPES[algorithm[:2]])
                self.sign(0.0)
        except Exception:  # noqa: BLE001 - of whatever library below; its text may quote the key
            kind = "secret" if algorithm.startswith("HS") else "private_key"
            msg = f"{kind}: it is no key for {algorithm}, or too short for it"
            raise ValueError(msg) from None

    def sign(self, now: float) -> str:
        """Return a JWT that is good from *now*, in seconds since 1970, for its lifetime."""
        issued = int(now)
        times = {"iat": issued, "exp": issued + self._lifetime, "jti": token_urlsafe(16)}
        return self._encode(self._header, {**self._claims, **times}, self._key, [self._header["alg"]])


def _lines(key: str) -> str:
    """Undo what environment variables and JSON do to the line ends of a PEM."""
    return key.replace("\\n", "\n") if key.startswith("-----BEGIN") else key
