"""Reads YAML into plain values and remembers where each of them stood."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any, NoReturn

import yaml

from ._problems import Path, PipelineError, Problem

MAX_BYTES = 256 * 1024
"""A pipeline is some forty lines; a larger file is a mistake or an attack on the scheduler."""

MAX_DEPTH = 50
MAX_EVENTS = 10_000


class Document:
    """The values of a pipeline, its text if it has one, and the line and column of every key."""

    def __init__(self, name: str, data: Any, text: str | None = None) -> None:
        self.name = name
        self.data = data
        self.text = text
        self.places: dict[Path, tuple[int, int]] = {}
        self.warnings: list[Problem] = []
        """What is allowed, and probably not meant; known once the document was checked."""

    def problem(self, path: Path, message: str) -> Problem:
        """Say *message* about the value at *path*, or about its nearest parent that has a place."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.places:
                return Problem(*self.places[path[:end]], path, message)
        return Problem(0, 0, path, message)


class _Loader(yaml.CSafeLoader):
    """Safe YAML with the scalars of YAML 1.2: `NO` is a text, `012` is no octal, dates stay texts."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}


for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?(?:0|[1-9]\d*)$", list("-+0123456789")),
    ("float", r"^[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][-+]?\d+)?$", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def read_document(source: str | FilePath | Mapping[str, Any], *, name: str | None = None) -> Document:
    """
    Read a pipeline from a file, from YAML text (with *name*) or from a mapping.

    Raises `PipelineError` for what is not plain YAML: bad syntax, duplicate
    keys, aliases, tags, deep nesting, more than 256 KiB.
    """
    if isinstance(source, Mapping):
        _refuse_depth(source, name or "pipeline")
        return Document(name or "pipeline", dict(source))
    if isinstance(source, FilePath):
        return _parse(_read(source), name or str(source))
    return _parse(source, name or "pipeline")


def _read(file: FilePath) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        # What is too large is cut, perhaps within a character, and refused by its size later.
        return content.decode(errors="replace" if len(content) > MAX_BYTES else "strict")
    except OSError as error:
        reason = f"cannot be read: {error.strerror}; check the path"
        raise PipelineError(str(file), [Problem(0, 0, (), reason)]) from None
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 (byte {error.start}); save it as UTF-8"
        raise PipelineError(str(file), [Problem(0, 0, (), reason)]) from None


def _parse(text: str, name: str) -> Document:
    document = Document(name, None, text)
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        raise PipelineError(name, [Problem(0, 0, (), "is larger than 256 KiB")])
    try:
        _refuse_tricks(text, name)
        node = yaml.compose(text, Loader=_Loader)
        document.data = _Builder(document).build(node, ()) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        _refuse(name, mark, f"not valid YAML: {error.problem}")
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise PipelineError(name, [Problem(0, 0, (), f"not valid YAML: {error}")]) from None
    if not isinstance(document.data, dict):
        raise PipelineError(name, [Problem(1, 1, (), "expected keys such as 'version: 1' at the top")])
    return document


def _refuse_depth(value: Any, name: str, path: Path = ()) -> None:
    if len(path) > MAX_DEPTH:
        raise PipelineError(name, [Problem(0, 0, (), f"nested deeper than {MAX_DEPTH} levels")])
    items = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, item in items:
        if isinstance(value, Mapping) and not isinstance(key, str):
            raise PipelineError(name, [Problem(0, 0, path, f"the key {key!r} is no text")])
        if isinstance(item, Mapping | list | tuple):
            _refuse_depth(item, name, (*path, key))


def _refuse_tricks(text: str, name: str) -> None:
    """Look at the events, which need no recursion, before anything is built from them."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if count > MAX_EVENTS:
            _refuse(name, event.start_mark, f"more than {MAX_EVENTS:,} keys and values")
        if isinstance(event, yaml.AliasEvent):
            _refuse(name, event.start_mark, "aliases (*name) are not allowed; write the value out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            _refuse(name, event.start_mark, f"nested deeper than {MAX_DEPTH} levels")
        if getattr(event, "tag", None) is not None:
            _refuse(name, event.start_mark, "tags (!name) are not allowed; write a plain value")


def _refuse(name: str, mark: Any, message: str) -> NoReturn:
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    raise PipelineError(name, [Problem(line, column, (), message)]) from None


class _Builder:
    """Turns nodes into values, noting their places."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._scalars = yaml.constructor.SafeConstructor()

    def build(self, node: yaml.Node, path: Path) -> Any:
        self._document.places.setdefault(path, _place(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        try:
            return self._scalars.construct_object(node)
        except ValueError:  # Python refuses to read numbers of more than 4,300 digits
            _refuse(self._document.name, node.start_mark, "this number is too long")

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or key == "<<":
                _refuse(self._document.name, key_node.start_mark, "a key must be a plain word")
            if key in values:
                _refuse(self._document.name, key_node.start_mark, f"duplicate key {key!r}; keep one of them")
            # A key's place is where an editor should jump for anything about its value.
            self._document.places[*path, key] = _place(key_node)
            values[key] = self.build(value_node, (*path, key))
        return values


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
