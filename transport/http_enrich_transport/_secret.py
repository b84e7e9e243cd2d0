"""The type of a value that must never be seen."""

from __future__ import annotations

from typing import Any

from pydantic import GetCoreSchemaHandler, Secret, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

RESOLVED = {"resolved": True}
"""Validation context of a pipeline whose interpolations are done."""


class SecretText(Secret[str]):
    """
    A text whose `repr`, `str` and log form is `***`; read it with `get_secret_value()`.

    In a pipeline it can only come out of an interpolation such as
    `${conn.my_api.password}`: a secret written down literally is refused.
    """

    def _display(self) -> str:
        return "***"

    def __repr__(self) -> str:
        return "***"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(_validate)


class PrivateText(SecretText):
    """
    A secret that says who somebody is, and opens nothing: a login, say.

    It may be any word, so it is hidden in what we say, but not taken out of what an API answers.
    """


def _validate(value: Any, info: ValidationInfo) -> SecretText:
    if isinstance(value, str) and info.context == RESOLVED:
        value = SecretText(value)
    if isinstance(value, SecretText):
        if not value.get_secret_value():
            msg = "this secret is empty"
            raise ValueError(msg)
        return value
    # The value itself must not be echoed, so the message names the remedy only.
    remedy = "a secret is not written into the pipeline; use ${conn.ID.password}, ${env.NAME} or ${file.PATH}"
    raise PydanticCustomError("literal_secret", remedy)
