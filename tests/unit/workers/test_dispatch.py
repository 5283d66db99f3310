"""A scheduled run enqueues what is due, on fakes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import fake_ports
from fake_ports import DAY, FakeWorkQueue
from fleet_with_workers import NAMES, PATH, Workshop, document, outcomes
from rotator.bootstrap import Rotator
from rotator.config.environment import Settings
from rotator.errors import ParameterStoreError, WorkNotSent
from rotator.renewal.models import Outcome, Rotation
from rotator.renewal.results import NO_TIME_LEFT
from rotator.workers import dispatch, queue_messages


def test_due_fleet_of_25_is_enqueued_in_three_calls() -> None:
    shop = Workshop(*NAMES)
    summary = shop.run_once()
    assert [len(call) for call in shop.queue.calls] == [10, 10, 5]
    assert sorted(shop.sent) == NAMES
    assert outcomes(summary) == dict.fromkeys(NAMES, "busy")
    assert {result.reason for result in summary.results} == {dispatch.ENQUEUED}
    assert shop.ports.parameters.writes == []
    assert shop.ports.token_endpoint.requests == []


def test_fresh_rotations_do_not_open_the_queue() -> None:
    shop = Workshop("a", "b")
    shop.work("a", "b")
    assert outcomes(shop.run_once()) == {"a": "fresh", "b": "fresh"}
    assert shop.opened == 0


def test_leased_rotation_is_not_enqueued() -> None:
    shop = Workshop("a", "b")
    shop.ports.parameters.put_lease(lease_of("a"), expires_at=shop.clock.now() + timedelta(minutes=5))
    summary = shop.run_once()
    assert outcomes(summary) == {"a": "busy", "b": "busy"}
    assert shop.sent == ["b"]


def test_single_due_rotation_is_not_enqueued_while_leased() -> None:
    shop = Workshop("a")
    shop.ports.parameters.put_lease(lease_of("a"), expires_at=shop.clock.now() + timedelta(minutes=5))
    assert outcomes(shop.run_once()) == {"a": "busy"}
    assert shop.sent == []


def test_soonest_expiry_is_enqueued_first_missing_token_last() -> None:
    shop = Workshop("a", "b", "c", "d")
    for name, life in (("a", 1.3 * DAY), ("b", DAY), ("d", 1.2 * DAY)):
        shop.ports.token_endpoint.answers.append(
            (200, shop.ports.token_endpoint.token_answer(expires_in=life, access_token=f"token-{name}"))
        )
        shop.work(name)
    shop.clock.sleep(0.9 * DAY)
    shop.run_once()
    assert shop.sent == ["b", "d", "a", "c"]


def lease_of(name: str) -> Rotation:
    """The rotation of this name, as far as its lease's name depends on it."""
    return fake_ports.rotation(name=name, parameter_name=f"/tokens/{name}")


def failed_attempt(shop: Workshop, name: str) -> None:
    """Let a worker try a rotation in vain."""
    shop.ports.token_endpoint.answers.appendleft((401, {"error": "invalid_client"}))
    assert outcomes(shop.work(name)) == {name: "failed"}


def test_rotations_that_failed_in_a_worker_are_enqueued_last() -> None:
    shop = Workshop("a", "b", "c", "new")
    for name in "abc":
        shop.work(name)
        shop.clock.sleep(60)
    shop.clock.sleep(18 * 3600)
    failed_attempt(shop, "a")
    failed_attempt(shop, "new")
    shop.run_once()
    assert shop.sent == ["b", "c", "a", "new"]


def test_new_process_enqueues_failed_rotations_last() -> None:
    shop = Workshop("a", "b")
    failed_attempt(shop, "a")
    fresh = Rotator(settings=shop.rotator.settings, ports=shop.ports, open_queue=shop.open)
    fresh.run_scheduled(fake_ports.run(shop.clock))
    assert shop.sent == ["b", "a"]


