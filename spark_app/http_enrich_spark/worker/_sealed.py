"""A plan on its way to the workers, without its secrets: those are fetched from the driver."""

from __future__ import annotations

import io
import pickle
from typing import Any, NamedTuple

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
        """Leave a gap for a secret."""
        if not isinstance(value, SecretText):
            return None
        self.secrets.append(value.get_secret_value())
        return type(value), len(self.secrets) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, source: io.BytesIO, secrets: list[str]) -> None:
        super().__init__(source)
        self._secrets = secrets

    def persistent_load(self, gap: Any) -> Any:
        """Fill a gap."""
        kind, position = gap
        return kind(self._secrets[position])
