"""How a try came along, as a line that can be drawn."""

from __future__ import annotations

from typing import NamedTuple

MAX_POINTS = 240
"""Enough for a screen, and few enough for a database."""


class Point(NamedTuple):
    """What was counted by a time: seconds since the start of the try, rows, requests, rows that failed."""

    seconds: float
    rows: int
    calls: int
    failed: int


class Curve:
    """Points in the order of time: a second apart at first, and further the longer it takes."""

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._last: Point | None = None
        self._apart = 1.0

    def add(self, point: Point) -> None:
        """Take in the newest *point*."""
        self._last = point
        if self._points and point.seconds - self._points[-1].seconds < self._apart:
            return
        self._points.append(point)
        if len(self._points) == MAX_POINTS:
            self._points, self._apart = self._points[::2], 2 * self._apart

    def points(self) -> list[Point]:
        """Return the line, with the newest point at its end."""
        newest = [self._last] if self._last is not None and self._last not in self._points[-1:] else []
        return [*self._points, *newest]
