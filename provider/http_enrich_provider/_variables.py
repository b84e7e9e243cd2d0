"""Makes the operator's variables fit for a JSON file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException


def plain_variables(variables: Any) -> dict[str, Any]:
    """
    Return *variables* as texts, numbers, booleans, lists and mappings.

    Paths and dates, as native rendering and other tasks give them, become
    texts. Raises `AirflowFailException` for what has no one form.
    """
    if not isinstance(variables, Mapping):
        msg = f"variables became a {type(variables).__name__}; give a mapping such as {{'name': 'value'}}"
        raise AirflowFailException(msg)
    return {str(name): _plain(value, str(name)) for name, value in variables.items()}


def _plain(value: Any, name: str) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, name) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, name) for item in value]
    msg = f"variables[{name!r}] is a {type(value).__name__}; give a text, a number, a list or a mapping"
    raise AirflowFailException(msg)
