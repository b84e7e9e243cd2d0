"""What every kind of credentials has in common: whom they are for."""

from __future__ import annotations

from http_enrich_middleware import MiddlewareConfig, Origin, OriginName, WorkerRuntime
from http_enrich_transport import ENGINE_HEADERS, is_token


def header_name(name: str) -> str:
    """Return *name* if it can name a header that is ours to set; raises `ValueError`."""
    if not is_token(name) or name.lower() in ENGINE_HEADERS:
        msg = f"{name!r} is not the name of a header that can be set"
        raise ValueError(msg)
    return name


class AuthConfig(MiddlewareConfig):
    """Credentials are sent to one origin, and to no other, wherever redirects lead."""

    origin: OriginName | None = None
    """Default: that of `endpoint.base_url`."""


def credentials_for(config: AuthConfig, runtime: WorkerRuntime) -> Origin:
    """Return the origin that *config*'s credentials are for; raises `ValueError` if it is unknown."""
    origin = Origin(config.origin or runtime.base_url)
    if not origin.name:
        msg = f"{config.type} does not know whom its credentials are for; give it an origin"
        raise ValueError(msg)
    return origin
