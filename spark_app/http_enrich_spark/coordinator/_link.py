"""How a worker finds the driver."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Link:
    """Address and secret of one run's coordinator; the secret is of no use once the run is over."""

    url: str
    secret: str = field(repr=False)
