"""A token source: one read a renewal, the last good token while it is good, and then a clear error."""

from __future__ import annotations

import logging
import math
import threading

import pytest

from consumers import Consumer, consumer, in_threads
from fakes import CANARY_TOKEN, DAY, jwt
from rotator.consumer import TokenSource
from rotator.consumer.source import LONGEST_WAIT, PATIENCE
from rotator.errors import RotatorError, TokenExpired, TokenUnavailable

HOUR = 3600


@pytest.fixture
def fresh() -> Consumer:
    """A consumer that holds a token of a day's life, just issued."""
    made = consumer()
    made.reader.publish("one")
    assert made.token() == "one"
    return made


def held_up_by_a_read(made: Consumer, seconds: float) -> str:
    """What a call gets so much later, when a read holds the next token and ends while the call waits."""
    made.clocks.go_on(seconds)
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


def test_nothing_is_read_before_a_token_is_asked_for() -> None:
    assert consumer().reader.reads == 0


def test_a_renewed_token_is_taken_ahead_of_need_with_one_read(fresh: Consumer) -> None:
    fresh.clocks.go_on(16 * HOUR)
    fresh.reader.publish("two")
    given = fresh.tokens_in(8 * HOUR, every=60)
    assert given.index("two") * 60 == pytest.approx(
        4 * HOUR, abs=0.1 * 8 * HOUR + 120
    )  # about half of the window
    assert "one" not in given[given.index("two") :]
    assert fresh.reader.reads == 2


def test_a_fleet_of_consumers_does_not_read_as_one() -> None:
    fleet = [consumer() for _ in range(100)]
    for each in fleet:
        each.reader.publish("one")
        each.token()
    after = [copy.ahead_after for each in fleet if (copy := each.source._held.copy)]
    assert min(after) >= 16 * HOUR + 0.4 * 8 * HOUR - 2
    assert max(after) <= 16 * HOUR + 0.6 * 8 * HOUR + 2
    assert max(after) - min(after) > 0.5 * 0.2 * 8 * HOUR


def test_while_it_is_refreshed_ahead_nobody_waits(fresh: Consumer) -> None:
    fresh.reader.publish("two")
    fresh.reader.gate = threading.Event()
    fresh.clocks.go_on(21 * HOUR)
    assert [fresh.source.token() for _ in range(9)] == ["one"] * 9
    assert fresh.source.read_to_await() == (None, 0)
    fresh.reader.gate.set()
    fresh.settle()
    assert fresh.source.token() == "two"
    assert fresh.reader.reads == 2


@pytest.mark.parametrize(("seconds", "patience"), [(DAY - 30, PATIENCE), (DAY + 30, LONGEST_WAIT)])
def test_who_waits_in_a_way_of_his_own_is_told_for_what_and_how_long(
    fresh: Consumer, seconds: float, patience: float
) -> None:
    fresh.clocks.go_on(seconds)
    fresh.reader.publish("two")
    read, longest = fresh.source.read_to_await()
    assert longest == patience
    assert read
    assert read.wait(10)
    assert fresh.source.token_at_hand() == "two"


def test_a_read_that_does_not_end_is_an_error_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rotator.consumer.source.LONGEST_WAIT", 0.01)
    made = consumer()
    made.reader.gate = threading.Event()
    with pytest.raises(TokenUnavailable, match="is being read for long; check the network path"):
        made.source.token()
    made.reader.gate.set()
    made.settle()


def test_in_its_last_minute_a_better_token_is_waited_for_a_little(fresh: Consumer) -> None:
    assert held_up_by_a_read(fresh, DAY - 30) == "two"


