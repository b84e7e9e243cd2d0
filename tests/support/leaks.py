"""Looks for a secret where it must not be."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import quote


def forms_of(secret: str) -> list[str]:
    """Return *secret* as it is, percent-encoded, and in Base64."""
    return [secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()]


def leaks(secret: str, *places: Path) -> list[Path]:
    """Return the files that *places* are, or have below them, with *secret* in one of its forms."""
    found = [file for place in places for file in ([place] if place.is_file() else place.rglob("*"))]
    forms = [form.encode() for form in forms_of(secret)]
    return [file for file in found if file.is_file() and any(form in file.read_bytes() for form in forms)]
