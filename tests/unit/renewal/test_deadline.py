"""A deadline: the seconds that remain until a fixed time."""

from __future__ import annotations

import pytest

from rotator.renewal.deadline import Deadline


class Clock:
    """Seconds that a test lets pass."""

    seconds = 0.0

    def deadline(self, after: float) -> Deadline:
        return Deadline(lambda: after - self.seconds)


@pytest.mark.parametrize(("seconds", "remaining"), [(10, 10), (60, 60), (61, 60)])
def test_at_most_is_the_sooner_of_both(seconds: float, remaining: float) -> None:
    clock = Clock()
    bounded = clock.deadline(60).at_most(seconds)
    assert bounded.remaining() == remaining
    clock.seconds += 4
    assert bounded.remaining() == remaining - 4


def test_at_most_does_not_move_a_passed_deadline() -> None:
    assert Clock().deadline(-5).at_most(10).remaining() == -5


def test_earlier_by_passes_before() -> None:
    clock = Clock()
    earlier = clock.deadline(60).earlier_by(10)
    clock.seconds = 55
    assert earlier.remaining() == -5
