"""When a cached token is read again, to the second."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fake_ports import START
from rotator.consumer.parse import Found
from rotator.consumer.token_clock import CachedToken, Moment, Need, cached_token, current_moment

ZERO = Moment(now=START, monotonic=0.0)


def after(seconds: float) -> Moment:
    return Moment(now=START + timedelta(seconds=seconds), monotonic=seconds)


def copy(
    *,
    expires: float | None = None,
    renew: float | None = None,
    margin: float = 60,
    ttl: float = 300,
    spread: float = 0.5,
) -> CachedToken:
    """Return a cached token that expires, and is renewed, some seconds after it is read."""
    return cached_token(
        Found(token="token", version=1),
        expires_at=None if expires is None else START + timedelta(seconds=expires),
        renew_at=None if renew is None else START + timedelta(seconds=renew),
        requested_at=ZERO,
        margin=margin,
        ttl=ttl,
        spread=spread,
    )


@pytest.mark.parametrize(
    ("given", "lifetime", "ahead_after", "margin"),
    [
        pytest.param({"expires": 3600, "renew": 2400}, 3600, 3000, 60, id="half of the window"),
        pytest.param({"expires": 3600, "renew": 2400, "spread": 0}, 3600, 3120, 60, id="the last of a fleet"),
        pytest.param(
            {"expires": 3600, "renew": 2400, "spread": 1}, 3600, 2880, 60, id="the first of a fleet"
        ),
        pytest.param({"expires": 3600}, 3600, 3000, 60, id="a third, if the window is unknown"),
        pytest.param({"expires": 600, "renew": -600}, 600, 150, 60, id="half of the window has just passed"),
        pytest.param({"expires": 400, "renew": -3200}, 400, 100, 60, id="late in the window"),
        pytest.param({"expires": 200}, 200, 100, 50, id="a margin of at most a quarter"),
        pytest.param({"expires": 300}, 300, 180, 60, id="ahead by at least two margins"),
        pytest.param({"ttl": 100}, 100, 90, 0, id="a ttl"),
    ],
)
def test_copy_computes_lifetime_margin_and_refresh_time(
    given: dict[str, float], lifetime: float, ahead_after: float, margin: float
) -> None:
    made = copy(**given)
    assert (made.lifetime, made.margin) == (lifetime, margin)
    assert made.refresh_after == pytest.approx(ahead_after)


@pytest.mark.parametrize(
    ("reported", "lifetime"), [(-100, 3600), (-1, 3600), (0, 3599), (100, 3499), (99.5, 3499.5)]
)
def test_copy_lifetime_follows_the_later_clock(reported: float, lifetime: float) -> None:
    found = Found(token="token", version=1, read_at=START + timedelta(seconds=reported))
    end = START + timedelta(seconds=3600)
    made = cached_token(
        found, expires_at=end, renew_at=None, requested_at=ZERO, margin=60, ttl=300, spread=0.5
    )
    assert made.lifetime == lifetime


@pytest.mark.parametrize(
    ("seconds", "need"),
    [
        (2999.9, Need.NOTHING),
        (3000, Need.REFRESH_AHEAD),
        (3539.9, Need.REFRESH_AHEAD),
        (3540, Need.REFRESH_NOW),
        (3599.9, Need.REFRESH_NOW),
        (3600, Need.REPLACEMENT),
    ],
)
def test_copy_need_escalates_as_expiry_approaches(seconds: float, need: Need) -> None:
    assert copy(expires=3600, renew=2400).need(after(seconds)) is need


def test_monotonic_clock_is_positive_and_never_decreases() -> None:
    first, second = current_moment().monotonic, current_moment().monotonic
    assert 0 < first <= second
