"""The pace of writes: what a fleet may take of the account's quota, and how it yields."""

from __future__ import annotations

import math

import pytest

from rotator.pace import UNPACED, Pace


class Seconds:
    """A clock that only sleeping moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    @property
    def passed(self) -> float:
        return self.now - 1000.0


def pace(per_second: float) -> tuple[Pace, Seconds]:
    seconds = Seconds()
    return Pace(per_second, clock=seconds.clock, sleep=seconds.sleep), seconds


def begin(paced: Pace, renewals: int) -> None:
    for _ in range(renewals):
        assert paced.wait_for_renewal(1e9)


def test_one_renewal_waits_for_nothing() -> None:
    paced, seconds = pace(2)
    begin(paced, 1)
    assert seconds.passed == 0


@pytest.mark.parametrize("per_second", [0.1, 2, 30])
def test_renewals_begin_at_a_third_of_the_rate(per_second: float) -> None:
    paced, seconds = pace(per_second)
    begin(paced, 101)
    assert seconds.passed == pytest.approx(300 / per_second)


def test_a_renewal_that_wrote_nothing_gives_back_what_was_counted_for_it() -> None:
    paced, seconds = pace(2)
    for _ in range(100):
        begin(paced, 1)
        paced.give_back()
    begin(paced, 3)
    assert seconds.passed == pytest.approx(3)


def test_exactly_that_much_is_given_back() -> None:
    paced, seconds = pace(0.5)
    begin(paced, 2)
    paced.give_back()
    begin(paced, 1)
    assert seconds.passed == pytest.approx(6)
    begin(paced, 1)
    assert seconds.passed == pytest.approx(12)


def test_one_that_gives_back_leaves_the_others_their_turns() -> None:
    """Four began together: the fifth comes in the place of the last."""
    slept: list[float] = []
    paced = Pace(2, clock=lambda: 1000.0, sleep=slept.append)
    begin(paced, 4)
    paced.give_back()
    begin(paced, 1)
    assert slept == pytest.approx([1.5, 3, 4.5, 4.5])


def test_what_is_given_back_late_is_no_credit() -> None:
    paced, seconds = pace(2)
    begin(paced, 1)
    seconds.now += 3600
    paced.give_back()
    begin(paced, 3)
    assert seconds.passed == pytest.approx(3603)


def test_what_is_given_back_does_not_shorten_the_rest_after_a_refusal() -> None:
    paced, seconds = pace(2)
    begin(paced, 1)
    paced.slow_down()  # to one a second: three seconds of rest
    for _ in range(3):
        paced.give_back()
    begin(paced, 1)
    assert seconds.passed == pytest.approx(3)


def test_a_renewal_whose_time_has_just_come_does_not_sleep() -> None:
    paced, seconds = pace(2)
    begin(paced, 1)
    seconds.now += 1.5
    begin(paced, 1)
    assert seconds.passed == 1.5


def test_time_that_passed_unused_is_not_caught_up_with() -> None:
    paced, seconds = pace(2)
    begin(paced, 1)
    seconds.now += 3600
    begin(paced, 3)
    assert seconds.passed == pytest.approx(3603)


def test_a_renewal_that_would_come_too_late_is_refused_and_not_counted() -> None:
    paced, seconds = pace(2)
    begin(paced, 1)
    assert not paced.wait_for_renewal(1.4)
    assert seconds.passed == 0
    assert paced.wait_for_renewal(1.5)
    assert seconds.passed == pytest.approx(1.5)


def test_a_high_rate_is_reached_step_by_step() -> None:
    """What the account really allows shows in the first seconds."""
    paced, seconds = pace(10_000)
    begin(paced, 5)
    assert seconds.passed > 4 * 3 / 100
    begin(paced, 100)
    before = seconds.passed
    begin(paced, 1000)
    assert seconds.passed - before == pytest.approx(3000 / 10_000)


def test_throttling_halves_the_rate_and_makes_the_next_renewal_wait() -> None:
    paced, seconds = pace(2)
    begin(paced, 1)
    paced.slow_down()
    begin(paced, 1)
    assert seconds.passed == pytest.approx(3)
    begin(paced, 1)
    assert seconds.passed == pytest.approx(3 + 3 / 1.25)


def test_at_a_high_rate_renewals_stop_for_a_second() -> None:
    paced, seconds = pace(30)
    paced.slow_down()
    begin(paced, 1)
    assert seconds.passed == pytest.approx(1)


def test_refusals_of_the_writes_of_one_renewal_count_as_one() -> None:
    paced, seconds = pace(2)
    for _ in range(3):
        paced.slow_down()
        seconds.now += 0.99
    begin(paced, 1)
    assert seconds.passed == pytest.approx(3)


def test_a_refusal_after_that_halves_it_again() -> None:
    paced, seconds = pace(2)
    paced.slow_down()
    seconds.now += 3
    paced.slow_down()
    begin(paced, 1)
    assert seconds.passed == pytest.approx(3 + 6)


def test_throttling_never_stops_it_altogether() -> None:
    paced, seconds = pace(16)
    for _ in range(20):
        paced.slow_down()
        seconds.now += 10
    begin(paced, 1)
    before = seconds.passed
    begin(paced, 1)
    assert seconds.passed - before == pytest.approx(3 / (0.5 * 1.25))


def test_a_rate_below_the_slowest_is_kept() -> None:
    paced, seconds = pace(0.1)
    paced.slow_down()
    begin(paced, 1)
    assert seconds.passed == pytest.approx(30)


def test_the_rate_comes_back_and_never_beyond_what_was_set() -> None:
    paced, seconds = pace(2)
    paced.slow_down()
    begin(paced, 20)
    before = seconds.passed
    begin(paced, 10)
    assert seconds.passed - before == pytest.approx(15)


def test_without_a_quota_nothing_waits() -> None:
    begin(UNPACED, 1000)


def test_without_a_quota_a_refusal_is_a_pause_and_no_slower_pace() -> None:
    paced, seconds = pace(math.inf)
    paced.slow_down()
    begin(paced, 1000)
    assert seconds.passed == 1
