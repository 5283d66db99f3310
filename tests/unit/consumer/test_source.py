"""A token source: one read per renewal, the last token while it is valid, and then a clear error."""

from __future__ import annotations

import math
import threading

import pytest

from fake_ports import CANARY_TOKEN, DAY, jwt
from rotator.consumer import TokenSource
from rotator.consumer.token_source import LONGEST_WAIT_SECONDS, REFRESH_WAIT_SECONDS
from rotator.errors import RotatorError, TokenExpired, TokenUnavailable
from token_source_setup import Consumer, consumer, in_threads

HOUR = 3600


def held_up_by_a_read(made: Consumer, seconds: float) -> str:
    """Return the token of a call n seconds later, which waits for a read that returns the next token."""
    made.clocks.advance(seconds)
    made.reader.publish("two")
    made.reader.gate = threading.Event()
    given: list[str] = []
    [thread] = in_threads(1, lambda: given.append(made.source.token()))
    while made.reader.at_once == 0:
        thread.join(0.01)
    thread.join(0.2)
    made.reader.gate.set()
    thread.join(10)
    return given[0]


def test_a_token_is_read_once_and_kept(fresh: Consumer) -> None:
    assert set(fresh.tokens_in(12 * HOUR, every=600)) == {"one"}
    assert fresh.reader.reads == 1


def test_new_source_reads_nothing_before_first_token_call() -> None:
    assert consumer().reader.reads == 0


def test_renewed_token_is_fetched_early_with_one_read(fresh: Consumer) -> None:
    fresh.clocks.advance(16 * HOUR)
    fresh.reader.publish("two")
    given = fresh.tokens_in(8 * HOUR, every=60)
    assert given.index("two") * 60 == pytest.approx(
        4 * HOUR, abs=0.1 * 8 * HOUR + 120
    )  # about half of the window
    assert "one" not in given[given.index("two") :]
    assert fresh.reader.reads == 2


def test_consumers_spread_their_refresh_times() -> None:
    fleet = [consumer() for _ in range(100)]
    for each in fleet:
        each.reader.publish("one")
        each.token()
    after = [cached.refresh_after for each in fleet if (cached := each.source._cache.cached)]
    assert min(after) >= 16 * HOUR + 0.4 * 8 * HOUR - 2
    assert max(after) <= 16 * HOUR + 0.6 * 8 * HOUR + 2
    assert max(after) - min(after) > 0.5 * 0.2 * 8 * HOUR


def test_early_refresh_does_not_block_callers(fresh: Consumer) -> None:
    fresh.reader.publish("two")
    fresh.reader.gate = threading.Event()
    fresh.clocks.advance(21 * HOUR)
    assert [fresh.source.token() for _ in range(9)] == ["one"] * 9
    assert fresh.source.read_to_await() == (None, 0)
    fresh.reader.gate.set()
    fresh.settle()
    assert fresh.source.token() == "two"
    assert fresh.reader.reads == 2


@pytest.mark.parametrize(
    ("seconds", "longest_wait"), [(DAY - 30, REFRESH_WAIT_SECONDS), (DAY + 30, LONGEST_WAIT_SECONDS)]
)
def test_read_to_await_returns_read_and_longest_wait(
    fresh: Consumer, seconds: float, longest_wait: float
) -> None:
    fresh.clocks.advance(seconds)
    fresh.reader.publish("two")
    read, longest = fresh.source.read_to_await()
    assert longest == longest_wait
    assert read
    assert read.wait(10)
    assert fresh.source.token_at_hand() == "two"


def test_read_that_times_out_raises_token_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rotator.consumer.token_source.LONGEST_WAIT_SECONDS", 0.01)
    made = consumer()
    made.reader.gate = threading.Event()
    with pytest.raises(
        TokenUnavailable,
        match=r"timed out while waiting for the parameter .* to be read; check the network path",
    ):
        made.source.token()
    made.reader.gate.set()
    made.settle()


def test_last_minute_call_waits_for_newer_token(fresh: Consumer) -> None:
    assert held_up_by_a_read(fresh, DAY - 30) == "two"


