"""A tick hands over what is due, and workers serve what they are asked for, on fakes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

import fakes
from fakes import DAY, FakePorts, FakeWorkQueue
from rotator import bootstrap, messages, work
from rotator.bootstrap import Rotator
from rotator.errors import ParameterStoreError, WorkNotSent
from rotator.failure import LEFT
from rotator.model import Outcome, Parameter, Summary, format_time
from rotator.settings import Settings

PATH = "/rotations"


def document(of: str, **changes: Any) -> str:
    """A rotation's document."""
    given = {"secret_id": "healthwise/client", "parameter_name": f"/tokens/{of}", **changes}
    return json.dumps(given)


class Workshop:
    """A fleet with workers, on a clock of its own, whose rotations have documents."""

    def __init__(self, *names: str) -> None:
        self.clock = fakes.Clock()
        self.ports: FakePorts = fakes.ports(self.clock)
        self.queue = FakeWorkQueue()
        self.opened = 0
        for name in names:
            self.write(name, document(name))
        settings = Settings(rotation=None, rotations_path=PATH, queue_url="https://queue", workers=2)
        self.rotator = Rotator(settings=settings, ports=self.ports, open_queue=self.open)

    def open(self) -> FakeWorkQueue:
        self.opened += 1
        return self.queue

    def write(self, name: str, text: str) -> None:
        parameter = Parameter(value=text, version=1, type="String")
        self.ports.parameters.parameters[f"{PATH}/{name}"] = parameter

    def tick(self) -> Summary:
        return self.rotator.tick(fakes.run(self.clock))

    def work(self, *names: str) -> Summary:
        """What a worker does that is asked for these, in a message each."""
        batch = messages.Batch(wanted={name: (name,) for name in names}, malformed={})
        return self.rotator.work(fakes.run(self.clock), batch)

    @property
    def sent(self) -> list[str]:
        return [name for message in self.queue.messages for name in json.loads(message)["rotations"]]


def outcomes(summary: Summary) -> dict[str, str]:
    return {result.name: result.outcome.value for result in summary.results}


NAMES = [f"tenant-{number:02}" for number in range(25)]


def test_a_fleet_of_25_that_is_due_is_sent_in_three_calls_and_nothing_is_renewed() -> None:
    shop = Workshop(*NAMES)
    summary = shop.tick()
    assert [len(call) for call in shop.queue.calls] == [10, 10, 5]
    assert sorted(shop.sent) == NAMES
    assert outcomes(summary) == dict.fromkeys(NAMES, "busy")
    assert {result.note for result in summary.results} == {work.HANDED_OVER}
    assert shop.ports.parameters.writes == []
    assert shop.ports.token_endpoint.requests == []


def test_what_is_fresh_is_not_sent_and_the_queue_is_not_even_opened() -> None:
    shop = Workshop("a", "b")
    shop.work("a", "b")
    assert outcomes(shop.tick()) == {"a": "fresh", "b": "fresh"}
    assert shop.opened == 0


def test_what_another_run_is_at_just_now_is_not_sent() -> None:
    shop = Workshop("a", "b")
    until = format_time(shop.clock.now() + timedelta(minutes=5))
    status = {"schema": 1, "claimed_by": "another", "claimed_until": until}
    shop.ports.parameters.put("/tokens/a/status", json.dumps(status), "String")
    summary = shop.tick()
    assert outcomes(summary) == {"a": "busy", "b": "busy"}
    assert shop.sent == ["b"]


def test_what_ends_soonest_is_sent_first_and_before_it_what_has_no_token() -> None:
    shop = Workshop("a", "b", "c", "d")
    for name, life in (("a", 3 * DAY), ("b", DAY), ("d", 2 * DAY)):
        shop.ports.token_endpoint.answers.append(
            (200, shop.ports.token_endpoint.token_answer(expires_in=life, access_token=f"token-{name}"))
        )
        shop.work(name)
    shop.clock.sleep(2.9 * DAY)
    shop.tick()
    assert shop.sent == ["c", "b", "d", "a"]


def test_a_broken_document_is_failed_and_never_sent() -> None:
    shop = Workshop("a")
    shop.write("bad", "{")
    summary = shop.tick()
    assert outcomes(summary) == {"a": "busy", "bad": "failed"}
    assert shop.sent == ["a"]


def test_what_cannot_be_read_is_failed_and_not_sent() -> None:
    shop = Workshop("a")
    documents = dict(shop.ports.parameters.parameters)
    shop.ports.parameters.read_path = lambda path: iter([documents])  # type: ignore[method-assign]
    shop.ports.parameters.fails["read"] = ParameterStoreError("throttled", advice="wait")
    assert outcomes(shop.tick()) == {"a": "failed"}
    assert shop.queue.calls == []


