"""Reads that fail: the last good token is given while it is good, then an error that tells the cause."""

from __future__ import annotations

import logging
import threading

import pytest

from fake_ports import CANARY_TOKEN, DAY
from rotator.errors import TokenUnavailable
from token_source_setup import Consumer, consumer

HOUR = 3600


def test_while_the_parameter_cannot_be_read_the_last_good_token_is_given(fresh: Consumer) -> None:
    fresh.reader.fail()
    assert set(fresh.tokens_in(DAY - 60, every=60)) == {"one"}
    given = fresh.tokens_in(600, every=10)
    assert given[:5] == ["one"] * 5
    assert set(given[7:]) == {"TokenUnavailable"}


def test_the_error_after_that_tells_the_cause_and_that_the_token_ended(fresh: Consumer) -> None:
    fresh.reader.fail("AccessDeniedException")
    fresh.clocks.go_on(DAY + 60)
    told = r"AccessDeniedException, and the last token expired 6[01] s ago; check the network"
    with pytest.raises(TokenUnavailable, match=told):
        fresh.source.token()


def test_a_read_that_works_again_ends_the_cause(fresh: Consumer) -> None:
    fresh.reader.fail("AccessDeniedException")
    fresh.clocks.go_on(DAY - 30)
    fresh.token()
    assert "AccessDeniedException" in str(fresh.source._cache.failure)
    fresh.reader.failure = None
    fresh.clocks.go_on(10)
    fresh.token()
    assert fresh.source._cache.failure is None


def test_a_failing_read_is_told_in_the_log_while_the_token_lives(
    fresh: Consumer, caplog: pytest.LogCaptureFixture
) -> None:
    fresh.reader.fail("ThrottlingException")
    fresh.clocks.go_on(21 * HOUR)
    fresh.token()
    fresh.clocks.go_on(60)
    fresh.token()
    [record] = [each for each in caplog.records if each.levelno >= logging.WARNING]  # once, for all reads
    assert fresh.reader.reads == 3
    assert record.levelno == logging.WARNING
    assert "the last token is used until it expires" in record.getMessage()
    assert "ThrottlingException" in record.getMessage()


def test_a_parameter_that_is_out_of_reach_is_not_hammered(fresh: Consumer) -> None:
    fresh.reader.fail()
    fresh.clocks.go_on(2 * DAY)
    assert set(fresh.tokens_in(1000)) == {"TokenUnavailable"}
    assert fresh.reader.reads < 130


def test_the_moment_it_can_be_read_again_is_noticed_within_seconds(fresh: Consumer) -> None:
    fresh.reader.fail()
    fresh.clocks.go_on(2 * DAY)
    fresh.tokens_in(1000)
    fresh.reader.failure = None
    fresh.reader.publish("two")
    assert fresh.tokens_in(12)[-1] == "two"


def test_a_new_token_ends_the_long_pauses_of_an_outage(fresh: Consumer) -> None:
    fresh.reader.fail()
    fresh.clocks.go_on(2 * DAY)
    fresh.tokens_in(1000)
    fresh.reader.failure = None
    fresh.reader.publish("two")
    fresh.tokens_in(12)
    assert fresh.source.replacement("two") is None
    fresh.reader.publish("three")
    fresh.clocks.go_on(1)
    assert fresh.source.replacement("two") == "three"


def test_the_time_that_an_answer_takes_is_not_added_to_the_tokens_life() -> None:
    made = consumer()
    made.reader.publish("one", life=300)
    made.reader.latency = 100
    assert made.token() == "one"
    made.reader.fail()
    made.clocks.go_on(200)
    assert made.token_or_error() == "TokenUnavailable"


@pytest.mark.parametrize("spoiled", ["", "not a token", "two\n"])
def test_a_parameter_that_is_spoiled_does_not_take_the_good_token_away(fresh: Consumer, spoiled: str) -> None:
    fresh.reader.publish(spoiled)
    fresh.clocks.go_on(21 * HOUR)
    assert fresh.tokens_in(600, every=60) == ["one"] * 10


def test_an_ended_token_in_the_parameter_does_not_take_a_good_one_away(fresh: Consumer) -> None:
    fresh.reader.publish("two", life=60)
    fresh.clocks.go_on(21 * HOUR)
    assert fresh.tokens_in(600, every=60) == ["one"] * 10


def test_a_defect_in_reading_is_an_error_of_ours_and_leaves_nobody_waiting() -> None:
    made = consumer()
    made.reader.failure = ZeroDivisionError(CANARY_TOKEN)
    with pytest.raises(TokenUnavailable, match="unforeseen ZeroDivisionError") as caught:
        made.source.token()
    assert CANARY_TOKEN not in str(caught.value)


def test_what_ends_a_thread_is_told_as_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    made = consumer()
    made.reader.failure = SystemExit(CANARY_TOKEN)
    with pytest.raises(TokenUnavailable, match="unforeseen SystemExit"):
        made.source.token()


def test_a_log_handler_that_uses_the_source_does_not_wait_for_itself(fresh: Consumer) -> None:
    given = []

    class Handler(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            given.append(fresh.source.token())

    handler = Handler()
    logging.getLogger("rotator.consumer").addHandler(handler)
    try:
        fresh.reader.fail()
        fresh.clocks.go_on(DAY - 30)
        assert fresh.source.token() == "one"
        fresh.settle()
    finally:
        logging.getLogger("rotator.consumer").removeHandler(handler)
    assert given == ["one"]