def test_call_after_expiry_waits_until_read_completes(
    fresh: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rotator.consumer.token_source.REFRESH_WAIT_SECONDS", 0.0)
    assert held_up_by_a_read(fresh, DAY + 30) == "two"


def test_last_minute_call_returns_old_token_if_read_is_slow(
    fresh: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rotator.consumer.token_source.REFRESH_WAIT_SECONDS", 0.01)
    fresh.reader.gate = threading.Event()
    fresh.clocks.advance(DAY - 30)
    given: list[str] = []
    [thread] = in_threads(1, lambda: given.append(fresh.source.token()))
    thread.join(20)
    assert (given, fresh.reader.at_once) == (["one"], 1)  # while the read goes on
    fresh.reader.gate.set()
    fresh.settle()


def test_short_lived_token_is_refreshed_without_blocking() -> None:
    made = consumer()
    made.reader.publish(jwt({"exp": made.clocks.true.timestamp() + 300}), status=False)
    made.token()
    made.clocks.advance(200)  # of 300, the last 60 of which are the margin
    assert made.source.read_to_await() == (None, 0)
    made.settle()
    assert made.reader.reads == 2


def test_token_that_is_not_renewed_is_reread_at_limited_rate(
    fresh: Consumer,
) -> None:
    given = fresh.tokens_in(DAY - 120, every=1)
    assert set(given) == {"one"}
    assert 5 < fresh.reader.reads < 40


def test_expired_token_raises_token_expired_with_advice(fresh: Consumer) -> None:
    fresh.clocks.advance(DAY + 180)
    with pytest.raises(TokenExpired, match=r"the token in /healthwise/token expired 18[01] s ago") as caught:
        fresh.source.token()
    assert "rotator status" in caught.value.advice


def test_first_read_of_expired_token_raises_token_expired() -> None:
    made = consumer()
    made.reader.publish("one", lifetime=60)
    made.clocks.advance(3600)
    with pytest.raises(TokenExpired, match=r"expired 354[01] s ago"):
        made.source.token()


def test_expired_token_is_reread_until_renewed(fresh: Consumer) -> None:
    assert set(fresh.tokens_in(2 * DAY, every=300)[-10:]) == {"TokenExpired"}
    fresh.reader.publish("two")
    fresh.clocks.advance(10)
    assert fresh.token() == "two"


def test_token_expiring_between_reads_raises_token_expired(fresh: Consumer) -> None:
    fresh.clocks.advance(DAY - 2)
    assert fresh.token() == "one"
    for _ in range(6):  # reads that bring nothing new, and make the next pause longer
        fresh.clocks.advance(0.3)
        fresh.token_or_error()
    fresh.clocks.advance(0.3)
    with pytest.raises(TokenExpired, match="expired"):
        fresh.source.token()


@pytest.mark.parametrize("options", [{"ttl": 0}, {"ttl": -5}, {"ttl": math.nan}, {"margin": -1}])
def test_invalid_ttl_or_margin_raises_value_error(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="ttl must be more than 0 seconds"):
        TokenSource(
            "/healthwise/token",
            reader=consumer().reader,
            ttl=options.get("ttl", 300),
            margin=options.get("margin", 60),
        )


@pytest.mark.parametrize("lifetime", [2, 20, 60, 100])
def test_margin_longer_than_lifetime_does_not_cause_rereads(lifetime: int) -> None:
    made = consumer(margin=120)
    made.reader.publish("one", lifetime=lifetime)
    for _ in range(200):
        made.token()
        made.clocks.advance(lifetime / 1000)
    assert made.reader.reads == 1


def test_opaque_token_without_status_is_cached_for_ttl() -> None:
    made = consumer(ttl=100)
    made.reader.publish("one", status=False)
    assert set(made.tokens_in(80)) == {"one"}
    made.reader.publish("two", status=False)
    assert made.reader.reads == 1
    assert made.tokens_in(22)[-1] == "two"
    assert made.reader.reads == 2


def test_token_of_unknown_expiry_is_unavailable_after_ttl() -> None:
    made = consumer(ttl=100)
    made.reader.publish("one", status=False)
    made.token()
    made.reader.fail()
    given = made.tokens_in(120)
    assert set(given[:98]) == {"one"}
    assert set(given[100:]) == {"TokenUnavailable"}


def test_jwt_without_status_is_cached_until_its_exp() -> None:
    made = consumer()
    token = jwt({"exp": made.clocks.true.timestamp() + HOUR})
    made.reader.publish(token, status=False)
    made.token()
    made.reader.fail()
    given = made.tokens_in(HOUR + 60, every=60)
    assert given == [token] * 59 + ["TokenUnavailable"] * 2


def test_rejected_token_is_replaced_by_newer_stored_token(fresh: Consumer) -> None:
    fresh.reader.publish("two")
    assert fresh.source.replacement("one") == "two"
    assert fresh.source.token() == "two"
    assert fresh.reader.reads == 2


def test_rejected_token_still_stored_has_no_replacement(fresh: Consumer) -> None:
    assert fresh.source.replacement("one") is None
    assert fresh.source.token() == "one"
    assert fresh.reader.reads == 2


def test_already_replaced_token_needs_no_further_read(fresh: Consumer) -> None:
    fresh.reader.publish("two")
    fresh.source.replacement("one")
    assert fresh.source.replacement("one") == "two"
    assert fresh.reader.reads == 2


def test_repeated_rejections_read_rarely_and_find_new_token(
    fresh: Consumer,
) -> None:
    for _ in range(10_000):
        fresh.source.replacement("one")
        fresh.clocks.advance(0.1)
    assert fresh.reader.reads < 130
    fresh.reader.publish("two")
    fresh.clocks.advance(10)
    assert fresh.source.replacement("one") == "two"


def test_replacement_is_none_when_read_fails(fresh: Consumer) -> None:
    fresh.reader.fail()
    assert fresh.source.replacement("one") is None


def test_a_source_shows_its_parameter_and_no_token(fresh: Consumer) -> None:
    fresh.reader.publish(CANARY_TOKEN)
    fresh.source.replacement("one")
    shown = repr(fresh.source) + repr(fresh.source._cache.cached) + str(vars(fresh.source))
    assert "/healthwise/token" in shown
    assert CANARY_TOKEN not in shown


def test_each_caller_gets_an_error_of_its_own() -> None:
    made = consumer()
    errors = []
    for _ in range(3):
        with pytest.raises(RotatorError) as caught:
            made.source.token()
        errors.append(caught.value)
    assert len({id(error) for error in errors}) == 3


def test_seconds_left_counts_down_and_is_zero_without_token(fresh: Consumer) -> None:
    assert consumer().source.seconds_left() == 0
    before = fresh.source.seconds_left()
    assert before == pytest.approx(DAY, abs=1)
    fresh.clocks.advance(HOUR)
    assert before - fresh.source.seconds_left() == HOUR
    fresh.clocks.advance(DAY)
    assert fresh.source.seconds_left() == 0
