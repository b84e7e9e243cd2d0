"""What the airport API counts about its callers."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Stats:
    """What the API counted about its callers; asking for these counters is not counted itself.

    A connection belongs to whatever its first request asks for: `connections` are all that were accepted
    except those which came for the counters or a token, `connections_used` the ones that carried a request,
    and the difference was opened in advance and never used. `busiest_second` is the most requests that came
    within any one second, and `effects` how many inspections were booked.
    """

    requests: int = 0
    by_status: Counter[int] = field(default_factory=Counter)
    connections: int = 0
    connections_used: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    busiest_second: int = 0
    tokens: int = 0
    effects: int = 0
    clock: Callable[[], float] = time.monotonic
    recent: deque[float] = field(default_factory=deque)

    def arrived(self) -> None:
        """Count a request that has been received."""
        self.requests += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        self.recent.append(self.clock())
        while self.recent[-1] - self.recent[0] >= 1.0:
            self.recent.popleft()
        self.busiest_second = max(self.busiest_second, len(self.recent))

    def as_dict(self) -> dict[str, Any]:
        """Return the counters as JSON can carry them."""
        counters = {name: value for name, value in vars(self).items() if isinstance(value, int)}
        return counters | {
            "by_status": {str(status): count for status, count in sorted(self.by_status.items())}
        }
