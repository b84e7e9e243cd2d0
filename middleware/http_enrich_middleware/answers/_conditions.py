"""What the rules about answers may ask: statuses, and expressions over the body."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

_CLASS = re.compile(r"([1-9])xx", re.IGNORECASE)
_RANGE = re.compile(r"([1-9]\d\d)(?:\s*-\s*([1-9]\d\d))?")


def read_status(value: Any) -> frozenset[int] | None:
    """Return the statuses that *value* means: `404`, `2xx`, `400-499` or a list of those; None is any."""
    if value is None:
        return None
    parts = value if isinstance(value, list | tuple | set | frozenset) else [value]
    if not parts:
        msg = "expected at least one status"
        raise ValueError(msg)
    return frozenset(status for part in parts for status in _statuses(part))


def _statuses(part: Any) -> range:
    text = str(part).strip() if isinstance(part, int | str) else ""
    if found := _CLASS.fullmatch(text):
        first = int(found[1]) * 100
        return range(first, first + 100)
    if found := _RANGE.fullmatch(text):
        first, last = int(found[1]), int(found[2] or found[1])
        if first <= last:
            return range(first, last + 1)
    msg = f"expected a status such as 404, 2xx or 400-499, not {part!r}"
    raise ValueError(msg)


def check_condition(text: str) -> str:
    """Return *text* if it is a JMESPath that can be evaluated; raises ValueError with the place if not."""
    try:
        compiled = jmespath.compile(text)
    except JMESPathError as error:
        msg = " ".join(str(error).split()).removesuffix(" ^")
        raise ValueError(f"{msg}; see jmespath.org for what can be said") from None
    except RecursionError:
        msg = "the expression is nested too deep"
        raise ValueError(msg) from None
    for name, arguments in _calls(compiled.parsed):
        _check_call(name, arguments)
    return text


def compile_condition(text: str) -> Callable[[Any], bool]:
    """Return a function of a decoded body; it raises what JMESPath raises for values of the wrong type."""
    search = jmespath.compile(text).search
    return lambda body: _is_true(search(body))


def _is_true(value: Any) -> bool:
    """Return whether JMESPath takes *value* for true; other than in Python, 0 is."""
    return value is not None and value is not False and value not in ("", [], {})


def _calls(node: Any) -> Iterator[tuple[str, int]]:
    """Yield name and number of arguments of every call of a function below *node*."""
    if isinstance(node, dict):
        if node["type"] == "function_expression":
            yield node["value"], len(node["children"])
        for child in node["children"]:
            yield from _calls(child)


def _check_call(name: str, arguments: int) -> None:
    known = Functions.FUNCTION_TABLE
    if name not in known:
        msg = f"JMESPath has no function {name}(); it has {', '.join(sorted(known))}"
        raise ValueError(msg)
    signature = known[name]["signature"]
    variadic = bool(signature) and signature[-1].get("variadic", False)
    if arguments < len(signature) or (arguments > len(signature) and not variadic):
        msg = f"{name}() takes {len(signature)} arguments{' or more' if variadic else ''}, not {arguments}"
        raise ValueError(msg)
