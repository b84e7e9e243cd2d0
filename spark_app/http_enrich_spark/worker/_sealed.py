"""A plan on its way to the workers, without its secrets: those are fetched from the driver."""

from __future__ import annotations

import io
import pickle
from typing import Any, NamedTuple

from http_enrich_spark.config import Template
from http_enrich_spark.coordinator import fetch_secrets
from http_enrich_transport import SecretText

from ._plan import WorkerPlan

_opened: dict[bytes, WorkerPlan] = {}
"""The plans of this process; a worker has few, and asks for the secrets of each once."""


class Sealed(NamedTuple):
    """A plan as bytes with a gap for each secret, and how many there are."""

    content: bytes
    gaps: int


def seal(plan: WorkerPlan) -> tuple[Sealed, list[str]]:
    """
    Take the secrets out of *plan*; returns what is left of it, and the secrets in the order of their gaps.

    Without a link there is nobody to ask for them, so they stay.
    """
    if plan.link is None:
        return Sealed(pickle.dumps(plan), 0), []
    target = io.BytesIO()
    pickler = _Pickler(target)
    pickler.dump(plan)
    return Sealed(target.getvalue(), len(pickler.secrets)), pickler.secrets


def unseal(sealed: Sealed, secrets: list[str]) -> WorkerPlan:
    """Put *secrets* back into their gaps."""
    plan: WorkerPlan = _Unpickler(io.BytesIO(sealed.content), secrets).load()
    return plan


def opened(sealed: Sealed) -> WorkerPlan:
    """
    Return the plan, with secrets that are fetched once per process.

    Raises `UnreachableError`, which says what to do, if there are any and the driver gives no answer.
    """
    plan = _opened.get(sealed.content)
    if plan is None:
        plan = unseal(sealed, [""] * sealed.gaps)
        if sealed.gaps:
            assert plan.link is not None  # noqa: S101 - see seal
            plan = unseal(sealed, fetch_secrets(plan.link))
        _opened.clear()
        _opened[sealed.content] = plan
    return plan


class _Pickler(pickle.Pickler):
    def __init__(self, target: io.BytesIO) -> None:
        super().__init__(target, pickle.HIGHEST_PROTOCOL)
        self.secrets: list[str] = []

    def persistent_id(self, value: Any) -> Any:
        """Leave a gap for a secret text, and one for each literal of a template that holds a secret."""
        if isinstance(value, SecretText):
            return ("text", self._gap(value.get_secret_value()))
        if isinstance(value, Template) and value.secret:
            parts = [self._gap(part) if isinstance(part, str) else part for part in value.parts]
            return ("template", parts)
        return None

    def _gap(self, secret: str) -> int:
        self.secrets.append(secret)
        return len(self.secrets) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, source: io.BytesIO, secrets: list[str]) -> None:
        super().__init__(source)
        self._secrets = secrets

    def persistent_load(self, gap: Any) -> Any:
        """Fill a gap."""
        kind, what = gap
        if kind == "text":
            return SecretText(self._secrets[what])
        parts = [self._secrets[part] if isinstance(part, int) else part for part in what]
        return Template(*parts, secret=True)
