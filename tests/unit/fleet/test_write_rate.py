"""The write rate of a process: its limit, and how throttling lowers it."""

from __future__ import annotations

import math

import pytest

from rotator.fleet.write_rate import WriteRate


class Seconds:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    @property
    def passed(self) -> float:
        return self.now - 1000.0


def write_rate(per_second: float) -> tuple[WriteRate, Seconds]:
    seconds = Seconds()
    return WriteRate(per_second, clock=lambda: seconds.now), seconds


def begin(rate: WriteRate, seconds: Seconds, renewals: int) -> None:
    """Begin renewals as early as the rate allows."""
    for _ in range(renewals):
        seconds.now += rate.delay()
        assert rate.delay() == pytest.approx(0, abs=1e-9)
        rate.count_renewal()


def test_first_renewal_has_no_delay() -> None:
    rate, _ = write_rate(2)
    assert rate.delay() == 0


@pytest.mark.parametrize("per_second", [0.1, 2, 30])
def test_renewals_begin_at_a_third_of_the_rate(per_second: float) -> None:
    rate, seconds = write_rate(per_second)
    begin(rate, seconds, 101)
    assert seconds.passed == pytest.approx(300 / per_second)


def test_reading_the_delay_counts_no_renewal() -> None:
    rate, _ = write_rate(2)
    rate.count_renewal()
    assert [rate.delay(), rate.delay()] == [1.5, 1.5]


def test_unused_time_does_not_shorten_later_delays() -> None:
    rate, seconds = write_rate(2)
    rate.count_renewal()
    seconds.now += 100
    rate.count_renewal()
    assert rate.delay() == 1.5


def test_high_rate_is_reached_gradually() -> None:
    rate, seconds = write_rate(300)
    rate.count_renewal()
    assert rate.delay() == pytest.approx(3 / (30 * 1.25))
    begin(rate, seconds, 30)
    before = seconds.passed
    begin(rate, seconds, 100)
    assert seconds.passed - before == pytest.approx(1)


def test_throttled_write_halves_rate_and_delays_next_renewal() -> None:
    rate, seconds = write_rate(2)
    rate.slow_down()
    assert rate.delay() == 3
    seconds.now += 3
    rate.count_renewal()
    assert rate.delay() == pytest.approx(3 / 1.25)


def test_throttled_write_at_high_rate_pauses_one_second() -> None:
    rate, _ = write_rate(30)
    rate.slow_down()
    assert rate.delay() == 1


def test_throttled_writes_of_one_renewal_count_once() -> None:
    rate, seconds = write_rate(2)
    rate.slow_down()
    seconds.now += 2.9
    rate.slow_down()
    assert rate.delay() == pytest.approx(0.1)


def test_later_throttled_write_halves_the_rate_again() -> None:
    rate, seconds = write_rate(2)
    rate.slow_down()
    seconds.now += 3
    rate.slow_down()
    assert rate.delay() == 6


def test_repeated_throttling_keeps_a_minimum_rate() -> None:
    rate, seconds = write_rate(2)
    for _ in range(20):
        rate.slow_down()
        seconds.now += 10
    rate.slow_down()
    assert rate.delay() == 6


def test_configured_rate_below_the_minimum_is_kept() -> None:
    rate, _ = write_rate(0.1)
    rate.slow_down()
    assert rate.delay() == 30


def test_rate_recovers_up_to_the_configured_rate() -> None:
    rate, seconds = write_rate(2)
    rate.slow_down()
    begin(rate, seconds, 20)
    before = seconds.passed
    begin(rate, seconds, 10)
    assert seconds.passed - before == pytest.approx(15)


def test_unlimited_rate_has_no_delay() -> None:
    rate, seconds = write_rate(math.inf)
    begin(rate, seconds, 1000)
    assert seconds.passed == 0


def test_throttled_write_at_unlimited_rate_pauses_one_second() -> None:
    rate, seconds = write_rate(math.inf)
    rate.slow_down()
    assert rate.delay() == 1
    seconds.now += 1
    begin(rate, seconds, 1000)
    assert seconds.passed == 1
