"""Failed reads: the last token is returned while it is valid, then an error that names the cause."""

from __future__ import annotations

import logging
import threading

import pytest

from fake_ports import CANARY_TOKEN, DAY
from rotator.errors import TokenUnavailable
from token_source_setup import Consumer, consumer

HOUR = 3600


def test_failed_reads_return_cached_token_until_it_expires(fresh: Consumer) -> None:
    fresh.reader.fail()
    assert set(fresh.tokens_in(DAY - 60, every=60)) == {"one"}
    given = fresh.tokens_in(600, every=10)
    assert given[:5] == ["one"] * 5
    assert set(given[7:]) == {"TokenUnavailable"}


def test_error_after_expiry_names_read_failure_and_expiry(fresh: Consumer) -> None:
    fresh.reader.fail("AccessDeniedException")
    fresh.clocks.advance(DAY + 60)
    reported = r"AccessDeniedException, and the last token expired 6[01] s ago; check the network"
    with pytest.raises(TokenUnavailable, match=reported):
        fresh.source.token()


def test_successful_read_clears_recorded_failure(fresh: Consumer) -> None:
    fresh.reader.fail("AccessDeniedException")
    fresh.clocks.advance(DAY - 30)
    fresh.token()
    assert "AccessDeniedException" in str(fresh.source._cache.failure)
    fresh.reader.failure = None
    fresh.clocks.advance(10)
    fresh.token()
    assert fresh.source._cache.failure is None


def test_failed_reads_log_one_warning_while_token_is_valid(
    fresh: Consumer, caplog: pytest.LogCaptureFixture
) -> None:
    fresh.reader.fail("ThrottlingException")
    fresh.clocks.advance(21 * HOUR)
    fresh.token()
    fresh.clocks.advance(60)
    fresh.token()
    [record] = [each for each in caplog.records if each.levelno >= logging.WARNING]  # once, for all reads
    assert fresh.reader.reads == 3
    assert record.levelno == logging.WARNING
    assert "the cached token is used until it expires" in record.getMessage()
    assert "ThrottlingException" in record.getMessage()


def test_unreachable_parameter_is_read_at_limited_rate(fresh: Consumer) -> None:
    fresh.reader.fail()
    fresh.clocks.advance(2 * DAY)
    assert set(fresh.tokens_in(1000)) == {"TokenUnavailable"}
    assert fresh.reader.reads < 130


def test_recovered_parameter_is_read_within_seconds(fresh: Consumer) -> None:
    fresh.reader.fail()
    fresh.clocks.advance(2 * DAY)
    fresh.tokens_in(1000)
    fresh.reader.failure = None
    fresh.reader.publish("two")
    assert fresh.tokens_in(12)[-1] == "two"


def test_new_token_resets_read_backoff_after_outage(fresh: Consumer) -> None:
    fresh.reader.fail()
    fresh.clocks.advance(2 * DAY)
    fresh.tokens_in(1000)
    fresh.reader.failure = None
    fresh.reader.publish("two")
    fresh.tokens_in(12)
    assert fresh.source.replacement("two") is None
    fresh.reader.publish("three")
    fresh.clocks.advance(1)
    assert fresh.source.replacement("two") == "three"


def test_read_latency_does_not_extend_token_lifetime() -> None:
    made = consumer()
    made.reader.publish("one", lifetime=300)
    made.reader.latency = 100
    assert made.token() == "one"
    made.reader.fail()
    made.clocks.advance(200)
    assert made.token_or_error() == "TokenUnavailable"


@pytest.mark.parametrize("spoiled", ["", "not a token", "two\n"])
def test_invalid_parameter_value_keeps_valid_cached_token(fresh: Consumer, spoiled: str) -> None:
    fresh.reader.publish(spoiled)
    fresh.clocks.advance(21 * HOUR)
    assert fresh.tokens_in(600, every=60) == ["one"] * 10


def test_expired_stored_token_keeps_valid_cached_token(fresh: Consumer) -> None:
    fresh.reader.publish("two", lifetime=60)
    fresh.clocks.advance(21 * HOUR)
    assert fresh.tokens_in(600, every=60) == ["one"] * 10


def test_unforeseen_read_error_raises_token_unavailable() -> None:
    made = consumer()
    made.reader.failure = ZeroDivisionError(CANARY_TOKEN)
    with pytest.raises(TokenUnavailable, match="unexpected ZeroDivisionError") as caught:
        made.source.token()
    assert CANARY_TOKEN not in str(caught.value)


def test_system_exit_in_read_raises_token_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    made = consumer()
    made.reader.failure = SystemExit(CANARY_TOKEN)
    with pytest.raises(TokenUnavailable, match="unexpected SystemExit"):
        made.source.token()


def test_log_handler_calling_source_does_not_deadlock(fresh: Consumer) -> None:
    given = []

    class Handler(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            given.append(fresh.source.token())

    handler = Handler()
    logging.getLogger("rotator.consumer").addHandler(handler)
    try:
        fresh.reader.fail()
        fresh.clocks.advance(DAY - 30)
        assert fresh.source.token() == "one"
        fresh.settle()
    finally:
        logging.getLogger("rotator.consumer").removeHandler(handler)
    assert given == ["one"]
