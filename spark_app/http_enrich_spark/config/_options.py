"""The options of Spark's readers and writers, and which of them may hold a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from http_enrich_transport import RESOLVED, SecretText

from ._template import as_text

_SECRET_NAME = re.compile(r"password|passwd|passphrase|secret|token", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(password|passwd|pwd)=|//[^/?]*@", re.IGNORECASE)
_SHOWN = {"dbtable", "query", "preparequery"}
"""Options, in lower case, that stand in Spark's plans."""


def _option(value: str | int | float | bool | SecretText, info: ValidationInfo) -> object:
    if isinstance(value, SecretText) and info.data.get("format") != "jdbc":
        msg = (
            "a secret (${conn.…}, ${file.…}) must not be used here: this value is shown in logs; "
            "only format jdbc can hide its options"
        )
        raise ValueError(msg)
    return value


Option = Annotated[str | int | float | bool | SecretText, AfterValidator(_option)]
Options = dict[str, Option]


def hidden(options: Options, info: ValidationInfo) -> Options:
    """
    Return the *options* of a database with everything secret that is so by its name.

    Raises `ValueError` for a secret that is written down, or that would be shown.
    """
    if info.data.get("format") != "jdbc":
        return options
    for name, value in options.items():
        _check(name, value, resolved=info.context == RESOLVED)
    return {
        name: SecretText(str(value)) if _is_secret(name, value) else value for name, value in options.items()
    }


def option_of(options: Mapping[str, object], name: str) -> object:
    """Return the option of that *name*, which Spark finds however it is spelled; None if there is none."""
    return next((value for given, value in options.items() if given.lower() == name), None)


def plain_options(options: Mapping[str, object]) -> dict[str, str]:
    """Return *options* as Spark takes them, with their secrets."""
    return {name: _text(value) for name, value in options.items()}


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretText) else as_text(value)


def _check(name: str, value: object, *, resolved: bool) -> None:
    if isinstance(value, SecretText):
        if name.lower() in _SHOWN:
            msg = f"{name}: a secret (${{conn.…}}, ${{file.…}}) must not be used here: Spark shows queries"
            raise ValueError(msg)
        return
    if name.lower() == "url" and _CREDENTIALS.search(str(value)):
        msg = "url: credentials do not belong into the address; give them as the options user and password"
        raise ValueError(msg)
    if not resolved and _SECRET_NAME.search(name) and "${" not in str(value):
        msg = f"{name}: a secret is not written into the pipeline; use ${{conn.ID.password}} or ${{env.NAME}}"
        raise ValueError(msg)


def _is_secret(name: str, value: object) -> bool:
    return isinstance(value, str) and bool(_SECRET_NAME.search(name))
