"""How many requests may be under way: a control law without waiting and without a clock."""

from __future__ import annotations

import math

FEW = 4
"""Requests at a time to begin with, and what slow answers alone leave; Envoy keeps at least 3."""

SAMPLE = 50
"""Answers at least that are looked at together, so that chance has little say; as in Envoy."""

_FIRST = 3
"""Samples of which the first idea of a usual latency is made."""

_WEIGHT = 0.1
"""What a sample counts for in the usual latency from then on."""

_HICCUP = 0.01
"""Seconds, added to each latency: a worker's own event loop is late by as much on a busy machine."""


class Aimd:
    """
    Additive increase, multiplicative decrease (Chiu and Jain, 1989), as TCP does it.

    Each answer makes the limit one more until the first sign of congestion, which
    doubles it each round trip (slow start, RFC 5681 §3.1); from then on `limit` answers
    do. A sign of congestion multiplies it with *decrease*. Requests that were under way
    at that time say nothing new (recovery, RFC 6582), so a whole window of refusals counts
    once.

    With a *tolerance*, latency that many times as long as it was at best is such a sign.
    The limit doubles at most before latency is looked at again, and nothing is added
    until it has come down. If it is as long with few requests, they are not the reason: then
    it becomes the one to compare with.
    """

    def __init__(self, lowest: int, highest: int, decrease: float, tolerance: float | None) -> None:
        self.limit = self._few = min(highest, max(lowest, FEW))
        self._lowest, self._highest, self._decrease = lowest, highest, decrease
        self._latency = None if tolerance is None else _Latency(tolerance)
        self._ceiling = highest if tolerance is None else min(highest, 2 * self.limit)
        self._sent = self._heard_from = self._answers = 0
        self._starting, self._slow = True, False

    def send(self) -> int:
        """Return the number of a request that goes now; it goes with its answer."""
        self._sent += 1
        return self._sent

    def answered(self, number: int, under_way: int, seconds: float) -> None:
        """Take in that the API coped with a request, one of so many *under_way*."""
        if self._latency is not None:
            self._judge(self._latency, self._latency.is_slow(seconds, max(SAMPLE, self.limit)))
        # Where there is little to do, nothing is learnt about whether more would be too much.
        if number <= self._heard_from or self._slow or 2 * under_way < self.limit:
            return
        self._answers += 1
        if self._answers >= self.limit or self._starting:
            self._answers = 0
            self.limit = max(self.limit, min(self._ceiling, self.limit + 1))

    def congested(self, number: int) -> None:
        """Take in a sign that the API has too much to do."""
        if number > self._heard_from:
            self._cut(self._lowest)

    def _judge(self, latency: _Latency, slow: bool | None) -> None:
        if slow is None:
            return
        if slow and self.limit > self._few:
            self._cut(self._few)
            self._slow = True
            return
        if slow:
            latency.forget()
            self._starting = True
        self._slow = False
        self._ceiling = min(self._highest, 2 * self.limit)
        if self._starting and self._ceiling > self.limit:
            latency.skip(self.limit)

    def _cut(self, least: int) -> None:
        before, self.limit = self.limit, max(least, int(self.limit * self._decrease))
        self._heard_from, self._answers, self._starting = self._sent, 0, False
        if self._latency is not None:
            self._ceiling = min(self._highest, 2 * self.limit)
            self._latency.skip(before + self.limit)


class _Latency:
    """
    Whether answers take much longer than they did at best.

    Means are those of logarithms: one answer in twenty that takes a hundred times as
    long is not a sign of anything, and neither are rows of two kinds.
    """

    def __init__(self, tolerance: float) -> None:
        self._far = math.log(tolerance)
        self.forget()
        self.skip(0)

    def forget(self) -> None:
        """Learn anew what is usual."""
        self._best = math.inf
        self._usual, self._samples = 0.0, 0

    def skip(self, answers: int) -> None:
        """Begin a sample after so many *answers*: of those that come first, too many are quick ones."""
        self._skip = answers
        self._sum, self._count = 0.0, 0

    def is_slow(self, seconds: float, size: int) -> bool | None:
        """Take in an answer; say whether the last *size* of them were slow, None while there are fewer."""
        if self._skip > 0:
            self._skip -= 1
            return None
        self._sum += math.log(seconds + _HICCUP)
        self._count += 1
        if self._count < size:
            return None
        mean = self._sum / self._count
        self.skip(0)
        if mean > self._best + self._far:
            return True
        self._learn(mean)
        return False

    def _learn(self, mean: float) -> None:
        self._samples += 1
        self._usual += (mean - self._usual) * max(_WEIGHT, 1 / self._samples)
        self._best = self._usual if self._samples <= _FIRST else min(self._best, self._usual)
