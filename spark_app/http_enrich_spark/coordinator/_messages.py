"""What workers and the driver say to each other: MessagePack over HTTP."""

from __future__ import annotations

import msgspec

from ._totals import Totals

VERSION = 1
"""Of all messages together; a worker that speaks another one is refused."""

MAX_BYTES = 1024 * 1024
"""Of one message; counts of a second and a thousand permits take a tenth of that."""


class Message(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What every request of a worker says: who it is, and how it speaks."""

    version: int = VERSION
    worker: str


class Hello(Message):
    """Asks for the secrets of the plan."""


class Welcome(msgspec.Struct):
    """The secrets, in the order in which they were taken out of the plan."""

    secrets: list[str]

    def __repr__(self) -> str:
        return "Welcome(***)"


class LeaseRequest(Message):
    """Asks for `want` permits of the rate limit `source`, and gives `unused` ones back."""

    source: str
    want: int
    unused: int = 0


class Lease(msgspec.Struct):
    """
    Permits: in how many seconds each may be used, counted from this answer, and for how long it is good then.

    `held` is for how many seconds the question was. If there are no permits, `ready_in` says in how
    many seconds it is worth to ask again.
    """

    delays: list[float]
    good_for: float
    held: float = 0.0
    ready_in: float = 0.0


class TokenRequest(Message):
    """Asks for the token of `owner`; `refused` is the digest of one that the API has refused."""

    owner: str
    refused: str | None = None


class TokenAnswer(msgspec.Struct):
    """A token and the seconds it lives, or why there is none."""

    text: str = ""
    lifetime: float | None = None
    refusal: str | None = None
    unavailable: str | None = None
    wait: float | None = None

    def __repr__(self) -> str:
        return "TokenAnswer(***)"


class Sync(Message):
    """
    What a worker has counted since its last message, and what it has come to know.

    `seq` grows with each new one, so that one that is sent twice counts once. `stopped` is why it has given
    the run up, and `outage` whether that may pass; `pause` is for how many seconds the API wants to be left
    alone.
    """

    seq: int
    totals: Totals
    stopped: str | None = None
    outage: bool = False
    pause: float = 0.0


class Orders(msgspec.Struct):
    """What a worker has to know: that the run is over, and why, and for how long to send nothing."""

    stop: str | None = None
    pause: float = 0.0
