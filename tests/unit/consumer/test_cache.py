"""The state between two reads: the pause after a read without a new token, and the error without a token."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from fake_ports import START
from rotator.consumer.cache import Cache
from rotator.consumer.token_clock import CachedToken, Moment
from rotator.errors import Retry, TokenExpired, TokenUnavailable

ZERO = Moment(now=START, monotonic=0.0)
TOKEN = CachedToken(value="token", read_at=ZERO, lifetime=60, refresh_after=30, margin=10)
DENIED = TokenUnavailable("the read was denied", advice="allow it", retry=Retry.NEXT_CALL)
EMPTY = Cache(now=lambda: ZERO)


def later(cache: Cache, seconds: float) -> Cache:
    return replace(cache, now=lambda: Moment(now=START + timedelta(seconds=seconds), monotonic=seconds))


@pytest.mark.parametrize(
    ("reads", "seconds"), [(1, 0.04), (2, 0.08), (3, 0.16), (8, 5.12), (9, 10), (2000, 10)]
)
def test_pause_doubles_up_to_ten_seconds(reads: int, seconds: float) -> None:
    cache = EMPTY
    for _ in range(reads):
        cache = cache.after(DENIED)
    assert not later(cache, seconds - 0.001).may_read()
    assert later(cache, seconds).may_read()


def test_first_read_and_new_token_cause_no_pause() -> None:
    assert EMPTY.may_read()
    assert EMPTY.after(DENIED).after(TOKEN).may_read()
    assert not EMPTY.after(TOKEN).after(TOKEN).may_read()


def test_new_token_clears_the_failure_and_keeps_the_clock() -> None:
    cache = later(EMPTY.after(DENIED), 5).after(TOKEN)
    assert (cache.failure, cache.cached, cache.now().monotonic) == (None, TOKEN, 5)
    assert cache.after(DENIED).cached is TOKEN


def test_error_of_failed_read_has_its_advice_and_the_expiry() -> None:
    error = later(EMPTY.after(TOKEN).after(DENIED), 90).error("/a/token")
    assert (type(error), error.retry) == (TokenUnavailable, Retry.NEXT_CALL)
    assert error.problem == "the read was denied, and the last token expired 30 s ago"
    assert str(EMPTY.after(DENIED).error("/a/token")) == str(DENIED)


def test_error_after_expiry_names_parameter_and_operator() -> None:
    error = later(EMPTY.after(TOKEN), 90).error("/a/token")
    assert type(error) is TokenExpired
    assert str(error) == (
        "the token in /a/token has expired, and the last read returned no newer one; ask the operator of the "
        "rotation to renew it; `rotator status` shows why it was not renewed"
    )


def test_error_without_answer_names_parameter_and_network() -> None:
    assert str(EMPTY.error("/a/token")) == (
        "timed out while waiting for the parameter /a/token to be read; check the network path to AWS, and "
        "the source of the AWS credentials"
    )


def test_token_is_valid_until_its_expiry() -> None:
    cache = EMPTY.after(TOKEN)
    assert [later(cache, seconds).valid_token() for seconds in (59.9, 60)] == ["token", None]