def test_a_token_that_ended_is_waited_for_as_long_as_the_read_takes(
    fresh: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rotator.consumer.source.PATIENCE", 0.0)
    assert held_up_by_a_read(fresh, DAY + 30) == "two"


def test_in_its_last_minute_a_read_that_hangs_is_not_waited_for_long(
    fresh: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rotator.consumer.source.PATIENCE", 0.01)
    fresh.reader.gate = threading.Event()
    fresh.clocks.go_on(DAY - 30)
    given: list[str] = []
    [thread] = in_threads(1, lambda: given.append(fresh.source.token()))
    thread.join(20)
    assert (given, fresh.reader.at_once) == (["one"], 1)  # while the read goes on
    fresh.reader.gate.set()
    fresh.settle()


def test_a_token_of_a_short_life_is_refreshed_before_anybody_has_to_wait() -> None:
    made = consumer()
    made.reader.publish(jwt({"exp": made.clocks.true.timestamp() + 300}), status=False)
    made.token()
    made.clocks.go_on(200)  # of 300, the last 60 of which are the margin
    assert made.source.read_to_await() == (None, 0)
    made.settle()
    assert made.reader.reads == 2


def test_a_token_that_is_not_renewed_is_looked_for_again_and_again_and_not_with_every_call(
    fresh: Consumer,
) -> None:
    given = fresh.tokens_in(DAY - 120, every=1)
    assert set(given) == {"one"}
    assert 5 < fresh.reader.reads < 40


def test_a_token_that_ended_is_an_error_that_says_so(fresh: Consumer) -> None:
    fresh.clocks.go_on(DAY + 180)
    with pytest.raises(TokenExpired, match=r"the token in /healthwise/token ended 18[01] s ago") as caught:
        fresh.source.token()
    assert "rotator status" in caught.value.advice


def test_an_end_in_the_past_is_an_error_from_the_first_call_on() -> None:
    made = consumer()
    made.reader.publish("one", life=60)
    made.clocks.go_on(3600)
    with pytest.raises(TokenExpired, match=r"ended 354[01] s ago"):
        made.source.token()


def test_an_ended_token_is_read_again_until_it_is_renewed(fresh: Consumer) -> None:
    assert set(fresh.tokens_in(2 * DAY, every=300)[-10:]) == {"TokenExpired"}
    fresh.reader.publish("two")
    fresh.clocks.go_on(10)
    assert fresh.token() == "two"


def test_a_token_that_ends_between_two_reads_is_not_given(fresh: Consumer) -> None:
    fresh.clocks.go_on(DAY - 2)
    assert fresh.token() == "one"
    for _ in range(6):  # reads that bring nothing new, and make the next pause longer
        fresh.clocks.go_on(0.3)
        fresh.token_or_error()
    fresh.clocks.go_on(0.3)
    with pytest.raises(TokenExpired, match="ended"):
        fresh.source.token()


def test_while_the_parameter_cannot_be_read_the_last_good_token_is_given(fresh: Consumer) -> None:
    fresh.reader.fail()
    assert set(fresh.tokens_in(DAY - 60, every=60)) == {"one"}
    given = fresh.tokens_in(600, every=10)
    assert given[:5] == ["one"] * 5
    assert set(given[7:]) == {"TokenUnavailable"}


def test_the_error_after_that_tells_the_cause_and_that_the_token_ended(fresh: Consumer) -> None:
    fresh.reader.fail("AccessDeniedException")
    fresh.clocks.go_on(DAY + 60)
    told = r"AccessDeniedException, and the last token ended 6[01] s ago; check the network"
    with pytest.raises(TokenUnavailable, match=told):
        fresh.source.token()


def test_a_read_that_works_again_ends_the_cause(fresh: Consumer) -> None:
    fresh.reader.fail("AccessDeniedException")
    fresh.clocks.go_on(DAY - 30)
    fresh.token()
    assert "AccessDeniedException" in str(fresh.source._held.failure)
    fresh.reader.failure = None
    fresh.clocks.go_on(10)
    fresh.token()
    assert fresh.source._held.failure is None


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
    assert "the last token is used until it ends" in record.getMessage()
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


@pytest.mark.parametrize("options", [{"ttl": 0}, {"ttl": -5}, {"ttl": math.nan}, {"margin": -1}])
def test_a_ttl_or_margin_that_makes_no_sense_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="ttl is more than 0 seconds"):
        TokenSource(
            "/healthwise/token",
            reader=consumer().reader,
            ttl=options.get("ttl", 300),
            margin=options.get("margin", 60),
        )


@pytest.mark.parametrize("life", [2, 20, 60, 100])
def test_a_margin_as_long_as_the_life_does_not_have_every_call_read(life: int) -> None:
    made = consumer(margin=120)
    made.reader.publish("one", life=life)
    for _ in range(200):
        made.token()
        made.clocks.go_on(life / 1000)
    assert made.reader.reads == 1


def test_an_opaque_token_without_a_status_is_kept_for_the_ttl() -> None:
    made = consumer(ttl=100)
    made.reader.publish("one", status=False)
    assert set(made.tokens_in(80)) == {"one"}
    made.reader.publish("two", status=False)
    assert made.reader.reads == 1
    assert made.tokens_in(22)[-1] == "two"
    assert made.reader.reads == 2


def test_after_the_ttl_a_token_whose_end_nobody_tells_is_not_given_any_more() -> None:
    made = consumer(ttl=100)
    made.reader.publish("one", status=False)
    made.token()
    made.reader.fail()
    given = made.tokens_in(120)
    assert set(given[:98]) == {"one"}
    assert set(given[100:]) == {"TokenUnavailable"}


def test_a_jwt_without_a_status_is_kept_until_its_own_end() -> None:
    made = consumer()
    token = jwt({"exp": made.clocks.true.timestamp() + HOUR})
    made.reader.publish(token, status=False)
    made.token()
    made.reader.fail()
    given = made.tokens_in(HOUR + 60, every=60)
    assert given == [token] * 59 + ["TokenUnavailable"] * 2


def test_a_rejected_token_is_replaced_if_the_parameter_holds_another(fresh: Consumer) -> None:
    fresh.reader.publish("two")
    assert fresh.source.replacement("one") == "two"
    assert fresh.source.token() == "two"
    assert fresh.reader.reads == 2


def test_a_rejected_token_that_is_still_the_one_in_the_parameter_has_no_replacement(fresh: Consumer) -> None:
    assert fresh.source.replacement("one") is None
    assert fresh.source.token() == "one"
    assert fresh.reader.reads == 2


def test_a_token_that_was_replaced_meanwhile_costs_no_read(fresh: Consumer) -> None:
    fresh.reader.publish("two")
    fresh.source.replacement("one")
    assert fresh.source.replacement("one") == "two"
    assert fresh.reader.reads == 2


def test_rejections_without_end_do_not_hammer_the_parameter_and_a_new_token_is_found_within_seconds(
    fresh: Consumer,
) -> None:
    for _ in range(10_000):
        fresh.source.replacement("one")
        fresh.clocks.go_on(0.1)
    assert fresh.reader.reads < 130
    fresh.reader.publish("two")
    fresh.clocks.go_on(10)
    assert fresh.source.replacement("one") == "two"


def test_a_replacement_that_cannot_be_read_is_none(fresh: Consumer) -> None:
    fresh.reader.fail()
    assert fresh.source.replacement("one") is None


def test_a_source_shows_its_parameter_and_no_token(fresh: Consumer) -> None:
    fresh.reader.publish(CANARY_TOKEN)
    fresh.source.replacement("one")
    shown = repr(fresh.source) + repr(fresh.source._held.copy) + str(vars(fresh.source))
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


def test_what_is_left_of_the_token_is_told_and_nothing_of_none(fresh: Consumer) -> None:
    assert consumer().source.seconds_left() == 0
    before = fresh.source.seconds_left()
    assert before == pytest.approx(DAY, abs=1)
    fresh.clocks.go_on(HOUR)
    assert before - fresh.source.seconds_left() == HOUR
    fresh.clocks.go_on(DAY)
    assert fresh.source.seconds_left() == 0
