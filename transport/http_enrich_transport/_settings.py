"""The base of every configuration model, and the types they are written in."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from ._hints import did_you_mean

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        msg = "expected a number, not true or false"
        raise ValueError(msg)
    return value


def _to_seconds(value: Any) -> Any:
    """Turn `10m` into 600.0; leave everything that is not such a text to pydantic."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        return float(match[1]) * _UNITS[match[2]]
    return _no_bool(value)


Seconds = Annotated[float, BeforeValidator(_to_seconds), Field(ge=0, allow_inf_nan=False)]
"""A duration: a number of seconds, or a text such as `250ms`, `5s`, `10m`, `1h`, `1d`."""

Count = Annotated[int, BeforeValidator(_no_bool), Field(ge=1)]
"""A whole number, one or more."""

Bytes = Annotated[ByteSize, BeforeValidator(_no_bool), Field(ge=1)]
"""A size: a number of bytes, or a text such as `512KiB`, `10MiB`."""


class Settings(BaseModel):
    """Base of every configuration model: immutable, and an unknown key is an error with a hint."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError as error:
            details = [_explained(cls, each) for each in error.errors(include_url=False)]
            raise ValidationError.from_exception_data(cls.__name__, details, hide_input=True) from None


def split_http_url(value: str) -> SplitResult | None:
    """Return the parts of *value* if it is an http or https address with a host, else None."""
    try:
        parts = urlsplit(value)
        complete = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None  # the reason may quote credentials
    return parts if complete else None


def at_key(key: str, value: Any, error: ValueError) -> ValidationError:
    """Return *error* as pydantic's error about the *value* of *key*, so that a loader can find its line."""
    details = InitErrorDetails(type=PydanticCustomError("value_error", str(error)), loc=(key,), input=value)
    return ValidationError.from_exception_data(key, [details], hide_input=True)


def _explained(model: type[Settings], error: ErrorDetails) -> InitErrorDetails:
    message = error["msg"]
    if error["type"] == "extra_forbidden" and len(error["loc"]) == 1:
        message = _unknown_key(model, str(error["loc"][0]))
    if error["type"] == "missing":
        message = "this key is missing"
    # Without a context pydantic takes the text as it is, braces and all.
    return InitErrorDetails(
        type=PydanticCustomError(error["type"], message), loc=error["loc"], input=error["input"]
    )


def _unknown_key(model: type[Settings], key: str) -> str:
    known = sorted(field.alias or name for name, field in model.model_fields.items())
    hint = did_you_mean(key, known, f"known here: {', '.join(known)}")
    return f"unknown key {key!r}; {hint}"
