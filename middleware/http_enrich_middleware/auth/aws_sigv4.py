"""Signs requests to AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from http_enrich_middleware import Middleware, WorkerRuntime
from http_enrich_transport import SecretText, TransportRequest

from ._credentials import AuthConfig, Credentials, Identity, credentials_for, plain, sendable
from ._wire import address_of

if TYPE_CHECKING:
    from ._sigv4 import Signer


class Config(AuthConfig):
    """Signature Version 4 of AWS, in the header `Authorization`; made anew for each attempt."""

    type: Literal["aws_sigv4"] = "aws_sigv4"
    region: str = Field(min_length=1)
    """Such as `eu-west-1`."""
    service: str = Field(min_length=1)
    """The name that the service signs with, such as `execute-api`, `lambda`, `s3`, `es`, `bedrock`."""
    access_key_id: Identity
    secret_access_key: SecretText
    session_token: SecretText | None = None
    """For temporary credentials; they are not renewed, so the run has to end before they do."""
    unsigned_payload: bool = False
    """Leave the body out, for services that allow it; over http it is signed all the same."""


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """
    Build the middleware; it keeps no state.

    Raises `ImportError` without botocore, and `ValueError` for credentials that
    no header can carry.
    """
    origin = credentials_for(config, runtime)
    signer = _signer(config, runtime)
    credentials = Credentials(*signer.names)

    def put(request: TransportRequest) -> None:
        request.url = address_of(request.url).url
        signer.sign(request)

    return credentials.step(origin, put)


def _signer(config: Config, runtime: WorkerRuntime) -> Signer:
    try:
        from botocore import credentials

        from ._sigv4 import Signer
    except ModuleNotFoundError as error:
        msg = (
            "aws_sigv4 needs botocore on the driver and on the executors: "
            "install airflow-provider-http-enrich-spark[aws]"
        )
        raise ImportError(msg, name=error.name) from error
    secret = config.secret_access_key.get_secret_value()
    token = config.session_token.get_secret_value() if config.session_token else None
    runtime.redactor.add(secret, *([sendable(token, "session_token")] if token else []))
    return Signer(
        credentials.Credentials(sendable(plain(config.access_key_id), "access_key_id"), secret, token),
        config.service,
        config.region,
        now=runtime.now,
        unsigned_payload=config.unsigned_payload,
    )