def test_rotation_renewed_after_failing_is_ordered_by_expiry() -> None:
    shop = Workshop("a", "b")
    failed_attempt(shop, "a")
    shop.work("a")
    shop.clock.sleep(60)
    shop.work("b")
    shop.clock.sleep(18 * 3600)
    shop.run_once()
    assert shop.sent == ["a", "b"]


def test_invalid_document_fails_and_is_not_enqueued() -> None:
    shop = Workshop("a")
    shop.write("bad", "{")
    summary = shop.run_once()
    assert outcomes(summary) == {"a": "busy", "bad": "failed"}
    assert shop.sent == ["a"]


def test_unreadable_rotation_fails_and_is_not_enqueued() -> None:
    shop = Workshop("a")
    documents = dict(shop.ports.parameters.parameters)
    shop.ports.parameters.read_path = lambda *_path, **_options: iter([documents])  # type: ignore[method-assign]
    shop.ports.parameters.fails["read"] = ParameterStoreError("throttled", advice="wait")
    assert outcomes(shop.run_once()) == {"a": "failed"}
    assert shop.queue.calls == []


def test_rotation_refused_by_queue_fails_with_its_token_state() -> None:
    shop = Workshop(*NAMES)
    shop.work(NAMES[3])
    shop.clock.sleep(0.7 * DAY)
    shop.queue.refuses = {queue_messages.asking_for(NAMES[3]), queue_messages.asking_for(NAMES[24])}
    summary = shop.run_once()
    failed = {r.name: r for r in summary.results if r.outcome is Outcome.FAILED}
    assert failed.keys() == {NAMES[3], NAMES[24]}
    early, late = failed[NAMES[3]], failed[NAMES[24]]
    assert (early.late, late.late) == (False, True), "one has a token with time left, one has none"
    assert (early.seconds_remaining, late.seconds_remaining) == (round(0.3 * DAY), 0)
    assert {r.next_try for r in failed.values()} == {shop.clock.now() + timedelta(minutes=5)}
    assert {r.error_kind for r in failed.values()} == {"WorkNotSent"}
    assert len(shop.sent) == 23


def test_failing_queue_is_not_called_again_in_the_same_run() -> None:
    shop = Workshop(*NAMES)
    calls = []

    class Failing(FakeWorkQueue):
        def send(self, messages: Any) -> Any:
            calls.append(len(messages))
            if len(calls) == 2:
                raise WorkNotSent(
                    "the rotation could not be enqueued for the workers: AccessDenied", advice="allow it"
                )
            return super().send(messages)

    shop.queue = Failing()
    summary = shop.run_once()
    assert calls == [10, 10]
    assert sorted(outcomes(summary).values()) == ["busy"] * 10 + ["failed"] * 15


def test_unforeseen_queue_error_fails_every_rotation_not_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(FakeWorkQueue):
        def send(self, _messages: Any) -> Any:
            raise KeyError

    shop = Workshop(*NAMES)
    shop.queue = Broken()
    assert {str(result.error).split(";")[0] for result in shop.run_once().results} == {"unexpected KeyError"}
    assert "unexpected KeyError in a message to the workers\n" in caplog.text


def test_next_run_enqueues_rotations_that_are_still_due() -> None:
    shop = Workshop("a", "b")
    shop.run_once()
    shop.work("a")
    shop.run_once()
    assert shop.sent == ["a", "b", "b"]


def test_enqueued_rotation_reports_remaining_lifetime() -> None:
    shop = Workshop("new", "old")
    shop.work("old")
    shop.clock.sleep(0.7 * DAY)
    new, old = shop.run_once().results
    assert (new.seconds_remaining, new.expires_at) == (0, None)
    assert old.seconds_remaining == round(0.3 * DAY)


