"""The model of the request that a row becomes."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_serializer, field_validator, model_validator

from http_enrich_transport import ENGINE_HEADERS, RESOLVED, Settings, is_token, split_http_url

from ._template import Template, as_json_template

_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "x-api-key"})
"""Headers, in lower case, that hold a secret whatever they say."""


def _base_url(value: str) -> str:
    parts = split_http_url(value)
    if parts is None or not value.isprintable() or " " in value:
        msg = "expected an address such as https://api.example.com (of a connection: https://${conn.ID.host})"
        raise ValueError(msg)
    if "@" in parts.netloc:
        msg = "credentials do not belong into the address; use an auth middleware"
        raise ValueError(msg)
    if "?" in value or "#" in value:
        msg = "no query or fragment here; use endpoint.params"
        raise ValueError(msg)
    return value.rstrip("/")


def _seen(path: Template) -> Template:
    if path.secret:
        msg = "a secret (${conn.…}, ${file.…}) must not be used here: paths are shown; use headers or params"
        raise ValueError(msg)
    return path


def _header_name(name: str) -> str:
    if not is_token(name):
        msg = f"{name!r} is not a header name"
        raise ValueError(msg)
    if name.lower() in ENGINE_HEADERS:
        msg = f"{name!r} is written by the HTTP engine and cannot be set"
        raise ValueError(msg)
    return name


class EndpointConfig(Settings):
    """The request that each row becomes."""

    base_url: Annotated[str, AfterValidator(_base_url)]
    """Scheme, host and port; no row can change them."""
    method: Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: Annotated[Template, AfterValidator(_seen)] = Template("/")
    params: dict[str, Template] = {}
    headers: dict[Annotated[str, AfterValidator(_header_name)], Template] = {}
    json_: Annotated[Any, AfterValidator(as_json_template)] = Field(default=None, alias="json")
    form: dict[str, Template] | None = None
    body: Template | None = None

    @field_serializer("json_")
    def _json_for_people(self, value: Any) -> str:
        return repr(value)

    @model_validator(mode="after")
    def _has_one_body(self) -> Self:
        if sum(each is not None for each in (self.json_, self.form, self.body)) > 1:
            msg = "give at most one of json, form and body"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _has_a_path(self) -> Self:
        start = self.path.parts[0] if self.path.parts else ""
        if isinstance(start, str) and not start.startswith("/"):
            msg = "path must start with '/'"
            raise ValueError(msg)
        if any(isinstance(part, str) and ("?" in part or "#" in part) for part in self.path.parts):
            msg = "path has no '?' and no '#'; write the query into endpoint.params"
            raise ValueError(msg)
        return self

    @field_validator("headers")
    @classmethod
    def _has_no_written_secret(
        cls, headers: dict[str, Template], info: ValidationInfo
    ) -> dict[str, Template]:
        for name, value in headers.items():
            if name.lower() in _CREDENTIALS and value.written_down and info.context != RESOLVED:
                msg = (
                    f"{name}: a secret is not written into the pipeline; use ${{conn.ID.password}}, "
                    "${env.NAME} or ${file.PATH}"
                )
                raise ValueError(msg)
        return headers

    @model_validator(mode="after")
    def _names_each_header_once(self) -> Self:
        names = [name.lower() for name in self.headers]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            msg = f"the header {twice.pop()!r} is given twice"
            raise ValueError(msg)
        return self
