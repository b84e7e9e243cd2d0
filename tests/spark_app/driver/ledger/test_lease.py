"""Whom a try waits for, and when it takes itself for lost."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Semaphore
from types import SimpleNamespace

import msgspec
import pytest
from pyspark.sql import SparkSession

from http_enrich_spark.coordinator import Totals
from http_enrich_spark.driver._errors import LeaseLostError
from http_enrich_spark.driver._files import Folder
from http_enrich_spark.driver.ledger import _lease
from http_enrich_spark.driver.ledger._lease import EXPIRY, Lease, State, epochs, refuse_others, state_of
from http_enrich_spark.driver.ledger._processes import machine

ELSEWHERE = "another machine"
HERE = machine()


class Waiting:
    """Lets time pass at once; *then* is called with the number of waits so far."""

    def __init__(self, then: Callable[[int], None] = lambda _: None) -> None:
        self.seconds, self._waits, self._then = 0.0, 0, then

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self._waits += 1
        self._then(self._waits)


def says(folder: Path, machine: str, at: float, *, ended: bool = False, digest: str = "") -> None:
    """Write the lease of a first try whose processes are gone, if they were ever on this machine."""
    folder.mkdir(exist_ok=True)
    state = State("someone", machine, ["999999999 1"], at, ended, digest=digest)
    (folder / "epoch-1.lease").write_bytes(msgspec.json.encode(state))


def claim(spark: SparkSession, folder: Path) -> Lease:
    return Lease.claim(spark, Folder(spark, str(folder)))


@pytest.mark.parametrize(
    ("machine", "age", "ended", "seconds"),
    [
        (HERE, 0.0, False, 0.0),
        (ELSEWHERE, 0.0, True, 0.0),
        (ELSEWHERE, 3600.0, False, 0.0),
        (ELSEWHERE, 0.0, False, EXPIRY),
        (ELSEWHERE, 2 * EXPIRY, False, EXPIRY),  # the clocks of two machines may differ by that much
    ],
)
def test_a_try_is_waited_for_unless_it_is_known_to_be_over(
    spark: SparkSession, tmp_path: Path, machine: str, age: float, ended: bool, seconds: float
) -> None:
    says(tmp_path / "run", machine, time.time() - age, ended=ended)
    waiting = Waiting()

    claim(spark, tmp_path / "run").wait_for_others(waiting.sleep)

    assert waiting.seconds == seconds


def test_each_sign_of_life_is_waited_for_anew(spark: SparkSession, tmp_path: Path) -> None:
    def live_on(waits: int) -> None:
        if waits <= 100:
            says(tmp_path / "run", ELSEWHERE, time.time() + waits)

    says(tmp_path / "run", ELSEWHERE, time.time())
    waiting = Waiting(live_on)
    claim(spark, tmp_path / "run").wait_for_others(waiting.sleep)

    assert waiting.seconds == 100 * _lease._POLL + EXPIRY


def test_a_living_run_with_other_settings_is_left_alone(spark: SparkSession, tmp_path: Path) -> None:
    """It may be meant, and what it pays for would be lost."""
    place, now = Folder(spark, str(tmp_path / "run")), time.time()
    waiting = Waiting(lambda waits: says(tmp_path / "run", ELSEWHERE, now + waits // 4, digest="IS"))
    says(tmp_path / "run", ELSEWHERE, now, digest="IS")

    with pytest.raises(LeaseLostError, match="another run of this pipeline and window is at work") as busy:
        refuse_others(place, "DE", sleep=waiting.sleep)
    assert busy.value.retry
    assert waiting.seconds == 4 * _lease._POLL
    assert epochs(place) == [1]


@pytest.mark.parametrize(
    ("digest", "ended", "seconds"), [("DE", False, 0.0), ("IS", True, 0.0), ("IS", False, EXPIRY)]
)
def test_whoever_has_the_same_settings_or_is_gone_is_no_hindrance(
    spark: SparkSession, tmp_path: Path, digest: str, ended: bool, seconds: float
) -> None:
    waiting = Waiting()
    says(tmp_path / "run", ELSEWHERE, time.time(), digest=digest, ended=ended)
    refuse_others(Folder(spark, str(tmp_path / "run")), "DE", sleep=waiting.sleep)

    assert waiting.seconds == seconds


def test_a_try_that_cannot_give_signs_of_life_stops_itself_before_it_is_taken_for_dead(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one will take over then, and there must not be two at work."""
    silent, looks = 0.0, Semaphore(0)

    def clock() -> float:
        looks.release()
        return silent

    monkeypatch.setattr(_lease, "HEARTBEAT", 0.05)
    monkeypatch.setattr(_lease, "time", SimpleNamespace(monotonic=clock, time=time.time))
    lost, lease = Event(), claim(spark, tmp_path / "run")
    (tmp_path / "run" / "epoch-1.lease").unlink()
    (tmp_path / "run" / "epoch-1.lease").mkdir()
    lease.keep(lost.set, Totals)
    silent = EXPIRY - 0.2
    assert all(looks.acquire(timeout=60) for _ in range(5))
    assert not lost.is_set()
    silent = EXPIRY - 0.05

    assert lost.wait(60)
    with pytest.raises(LeaseLostError, match=r"no sign of life .* start it again") as lost_for:
        lease.check()
    assert lost_for.value.retry


def test_a_try_finds_that_another_one_has_taken_over(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_lease, "HEARTBEAT", 0.05)
    lost, lease = Event(), claim(spark, tmp_path / "run")
    lease.keep(lost.set, Totals)
    assert not lost.is_set()
    claim(spark, tmp_path / "run")

    assert lost.wait(60)
    with pytest.raises(LeaseLostError, match="another try of this run has taken over") as lost_to:
        lease.check()
    assert not lost_to.value.retry


def test_a_try_finds_that_its_folder_was_deleted(spark: SparkSession, tmp_path: Path) -> None:
    """It would pay for answers that nobody keeps."""
    lease = claim(spark, tmp_path / "run")
    shutil.rmtree(tmp_path / "run")

    with pytest.raises(LeaseLostError, match=r"somebody has deleted .*/run while the run was at work"):
        lease.check()


def test_a_try_finds_that_another_one_has_its_number(spark: SparkSession, tmp_path: Path) -> None:
    lease = claim(spark, tmp_path / "run")
    says(tmp_path / "run", ELSEWHERE, time.time())

    with pytest.raises(LeaseLostError, match="another try of this run has taken over"):
        lease.check()
    lease.end()
    state = state_of(Folder(spark, str(tmp_path / "run")), 1)
    assert state is not None
    assert (state.owner, state.ended) == ("someone", False)


def test_the_last_sign_of_life_has_the_figures_for_who_takes_over(
    spark: SparkSession, tmp_path: Path
) -> None:
    lease = claim(spark, tmp_path / "run")
    lease.keep(lambda: None, lambda: Totals({"ok": 6, "timeout": 1}, calls=12, seconds={"limiter": 1.5}))
    lease.end()

    folder = Folder(spark, str(tmp_path / "run"))
    state = state_of(folder, 1)
    assert epochs(folder) == [1]
    assert state is not None
    assert (state.ended, state.totals.calls, state.totals.rows) == (True, 12, 7)
    assert state.totals.seconds == {"limiter": 1.5}
