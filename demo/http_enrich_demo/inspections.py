"""The inspections that the airport API books: a POST with an effect, once for each idempotency key."""

from __future__ import annotations

from http_enrich_demo import airports

HIGHEST_FT = 5000
"""No inspector goes higher: a request that no retry can help."""


class Inspections:
    """All inspections that were booked."""

    def __init__(self) -> None:
        self.count = 0
        self._by_key: dict[str, int] = {}

    def book(self, key: str | None) -> int:
        """Book an inspection and return its number; a key that was seen before gets the number from then."""
        if key is not None and key in self._by_key:
            return self._by_key[key]
        self.count += 1
        if key is not None:
            self._by_key[key] = self.count
        return self.count


def is_too_high(icao: str) -> bool:
    """Tell whether no inspector goes to that airport; an unknown code raises KeyError."""
    return bool(airports.facts(icao)["elevation_ft"] > HIGHEST_FT)
