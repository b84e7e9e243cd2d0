"""Finds and reads what tries have written down in a run's folder."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from http_enrich_spark.driver._errors import RunError
from http_enrich_spark.driver._files import Folder

T = TypeVar("T", bound=msgspec.Struct)


def numbers(folder: Folder, prefix: str, suffix: str) -> list[int]:
    """Return the numbers of the epochs that have a file of that name in *folder*, in order."""
    names = [name for name in folder.names() if name.startswith(prefix) and name.endswith(suffix)]
    return sorted(int(name[len(prefix) : -len(suffix)]) for name in names)


def read(file: Folder, type: type[T]) -> T | None:
    """Return what *file* holds, None if it is not there; raises `RunError` if it holds something else."""
    text = file.read()
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=type)
    except msgspec.DecodeError as error:
        msg = (
            f"{file} cannot be read ({error}); if another version of HTTP Enrich has written it, go on with "
            "that one, or request everything again with --fresh (resume='never' in Airflow)"
        )
        raise RunError(msg) from error