def test_what_the_queue_refused_is_failed_with_what_consumers_still_have() -> None:
    shop = Workshop(*NAMES)
    shop.work(NAMES[3])
    shop.clock.sleep(0.7 * DAY)
    shop.queue.refuses = {messages.asking_for(NAMES[3]), messages.asking_for(NAMES[24])}
    summary = shop.tick()
    failed = {r.name: r for r in summary.results if r.outcome is Outcome.FAILED}
    assert failed.keys() == {NAMES[3], NAMES[24]}
    early, late = failed[NAMES[3]], failed[NAMES[24]]
    assert (early.late, late.late) == (False, True), "one has a token with time left, one has none"
    assert (early.seconds_remaining, late.seconds_remaining) == (round(0.3 * DAY), 0)
    assert {r.next_try for r in failed.values()} == {shop.clock.now() + timedelta(minutes=5)}
    assert {r.error_kind for r in failed.values()} == {"WorkNotSent"}
    assert len(shop.sent) == 23


def test_a_queue_that_fails_is_not_asked_again_in_the_same_tick() -> None:
    shop = Workshop(*NAMES)
    calls = []

    class Failing(FakeWorkQueue):
        def send(self, messages: Any) -> Any:
            calls.append(len(messages))
            if len(calls) == 2:
                raise WorkNotSent(
                    "it could not be handed over to the workers: AccessDenied", advice="allow it"
                )
            return super().send(messages)

    shop.queue = Failing()
    summary = shop.tick()
    assert calls == [10, 10]
    assert sorted(outcomes(summary).values()) == ["busy"] * 10 + ["failed"] * 15


def test_the_next_tick_sends_again_what_is_still_due() -> None:
    shop = Workshop("a", "b")
    shop.tick()
    shop.work("a")
    shop.tick()
    assert shop.sent == ["a", "b", "b"]


def test_a_tick_tells_what_consumers_have_of_what_it_handed_over() -> None:
    shop = Workshop("new", "old")
    shop.work("old")
    shop.clock.sleep(0.7 * DAY)
    new, old = shop.tick().results
    assert (new.seconds_remaining, new.expires_at) == (0, None)
    assert old.seconds_remaining == round(0.3 * DAY)


def test_workers_serve_what_they_are_asked_for_and_nothing_else() -> None:
    shop = Workshop("a", "b", "c")
    assert outcomes(shop.work("a", "c")) == {"a": "rotated", "c": "rotated"}
    assert "/tokens/b" not in shop.ports.parameters.parameters


def test_a_worker_does_not_tell_the_least_life_of_all_nor_any_by_name() -> None:
    assert Workshop("a", "b").work("a").left_out > 10


def test_a_worker_reads_the_documents_of_its_rotations_and_not_the_whole_path() -> None:
    shop = Workshop("a", "team.b")
    shop.write("team/c", document("c"))

    def unread(path: str) -> Any:
        raise AssertionError(path)

    shop.ports.parameters.read_path = unread  # type: ignore[method-assign]
    assert outcomes(shop.work("a", "team.b", "team.c")) == dict.fromkeys(["a", "team.b", "team.c"], "rotated")


def test_a_worker_that_is_asked_for_many_reads_ten_documents_a_call() -> None:
    shop = Workshop(*NAMES)
    sizes: list[int] = []
    read = shop.ports.parameters.read

    def watched(names: Any) -> Any:
        sizes.append(len(names))
        return read(names)

    def unread(path: str) -> Any:
        raise AssertionError(path)

    shop.ports.parameters.read = watched  # type: ignore[method-assign]
    shop.ports.parameters.read_path = unread  # type: ignore[method-assign]
    assert outcomes(shop.work(*NAMES)) == dict.fromkeys(NAMES, "rotated")
    assert sizes[:3] == [10, 10, 5]


def test_a_rotation_that_its_document_names_otherwise_is_found_all_the_same() -> None:
    shop = Workshop("a")
    shop.write("document-7", document("b", name="b"))
    assert outcomes(shop.work("a", "b")) == {"a": "rotated", "b": "rotated"}


def test_a_rotation_that_is_not_there_is_no_outcome_but_a_warning() -> None:
    shop = Workshop("a")
    summary = shop.work("gone", "a")
    assert outcomes(summary) == {"a": "rotated"}
    assert summary.warnings == (
        "message gone: there is no rotation named gone; it may have been deleted since",
    )


def test_where_no_document_is_left_a_worker_says_so_and_does_nothing() -> None:
    assert outcomes(Workshop().work("gone")) == {}


def test_a_document_that_broke_meanwhile_fails_alone() -> None:
    shop = Workshop("a")
    shop.write("bad", "{")
    assert outcomes(shop.work("a", "bad")) == {"a": "rotated", "bad": "failed"}