def test_duplicate_name_is_renewed_by_the_scheduled_run_itself() -> None:
    """A worker, which reads documents by names, could find the other."""
    shop = Workshop("team.a", "b")
    shop.write("team/a", document("other"))
    summary = shop.run_once()
    assert sorted((each.name, each.outcome.value) for each in summary.results) == [
        ("b", "busy"),
        ("team.a", "failed"),
        ("team.a", "rotated"),
    ]
    assert shop.sent == ["b"]
    assert "/tokens/team.a" in shop.ports.parameters.parameters


def test_enqueued_token_of_unknown_lifetime_counts_as_expired() -> None:
    """Otherwise no alarm would fire if no worker ever served it."""
    shop = Workshop("unreadable", "unfinished", "well")
    shop.work("unreadable", "unfinished", "well")
    shop.clock.sleep(0.7 * DAY)
    shop.ports.parameters.put("/tokens/unreadable/status", "?", "String")
    shop.ports.parameters.put_lease(
        lease_of("unfinished"), expires_at=shop.clock.now() - timedelta(minutes=5)
    )
    remaining = {
        each.name: (each.seconds_remaining, bool(each.expires_at)) for each in shop.run_once().results
    }
    assert remaining["unreadable"] == remaining["unfinished"] == (0, False)
    assert remaining["well"] == (0.3 * DAY, True)


def slow(shop: Workshop, seconds: float) -> Workshop:
    """Let each call to the queue take so long; of a run's 60 seconds, 50 are for that."""
    send = shop.queue.send

    def send_slowly(bodies: Any) -> Any:
        shop.clock.sleep(seconds)
        return send(bodies)

    shop.queue.send = send_slowly  # type: ignore[assignment,method-assign]
    return shop


IN_TIME = pytest.mark.parametrize(("seconds", "calls"), [(24, 3), (25, 2), (49.5, 2), (50, 1)])


@IN_TIME
def test_missing_token_not_enqueued_in_time_is_a_failure(seconds: float, calls: int) -> None:
    shop = slow(Workshop(*NAMES), seconds)
    next_try = shop.clock.now() + timedelta(minutes=5)
    results = shop.run_once().results
    assert len(shop.queue.calls) == calls
    failed = [(each.error_kind, each.next_try) for each in results if each.error]
    assert failed == [("NotReached", next_try)] * (25 - min(10 * calls, 25))


@IN_TIME
def test_valid_token_not_enqueued_in_time_is_deferred(seconds: float, calls: int) -> None:
    shop = Workshop(*NAMES)
    shop.work(*NAMES)
    shop.clock.sleep(0.7 * DAY)
    notes = [each.reason for each in slow(shop, seconds).run_once().results if each.outcome is Outcome.BUSY]
    sent = min(10 * calls, 25)
    assert sorted(map(str, notes)) == sorted([dispatch.ENQUEUED] * sent + [NO_TIME_LEFT] * (25 - sent))


def test_more_workers_than_write_rate_allows_give_a_warning() -> None:
    shop = Workshop("a")
    assert shop.run_once().warnings == ()
    crowd = Settings(rotation=None, rotations_path=PATH, queue_url="https://queue", workers=10)
    shop.rotator = Rotator(settings=crowd, ports=shop.ports, open_queue=shop.open)
    (warning,) = shop.run_once().warnings
    assert warning == (
        "10 workers share 2 writes per second, so a worker needs 150 s for a batch of 10 rotations, "
        "but its run has 50 s; "
        "lower Workers of the stack (ROTATOR_WORKERS), raise TimeoutSeconds of the stack, or raise "
        "WritesPerSecond of the stack (ROTATOR_WRITES_PER_SECOND) if the account's quota allows it"
    )


def test_workers_that_exactly_fill_a_run_give_no_warning() -> None:
    run = fake_ports.run(fake_ports.Clock())
    assert list(dispatch.write_rate_warning(6, 10, run)) == []
    assert len(list(dispatch.write_rate_warning(6, 11, run))) == 1
