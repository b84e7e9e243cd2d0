"""Turns a document into a checked `PipelineConfig`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from http_enrich_middleware import advice
from http_enrich_transport import RESOLVED, SecretText

from ._interpolate import RunInfo, Scope, interpolate, row_allowed, unknown_variable, with_secrets
from ._pipeline import PipelineConfig
from ._problems import Path, PipelineError, Problem
from ._references import Reference, references, walk
from ._template import Template
from ._yaml import Document, read_document

Source = str | FilePath | Mapping[str, Any] | Document


def check_pipeline(source: Source, *, variables: Mapping[str, Any] | None = None) -> Document:
    """
    Check everything about a pipeline that can be known without its run.

    Placeholders are taken on trust: a value that contains one is not judged.
    With *variables* their names are checked. Raises `PipelineError`; what is
    only odd is found in the document's `warnings`.
    """
    document = source if isinstance(source, Document) else read_document(source)
    problems = _check_references(document, variables)
    try:
        document.warnings = _warnings(document, PipelineConfig.model_validate(with_secrets(document.data)))
    except ValidationError as error:
        problems += [
            _problem(document, each)
            for each in error.errors(include_url=False)
            if not _holds_placeholder(each["input"])
        ]
    if problems:
        raise _refusal(document, problems)
    return document


def load_pipeline(
    source: Source,
    *,
    variables: Mapping[str, Any] | None = None,
    run: RunInfo | None = None,
    environ: Mapping[str, str] | None = None,
) -> PipelineConfig:
    """
    Read, check and fill in a pipeline.

    Connections and `${env.…}` come from *environ* (default: this process's),
    where a connection is a variable `AIRFLOW_CONN_ID`. Raises `PipelineError`.
    """
    document = check_pipeline(source, variables=variables or {})
    scope = Scope(variables or {}, run or RunInfo(), os.environ if environ is None else environ)
    data, problems = interpolate(document, scope)
    if problems:
        raise _refusal(document, problems)
    try:
        config = PipelineConfig.model_validate(data, context=RESOLVED)
    except ValidationError as error:
        # pydantic's own error quotes values, which may be secret by now.
        raise _refusal(document, [_problem(document, each) for each in error.errors()]) from None
    config._apart = _apart(document, variables or {})
    return config


def _apart(document: Document, variables: Mapping[str, Any]) -> str:
    sinks = [document.data.get(key) for key in ("sink", "errors")]
    found = {each.name for _, text in walk(sinks) for each in references(text) if each.namespace == "var"}
    given = {name: variables[name] for name in sorted(found)}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    return " ".join(f"{name}={text}" for name, text in texts.items())


def _warnings(document: Document, config: PipelineConfig) -> list[Problem]:
    found = advice(config.middleware, config.endpoint.method)
    return [document.problem(("middleware", each.position), each.message) for each in found]


def _refusal(document: Document, problems: list[Problem]) -> PipelineError:
    # Where several types are allowed, each of them has complained.
    return PipelineError(document.name, list(dict.fromkeys(problems)))


def _check_references(document: Document, variables: Mapping[str, Any] | None) -> list[Problem]:
    problems = []
    for path, text in walk(document.data):
        try:
            found = references(text)
        except ValueError as error:
            problems.append(document.problem(path, str(error)))
            continue
        if "{{" in text and not row_allowed(path):
            jinja = "Jinja works in the operator's variables only; write ${run.date} or ${var.NAME} here"
            problems.append(document.problem(path, jinja))
        problems += [
            document.problem(path, message)
            for message in (_complaint(each, path, variables) for each in found)
            if message
        ]
    return problems


def _complaint(reference: Reference, path: Path, variables: Mapping[str, Any] | None) -> str | None:
    if reference.namespace == "row" and not row_allowed(path):
        return f"{reference.text} cannot stand here, only in endpoint.path, params, headers, json, form, body"
    if reference.namespace == "var" and variables is not None and reference.name not in variables:
        return unknown_variable(reference.name, variables)
    return None


def _holds_placeholder(value: Any) -> bool:
    """Say whether *value* is a text that says something else once it is filled in."""
    if not isinstance(value, str):
        return False
    try:
        return bool(references(value))
    except ValueError:
        return True  # complained about already


def _problem(document: Document, error: ErrorDetails) -> Problem:
    message = error["msg"].removeprefix("Value error, ")
    if _is_secret(error["input"]) and error["type"] != "value_error":
        message = "a secret (${conn.…}, ${file.…}) must not be used here: this value is shown in logs"
    return document.problem(_known_part(document.data, error["loc"]), message)


def _is_secret(value: Any) -> bool:
    return isinstance(value, SecretText) or (isinstance(value, Template) and value.secret)


def _known_part(data: Any, location: tuple[int | str, ...]) -> Path:
    """Drop from pydantic's *location* what names a type rather than a key, but keep a missing last key."""
    path: list[str | int] = []
    for index, part in enumerate(location):
        if _has(data, part):
            data = data[part]
        elif index < len(location) - 1 or not isinstance(data, Mapping):
            continue
        path.append(part)
    return tuple(path)


def _has(data: Any, part: int | str) -> bool:
    if isinstance(data, list):
        return isinstance(part, int) and part < len(data)
    return isinstance(data, Mapping) and part in data
