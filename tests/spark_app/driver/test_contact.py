"""Workers that do not reach their driver: somebody is told, and a run that was stopped ends all the same."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from http_enrich_middleware import WorkerRuntime
from http_enrich_spark.coordinator import Coordinator, Stop, Totals
from http_enrich_spark.driver._cluster import running_tasks
from http_enrich_spark.driver._contact import SILENCE, Contact
from tests.support.syncing import say


@pytest.fixture
def driver() -> Iterator[Coordinator]:
    with Coordinator([], host="127.0.0.1", slots=1, runtime=WorkerRuntime()) as coordinator:
        yield coordinator


def contact(
    driver: Coordinator,
    working: Callable[[], int] = lambda: 2,
    cancel: Callable[[], None] = lambda: None,
    grace: float = 30,
) -> Contact:
    return Contact(driver, working, cancel, grace)


def warned_at(
    looking: Contact, caplog: pytest.LogCaptureFixture, start: float, seconds: float
) -> list[float]:
    """Look each half second from *start* on; return after how many of the *seconds* there was a warning."""
    times: list[float] = []
    for step in range(int(seconds * 2) + 1):
        caplog.clear()
        looking.look(start + step / 2)
        times += [step / 2] * len(caplog.records)
    return times


def test_silence_is_told_once_with_the_address_and_what_to_do(
    driver: Coordinator, caplog: pytest.LogCaptureFixture
) -> None:
    looking = contact(driver)
    looking.look(1000.0)
    looking.look(1000.0 + SILENCE)
    looking.look(2000.0)

    (warning,) = caplog.records
    address = driver.link.url.removeprefix("http://")
    assert warning.levelno == logging.WARNING
    assert (
        "no worker has been heard of for 15 s although tasks are at work: "
        f"they seem not to reach the driver at {address}. " in warning.getMessage()
    )
    assert "Let executors through to that port" in warning.getMessage()
    assert "set spark.driver.host to an address that they reach" in warning.getMessage()


def test_silence_begins_with_the_first_task(driver: Coordinator, caplog: pytest.LogCaptureFixture) -> None:
    """Before it, Spark may be busy for minutes with putting rows in order."""
    now = [0.0]
    looking = contact(driver, working=lambda: int(now[0] >= 100))
    times: list[float] = []
    for step in range(300):
        now[0] = step / 2
        caplog.clear()
        looking.look(now[0])
        times += [now[0]] * len(caplog.records)

    assert times == [100 - 0.5 + SILENCE]


def test_silence_begins_with_the_last_word(driver: Coordinator, caplog: pytest.LogCaptureFixture) -> None:
    looking = contact(driver)
    say(driver.link, Totals())

    assert warned_at(looking, caplog, driver.heard_at - 60, 120) == [60 + SILENCE]


def test_workers_that_speak_and_then_have_nothing_to_do_are_not_silent(
    driver: Coordinator, caplog: pytest.LogCaptureFixture
) -> None:
    looking = contact(driver, working=lambda: 0)
    say(driver.link, Totals())

    assert warned_at(looking, caplog, driver.heard_at, 60) == []


def test_a_run_that_goes_on_after_it_was_stopped_is_cancelled_once(driver: Coordinator) -> None:
    cancelled: list[float] = []
    now = [0.0]
    looking = contact(driver, cancel=lambda: cancelled.append(now[0]), grace=30)
    for now[0] in (0.0, 100.0):
        looking.look(now[0])
    driver.stop(Stop("execution.deadline is over"))
    for now[0] in (101.0, 130.9, 131.0, 140.0):
        looking.look(now[0])

    assert (cancelled, looking.cancelled) == ([131.0], True)


def test_a_run_that_was_not_stopped_is_never_cancelled(driver: Coordinator) -> None:
    cancelled: list[int] = []
    looking = contact(driver, cancel=lambda: cancelled.append(1))
    for now in (0.0, 1e9):
        looking.look(now)

    assert (cancelled, looking.cancelled) == ([], False)


def test_tasks_of_other_stages_are_nobody_who_should_speak(spark: SparkSession, tmp_path: Path) -> None:
    """What puts rows in order has no worker that speaks to the driver."""
    over = tmp_path / "over"

    def wait(_: int) -> None:
        while not over.exists():
            time.sleep(0.02)

    job = threading.Thread(target=spark.sparkContext.parallelize(range(3), 3).foreach, args=(wait,))
    job.start()
    deadline = time.monotonic() + 120
    while (found := running_tasks(spark)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    alike, others = running_tasks(spark, of=3), running_tasks(spark, of=4)
    over.touch()
    job.join()

    assert (found, alike, others) == (2, 2, 0)