def test_of_two_documents_with_one_name_the_one_that_counts_is_served_by_the_tick_itself() -> None:
    """A worker, which reads documents by names, could find the other."""
    shop = Workshop("team.a", "b")
    shop.write("team/a", document("other"))
    summary = shop.tick()
    assert sorted((each.name, each.outcome.value) for each in summary.results) == [
        ("b", "busy"),
        ("team.a", "failed"),
        ("team.a", "rotated"),
    ]
    assert shop.sent == ["b"]
    assert "/tokens/team.a" in shop.ports.parameters.parameters


def test_what_is_handed_over_without_a_life_that_is_known_counts_as_dead() -> None:
    """Else nobody were called if no worker ever came to it."""
    shop = Workshop("unreadable", "unfinished", "well")
    shop.work("unreadable", "unfinished", "well")
    shop.clock.sleep(0.7 * DAY)
    shop.ports.parameters.put("/tokens/unreadable/status", "?", "String")
    status = shop.ports.parameters.status("/tokens/unfinished/status")
    ended = format_time(shop.clock.now() - timedelta(minutes=5))
    trace = {**status, "claimed_by": "another", "claimed_until": ended}
    shop.ports.parameters.put("/tokens/unfinished/status", json.dumps(trace), "String")
    lives = {each.name: (each.seconds_remaining, bool(each.expires_at)) for each in shop.tick().results}
    assert lives["unreadable"] == lives["unfinished"] == (0, False)
    assert lives["well"] == (0.3 * DAY, True)


@pytest.mark.parametrize(("seconds", "calls"), [(24, 3), (25, 2), (49.5, 2), (50, 1)])
def test_what_there_is_no_time_left_to_hand_over_is_left_to_the_next_tick(seconds: float, calls: int) -> None:
    """Of the run's 60 seconds, 50 are for that."""
    shop = Workshop(*NAMES)
    shop.work(NAMES[0])
    shop.clock.sleep(0.7 * DAY)
    send = shop.queue.send

    def slow(bodies: Any) -> Any:
        shop.clock.sleep(seconds)
        return send(bodies)

    shop.queue.send = slow  # type: ignore[method-assign,assignment]
    next_try = shop.clock.now() + timedelta(minutes=5)
    lives, *others = shop.tick().results
    assert len(shop.queue.calls) == calls
    failed = [each for each in others if each.error]
    assert [(each.error_kind, each.next_try) for each in failed] == [("NotReached", next_try)] * (
        24 - min(10 * calls, 24)
    )
    assert lives.outcome is Outcome.BUSY, "it comes last, and has time left"
    assert lives.note == (work.HANDED_OVER if calls == 3 else LEFT)


def test_a_worker_that_may_not_read_the_documents_fails_as_a_whole() -> None:
    shop = Workshop("a")
    shop.ports.parameters.fails["read"] = ParameterStoreError("denied", advice="allow it")
    with pytest.raises(ParameterStoreError):
        shop.work("a")


@pytest.mark.parametrize("name", ["a..b", ".a", "a.", "." * 64, "a" + ".b" * 20])
def test_a_name_that_no_path_can_have_does_not_fail_the_others(name: str) -> None:
    shop = Workshop("good")
    asked: list[str] = []
    read = shop.ports.parameters.read

    def legal(names: Any) -> Any:
        asked.extend(names)
        return read(names)

    shop.ports.parameters.read = legal  # type: ignore[method-assign]
    assert outcomes(shop.work("good", name)) == {"good": "rotated"}
    assert not [each for each in asked if "//" in each or each.endswith("/") or each.count("/") > 15]


def test_more_workers_than_the_pace_allows_are_warned_of_in_every_tick() -> None:
    shop = Workshop("a")
    assert shop.tick().warnings == ()
    crowd = Settings(rotation=None, rotations_path=PATH, queue_url="https://queue", workers=10)
    shop.rotator = Rotator(settings=crowd, ports=shop.ports, open_queue=shop.open)
    (warning,) = shop.tick().warnings
    assert warning == (
        "10 workers share 2 writes a second, so 10 rotations take one 150 s, and a run has 50 s; "
        "take fewer Workers, raise TimeoutSeconds, or raise WritesPerSecond if the account's quota allows it"
    )


def test_workers_that_need_all_of_a_run_and_no_more_are_not_too_many() -> None:
    run = fakes.run(fakes.Clock())
    assert list(work.pace_warning(6, 10, run)) == []
    assert len(list(work.pace_warning(6, 11, run))) == 1


def test_each_of_several_workers_keeps_its_part_of_the_pace() -> None:
    one = {"ROTATOR_ROTATIONS_PATH": PATH, "ROTATOR_WRITES_PER_SECOND": "6"}
    three = {**one, "ROTATOR_QUEUE_URL": "https://queue.example/work", "ROTATOR_WORKERS": "3"}
    waits: list[float] = []
    for environ in (one, three):
        pace = bootstrap.build(environ).pace
        pace._clock, pace._sleep = (lambda: 0.0), waits.append
        assert pace.wait_for_renewal(10)
        assert pace.wait_for_renewal(10)
    assert waits == [0.5, 1.5]
