"""The states of the circuit breaker: only legal moves, and only for good reason."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from http_enrich_middleware.traffic._breaker import Breaker, State


def breaker(**changes: float) -> Breaker:
    options = {"window": 10, "min_requests": 4, "ratio": 0.5, "probes": 2}
    options |= {"open_for": 5.0, "longest": 60.0, "max_open": 600.0}
    return Breaker(**{**options, **changes})  # type: ignore[arg-type]


def noted(subject: Breaker, outcomes: str, now: float = 0.0) -> State:
    """Let requests end, `x` for a failure and `.` for a success."""
    for each in outcomes:
        subject.note(each == "x", now, subject.trial)
    return subject.state


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ("", State.CLOSED),
        ("xxx", State.CLOSED),
        ("xxxx", State.OPEN),
        ("..xx", State.OPEN),
        ("...xx", State.CLOSED),
        ("xx..", State.CLOSED),
        ("xx..x", State.OPEN),
        ("x.........", State.CLOSED),
        ("..........xxxx", State.CLOSED),
        ("..........xxxxx", State.OPEN),
        ("x.x.x", State.OPEN),
        (".......xxx" + "." * 10 + "xx", State.CLOSED),
    ],
)
def test_it_opens_when_half_of_the_last_ten_have_failed(outcomes: str, state: State) -> None:
    assert noted(breaker(), outcomes) is state


def test_it_says_once_that_it_has_opened() -> None:
    subject = breaker()

    assert [subject.note(True, 0.0, 0) for _ in range(6)] == [False, False, False, True, False, False]


def test_probes_go_when_the_time_is_over_and_only_so_many() -> None:
    subject = breaker()
    noted(subject, "xxxx", now=100.0)

    assert [subject.probe(each) for each in (104.9, 105.0, 105.0, 105.0)] == [None, 1, 1, None]


def test_it_closes_when_all_probes_have_succeeded_and_forgets() -> None:
    subject = breaker()
    noted(subject, "xxxx")
    assert (subject.probe(5), subject.probe(5)) == (1, 1)
    states = []
    for _ in range(2):
        subject.probed(1, False, 6)
        states.append(subject.state)

    assert states == [State.HALF_OPEN, State.CLOSED]
    assert noted(subject, "xxx") is State.CLOSED


def test_once_it_has_closed_it_judges_by_what_came_since() -> None:
    subject = breaker(probes=1)
    noted(subject, ".....xxxxx")
    subject.probed(subject.probe(5) or 0, False, 6)

    assert (noted(subject, "xxx"), noted(subject, "x")) == (State.CLOSED, State.OPEN)


def test_no_more_probes_go_than_have_to_succeed() -> None:
    subject = breaker(probes=2)
    noted(subject, "xxxx")
    assert (subject.probe(5), subject.probe(5)) == (1, 1)
    subject.probed(1, False, 6)

    assert subject.probe(6) is None


def test_it_stays_open_twice_as_long_each_time_up_to_a_limit() -> None:
    subject, now, lengths = breaker(), 0.0, []
    noted(subject, "xxxx")
    for _ in range(6):
        lengths.append(subject.open_until - now)
        now = subject.open_until
        trial = subject.probe(now)
        assert trial is not None
        subject.probed(trial, True, now)

    assert lengths == [5, 10, 20, 40, 60, 60]
    assert subject.opened_at == 0.0


def test_after_it_has_closed_it_begins_with_the_short_time_again() -> None:
    subject = breaker(probes=1)
    noted(subject, "xxxx")
    for now, failed in ((5, True), (15, False)):
        subject.probed(subject.probe(now) or 0, failed, now)
    noted(subject, "xxxx", now=20)

    assert (subject.opened_at, subject.open_until) == (20, 25)


def test_a_probe_that_says_nothing_is_replaced() -> None:
    subject = breaker(probes=1)
    noted(subject, "xxxx")
    assert (subject.probe(5), subject.probe(5)) == (1, None)
    subject.probed(1, None, 5)

    assert subject.probe(5) == 1


def test_what_was_under_way_when_it_opened_changes_nothing() -> None:
    subject = breaker()
    noted(subject, "xxxx")
    noted(subject, "x" * 20 + "." * 20)
    assert (subject.state, subject.open_until) == (State.OPEN, 5)


def test_what_was_sent_before_it_opened_says_nothing_once_it_has_closed() -> None:
    """Hung requests of an outage time out when it is long over."""
    subject = breaker(probes=1)
    noted(subject, "xxxx")
    subject.probed(subject.probe(5) or 0, False, 5)
    assert subject.state is State.CLOSED

    assert [subject.note(True, 30, trial=0) for _ in range(10)] == [False] * 10
    assert noted(subject, "xxx") is State.CLOSED
    assert noted(subject, "x") is State.OPEN


@pytest.mark.parametrize(("ratio", "failures"), [(0.07, 7), (0.29, 29), (0.57, 57), (1.0, 100)])
def test_the_ratio_is_taken_at_its_word(ratio: float, failures: int) -> None:
    """0.07 * 100 is more than 7."""
    subject = breaker(window=100, min_requests=100, ratio=ratio)

    assert noted(subject, "." * (100 - failures) + "x" * (failures - 1)) is State.CLOSED
    assert noted(subject, "x") is State.OPEN


def test_the_last_probes_go_when_its_time_is_over() -> None:
    subject, now, probed = breaker(probes=1, max_open=100.0), 0.0, []
    noted(subject, "xxxx")
    for _ in range(6):
        now = subject.open_until
        probed.append(now)
        subject.probed(subject.probe(now) or 0, True, now)

    assert probed == [5, 15, 35, 75, 100, 100]


def test_time_in_which_nobody_asks_does_not_count() -> None:
    subject = breaker(probes=1)
    noted(subject, "xxxx")
    subject.probe(5)
    subject.probed(1, True, 7)
    assert (subject.opened_at, subject.open_until) == (0, 17)
    subject.probe(5_000)

    assert 5_000 - subject.opened_at == 17


def test_a_probe_that_ends_late_does_not_count_for_a_later_trial() -> None:
    subject = breaker()
    noted(subject, "xxxx")
    assert (subject.probe(5), subject.probe(5)) == (1, 1)
    subject.probed(1, True, 6)
    assert (subject.probe(16), subject.probe(16)) == (2, 2)
    subject.probed(1, True, 17)
    assert (subject.state, subject.probe(17)) == (State.HALF_OPEN, None)
    subject.probed(1, False, 17)
    subject.probed(2, False, 17)

    assert subject.state is State.HALF_OPEN


class Model(RuleBasedStateMachine):
    """Whatever happens, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.subject = breaker(window=6, min_requests=3, probes=2, open_for=2.0, longest=8.0, max_open=20.0)
        self.now = 0.0
        self.trials: list[int] = []
        self.recent: deque[bool] = deque(maxlen=6)
        self.before = State.CLOSED

    @rule(failed=st.booleans(), late=st.booleans())
    def request_ends(self, failed: bool, late: bool) -> None:
        was = self.subject.state
        opened = self.subject.note(failed, self.now, self.subject.trial - late)
        if was is State.CLOSED and not late:
            self.recent.append(failed)
            wanted = failed and len(self.recent) >= 3 and sum(self.recent) >= 0.5 * len(self.recent)
            assert opened == wanted == (self.subject.state is State.OPEN)
        else:
            assert (opened, self.subject.state) == (False, was)

    @rule(quarters=st.integers(0, 40))
    def time_passes(self, quarters: int) -> None:
        self.now += quarters / 4  # of a second: sums of them are exact

    @rule()
    def someone_asks_to_probe(self) -> None:
        was, until = self.subject.state, self.subject.open_until
        trial = self.subject.probe(self.now)
        if trial is not None:
            assert was is State.HALF_OPEN or (was is State.OPEN and self.now >= until)
            self.trials.append(trial)
            assert self.trials.count(trial) <= 2

    @precondition(lambda self: self.trials)
    @rule(which=st.integers(0, 100), failed=st.sampled_from([True, False, None]))
    def probe_ends(self, which: int, failed: bool | None) -> None:
        was, trial = self.subject.state, self.trials.pop(which % len(self.trials))
        latest = trial == self.subject.trial
        self.subject.probed(trial, failed, self.now)
        if was is State.HALF_OPEN and latest and failed:
            assert self.subject.state is State.OPEN
            down, wait = self.now - self.subject.opened_at, self.subject.open_until - self.now
            assert wait <= 8.0
            assert wait >= 2.0 or self.subject.open_until == max(self.now, self.subject.opened_at + 20.0)
            assert (wait == 0) is (down >= 20.0)
        elif was is not State.HALF_OPEN or not latest or failed is None:
            assert self.subject.state is was
        if was is not self.subject.state is State.CLOSED:
            assert failed is False
            self.recent.clear()

    @invariant()
    def moves_are_legal(self) -> None:
        legal = {
            (State.CLOSED, State.OPEN),
            (State.OPEN, State.HALF_OPEN),
            (State.HALF_OPEN, State.OPEN),
            (State.HALF_OPEN, State.CLOSED),
        }
        now = self.subject.state
        assert now is self.before or (self.before, now) in legal
        self.before = now


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=150, stateful_step_count=60, deadline=None, derandomize=True, database=None
)
