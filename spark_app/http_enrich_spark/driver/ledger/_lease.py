"""Sees to it that one try of a run is at work at a time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

import msgspec
from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from http_enrich_spark._logs import logger
from http_enrich_spark.coordinator import Totals
from http_enrich_spark.driver._errors import LeaseLostError
from http_enrich_spark.driver._files import Folder

from ._processes import is_alive, machine, processes
from ._records import numbers

HEARTBEAT = 2.0
"""Seconds between two signs of life."""

EXPIRY = 15.0
"""Seconds without a sign of life after which a try is taken for dead; by then it has stopped itself."""

_LONG_AGO = 4 * EXPIRY
"""Seconds; a sign of life of that age needs no watching, whatever the clocks of two machines differ by."""


class State(msgspec.Struct, frozen=True):
    """
    What a try writes into its lease: who it is, when it wrote, if it has ended, and what it counted.

    `digest` is that of its settings.
    """

    owner: str
    machine: str
    processes: list[str]
    at: float
    ended: bool = False
    totals: Totals = msgspec.field(default_factory=Totals)
    digest: str = ""


def refuse_others(
    folder: Folder,
    digest: str,
    *,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """
    Raise `LeaseLostError` if a living try with other settings has the run in *folder*.

    To take over from it would waste what it pays for: it may be meant, too. One of which it is not known
    whether it lives is watched until it gives a sign of life, or none for `EXPIRY` seconds.
    """
    for epoch in epochs(folder)[-1:]:
        state = state_of(folder, epoch)
        if state is None or state.digest in ("", digest):
            return
        if not _wait_until_over(folder / lease_name(epoch), epoch, now, sleep, signs=1):
            msg = _BUSY.format(folder=folder)
            raise LeaseLostError(msg, retry=True)


class Lease:
    """
    The right to work on a run, by a number, the epoch, that only grows.

    Whoever has the highest one has the run. A try that finds a higher one than its own, or that
    could not write a sign of life for `EXPIRY` seconds, has lost it and must stop.
    """

    def __init__(
        self, folder: Folder, epoch: int, state: State, *, now: Callable[[], float] = time.time
    ) -> None:
        self.epoch, self.name = epoch, lease_name(epoch)
        self._folder, self._state, self._now = folder, state, now
        self._file = folder / self.name
        self._written_at = time.monotonic()
        self._ended = threading.Event()
        self._lost: LeaseLostError | None = None
        self._thread: threading.Thread | None = None
        self._totals: Callable[[], Totals] = Totals

    @classmethod
    def claim(cls, spark: SparkSession, folder: Folder, digest: str = "") -> Lease:
        """Take the next epoch of the run in *folder*, for a try whose settings have that *digest*."""
        state = State(uuid4().hex, machine(), processes(spark), time.time(), digest=digest)
        while True:
            epoch = max(epochs(folder), default=0) + 1
            if (folder / lease_name(epoch)).claim(_encode(state)):
                return cls(folder, epoch, state)

    def wait_for_others(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Wait until every earlier try has ended, or has given no sign of life for `EXPIRY` seconds."""
        for epoch in [each for each in epochs(self._folder) if each < self.epoch]:
            _wait_until_over(self._folder / lease_name(epoch), epoch, self._now, sleep)

    def keep(self, on_lost: Callable[[], None], totals: Callable[[], Totals]) -> None:
        """
        Give signs of life from now on, and call *on_lost* once when the lease is lost.

        *totals* returns what the workers have counted, for whoever takes over.
        """
        self._totals = totals
        self._thread = threading.Thread(
            target=self._beat, args=(on_lost,), name="http-enrich-lease", daemon=True
        )
        self._thread.start()

    def check(self, *, cause: Exception | None = None) -> None:
        """Raise `LeaseLostError` if another try has taken over, or may have, or the lease is gone."""
        if self._lost is None:
            self._lost = self._loss()
        if self._lost is not None:
            raise self._lost from cause

    def _loss(self) -> LeaseLostError | None:
        if any(each > self.epoch for each in epochs(self._folder)):
            return LeaseLostError(_TAKEN)
        state = state_of(self._folder, self.epoch)
        if state is not None and state.owner != self._state.owner:
            return LeaseLostError(_TAKEN)
        if state is None and not self._file.exists():
            return LeaseLostError(_DELETED.format(folder=self._folder), retry=True)
        return None

    def end(self) -> None:
        """Say that this try has ended, so that nobody waits for it."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        with suppress(Py4JError, OSError):
            # What was deleted, or is another's by now, is none of ours to write.
            state = state_of(self._folder, self.epoch)
            if state is not None and state.owner == self._state.owner:
                self._write(ended=True)

    def _beat(self, on_lost: Callable[[], None]) -> None:
        while not self._ended.wait(HEARTBEAT):
            try:
                self.check()
                self._write()
            except LeaseLostError:
                return on_lost()
            except (Py4JError, OSError) as error:
                if time.monotonic() - self._written_at > EXPIRY - 2 * HEARTBEAT:
                    logger.error("%s cannot be written", self._file, exc_info=error)
                    self._lost = self._silenced()
                    return on_lost()

    def _silenced(self) -> LeaseLostError:
        # If somebody has taken over, a retry finds the run done; if nobody has, it takes one to go on.
        seconds = f"{EXPIRY - 2 * HEARTBEAT:.0f} s"
        return LeaseLostError(
            f"no sign of life could be written to {self._file} for {seconds}; see that execution.checkpoint "
            "can be reached, and start it again: it goes on from there (details are in the log above)",
            retry=True,
        )

    def _write(self, *, ended: bool = False) -> None:
        state = msgspec.structs.replace(self._state, at=self._now(), ended=ended, totals=self._totals())
        self._file.write(_encode(state))
        self._written_at = time.monotonic()


_BUSY = (
    "another run of this pipeline and window is at work in {folder}, with other settings: wait for its end, "
    "or stop it. If both are meant, tell them apart by their name, such as name: airports_${{var.country}}"
)
_DELETED = (
    "somebody has deleted {folder} while the run was at work, and with it what was answered; this try stops, "
    "and publishes nothing. The next one begins anew: see that nothing cleans up execution.checkpoint"
)
_TAKEN = "another try of this run has taken over; this one stops, and publishes nothing"


def epochs(folder: Folder) -> list[int]:
    """Return the epochs that were ever claimed in *folder*, in order."""
    return numbers(folder, "epoch-", ".lease")


def state_of(folder: Folder, epoch: int) -> State | None:
    """Return what the try with that *epoch* has last written, None if that cannot be read."""
    text = (folder / lease_name(epoch)).read()
    try:
        return msgspec.json.decode(text or "", type=State)
    except msgspec.DecodeError:
        return None  # it is being written just now


def _wait_until_over(
    file: Folder,
    epoch: int,
    now: Callable[[], float],
    sleep: Callable[[float], None],
    *,
    signs: float = math.inf,
) -> bool:
    """Return whether it is over; false when it has given so many *signs* of life meanwhile."""
    seen, waited = state_of(file.parent, epoch), 0.0
    if seen is None or not _is_over(seen, now()):
        logger.info(
            "waiting for try %s of this run to end, or to give no sign of life for %.0f s", epoch, EXPIRY
        )
    while seen is None or not _is_over(seen, now()):
        if waited >= EXPIRY:
            return True
        if signs <= 0:
            return False
        sleep(_POLL)
        state = state_of(file.parent, epoch)
        if state != seen:
            seen, waited, signs = state, -_POLL, signs - 1
        waited += _POLL
    return True


_POLL = 0.5


def _is_over(state: State, now: float) -> bool:
    dead = state.machine == machine() and not any(map(is_alive, state.processes))
    return state.ended or dead or now - state.at > _LONG_AGO


def lease_name(epoch: int) -> str:
    """Return the name of the lease with that *epoch*."""
    return f"epoch-{epoch}.lease"


def _encode(state: State) -> str:
    return msgspec.json.encode(state).decode()
