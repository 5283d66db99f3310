"""A consumer whose clocks are wrong, jump or stop: it never returns a token after its expiry."""

from __future__ import annotations

import random
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_ports import DAY
from rotator.consumer.token_clock import current_moment
from rotator.errors import TokenExpired
from token_source_setup import consumer

HOUR = 3600


@pytest.mark.parametrize("wrong_by", [-30 * 365 * DAY, -DAY, -300, -60, 60, 300])
def test_clock_behind_or_slightly_ahead_costs_no_extra_read(wrong_by: float) -> None:
    """AWS refuses requests whose signature is more than five minutes off its own time."""
    made = consumer()
    made.clocks.jump(wrong_by)
    made.reader.publish("one")
    assert set(made.tokens_in(19 * HOUR, every=600)) == {"one"}
    assert made.reader.reads == 1


@pytest.mark.parametrize("wrong_by", [-DAY, -300, 0])
def test_clock_behind_does_not_extend_token_lifetime(wrong_by: float) -> None:
    made = consumer()
    made.clocks.jump(wrong_by)
    made.reader.publish("one")
    assert made.tokens_in(DAY + 60, every=60)[-3:] == ["one", "TokenExpired", "TokenExpired"]


def test_machine_clock_is_used_without_aws_time() -> None:
    made = consumer(has_time=False)
    made.clocks.jump(2 * DAY)
    made.reader.publish("one")
    with pytest.raises(TokenExpired):
        made.source.token()


def test_clock_jumping_back_does_not_extend_token_lifetime() -> None:
    made = consumer()
    made.reader.publish("one")
    made.token()
    made.reader.fail()
    made.clocks.advance(12 * HOUR)
    made.clocks.jump(-11 * HOUR)
    given_tokens = made.tokens_in(12 * HOUR + 60, every=60)
    assert given_tokens == ["one"] * 719 + ["TokenUnavailable"] * 2


@pytest.mark.parametrize("spread", [0.0, 0.5, 0.99])
def test_clock_jumping_ahead_costs_one_read_and_no_error(
    spread: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "random", lambda: spread)
    made = consumer()
    made.reader.publish("one")
    made.token()
    made.clocks.jump(20 * HOUR)
    assert set(made.tokens_in(HOUR, every=60)) == {"one"}
    assert made.reader.reads == 2


def test_clock_jump_past_expiry_raises_until_clock_is_corrected() -> None:
    made = consumer()
    made.reader.publish("one")
    made.token()
    made.clocks.jump(3 * DAY)
    assert set(made.tokens_in(HOUR, every=60)) == {"TokenExpired"}
    made.clocks.jump(-3 * DAY)
    assert set(made.tokens_in(HOUR, every=60)) == {"one"}


def test_machine_freeze_counts_toward_token_expiry() -> None:
    made = consumer()
    made.reader.publish("one")
    made.token()
    made.reader.fail()
    made.clocks.freeze(DAY + 60)
    assert made.token_or_error() == "TokenUnavailable"


def test_system_clock_moments_do_not_go_back_and_are_in_utc() -> None:
    first = current_moment()
    assert current_moment().seconds_since(first) >= 0
    assert first.now.tzinfo is UTC


times = st.integers(1, 8 * HOUR)
always = (
    st.tuples(st.just("advance"), times),
    st.tuples(st.just("publish"), st.integers(30, DAY)),
    st.tuples(st.just("fail"), st.just(0)),
    st.tuples(st.just("recover"), st.just(0)),
)
jumps = st.tuples(st.just("jump"), st.integers(-3 * DAY, 3 * DAY))
jumps_ahead = st.tuples(st.just("jump"), st.integers(1, 3 * DAY))
freezes = st.tuples(st.just("freeze"), times)
events_on_clocks = st.one_of(  # a machine that is frozen and set back has no correct clock
    st.lists(st.one_of(*always, jumps), max_size=30),
    st.lists(st.one_of(*always, freezes, jumps_ahead), max_size=30),
)


@settings(max_examples=300, deadline=None)
@given(events_on_clocks, st.sampled_from([0, 7, 100]))
def test_source_never_returns_expired_token_for_any_events(
    events: list[tuple[str, int]], latency: int
) -> None:
    made = consumer()
    made.reader.latency = latency
    ends = {}
    for number, (event, amount) in enumerate([("publish", DAY), *events]):
        if event == "publish":
            made.reader.publish(f"token-{number}", lifetime=amount)
            ends[f"token-{number}"] = made.clocks.true.timestamp() + amount
        elif event == "fail":
            made.reader.fail()
        elif event == "recover":
            made.reader.failure = None
        else:
            getattr(made.clocks, event)(amount)
        asked_at = made.clocks.true.timestamp()
        token = made.token_or_error()
        if token in ends:
            assert asked_at <= ends[token]
        else:
            assert token in ("TokenExpired", "TokenUnavailable")
