"""The text of a lease: what its versions show together, and what damaged or foreign ones do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fake_ports import START, rotation
from rotator.errors import (
    ParameterStoreError,
    TokenEndpointUnavailable,
)
from rotator.renewal import lease, lease_text
from rotator.renewal.lease_text import LeaseText
from rotator.renewal.models import Attempt, Lease, Outcome, Parameter
from rotator.renewal.status import StatusNotWritten
from single_rotation import (
    HOUR,
    LEASE,
    STATUS,
    TOKEN,
    UNANSWERED,
    UNAVAILABLE,
    SingleRotation,
    assert_failed,
    crash_before_token,
    rotated,
)

# Judging


HOLD = LeaseText(run="A", read_version=4, expires_at=START + timedelta(seconds=61))
LOST = LeaseText(run="L", read_version=4, expires_at=START + timedelta(seconds=10))
GONE = replace(HOLD, expires_at=START - timedelta(seconds=1))
FREE = LeaseText(run="A", read_version=5, expires_at=START, released=True, outcome=Outcome.FAILED)
OTHERS = replace(FREE, run="B")
HELD = Lease(version=6, held_until=HOLD.expires_at)
CRASHED = Attempt(at=GONE.expires_at, outcome=None)
FAILED = Attempt(at=START, outcome=Outcome.FAILED)


@pytest.mark.parametrize(
    ("texts", "settled", "expected"),
    [
        pytest.param({5: HOLD}, 0, replace(HELD, version=5), id="held"),
        pytest.param(
            {5: replace(HOLD, may_have_issued=True)},
            0,
            replace(HELD, version=5, may_be_revoked=True),
            id="held after an unfinished renewal",
        ),
        pytest.param({5: HOLD}, 5, Lease(version=5), id="published"),
        pytest.param({5: HOLD}, 4, replace(HELD, version=5), id="an earlier one published"),
        pytest.param({5: HOLD}, 9, replace(HELD, version=5), id="deleted and created again"),
        pytest.param({5: GONE}, 0, Lease(version=5, last_attempt=CRASHED, may_be_revoked=True), id="expired"),
        pytest.param({6: FREE}, 0, Lease(version=6, last_attempt=FAILED), id="released"),
        pytest.param(
            {6: replace(FREE, may_have_issued=True)},
            0,
            Lease(version=6, last_attempt=FAILED, may_be_revoked=True),
            id="released after a request without an answer",
        ),
        pytest.param(
            {6: replace(FREE, may_have_issued=True, outcome=Outcome.KEPT)},
            0,
            Lease(version=6, last_attempt=Attempt(at=START, outcome=Outcome.KEPT)),
            id="released with a kept token",
        ),
        pytest.param({5: HOLD, 6: LOST}, 0, HELD, id="held, then a loser"),
        pytest.param({5: HOLD, 6: LOST}, 5, Lease(version=6), id="published, then a loser"),
        pytest.param(
            {5: HOLD, 6: LOST, 7: FREE}, 0, Lease(version=7, last_attempt=FAILED), id="released after that"
        ),
        pytest.param({5: HOLD, 6: OTHERS}, 0, replace(HELD, last_attempt=FAILED), id="another's release"),
        pytest.param({6: LOST}, 0, Lease(version=6), id="a loser alone"),
        pytest.param(
            {6: replace(LOST, may_have_issued=True)},
            0,
            Lease(version=6, may_be_revoked=True),
            id="a loser that knew of an unfinished renewal",
        ),
        pytest.param(
            {5: replace(FREE, read_version=4), 6: replace(LOST, may_have_issued=True)},
            0,
            Lease(version=6, last_attempt=FAILED),
            id="a loser that knew less",
        ),
    ],
)
def test_judge_combines_all_versions_of_a_lease(
    texts: dict[int, LeaseText], settled: int, expected: Lease
) -> None:
    assert lease.judge(texts, settled=settled, now=START) == expected


@pytest.mark.parametrize(
    ("seconds", "held"),
    [(61, True), (16 * 60, True), (0, False), (-1, False), (16 * 60 + 1, False), (1e9, False)],
    ids=["a minute", "the longest run", "now", "a second ago", "longer than any run", "in years"],
)
def test_lease_is_held_unless_expired_or_longer_than_any_run(seconds: float, held: bool) -> None:
    text = replace(HOLD, expires_at=START + timedelta(seconds=seconds))
    assert (lease.judge({5: text}, settled=0, now=START).held_until is not None) is held


# Bad input


def put_lease(world: SingleRotation, **changes: Any) -> SingleRotation:
    """Store a lease of another run, with these fields changed."""
    fields = {
        "schema": 1,
        "run": "other",
        "read_version": 1,
        "expires_at": "2026-11-24T23:01:00Z",
        "state": "held",
        "outcome": None,
        "error_kind": None,
        "issued": "no",
    }
    world.ports.parameters.put(LEASE, json.dumps({**fields, **changes}), "String")
    return world


def due() -> SingleRotation:
    return rotated().later(17 * HOUR)


def test_valid_lease_of_another_run_means_busy() -> None:
    assert put_lease(due()).run_once().outcome is Outcome.BUSY


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 0},
        {"schema": True},
        {"schema": "1"},
        {"read_version": "1"},
        {"read_version": None},
        {"read_version": True},
        {"read_version": -5},
        pytest.param({"error_kind": "\x1b[2J"}, id="an escape sequence"),
        pytest.param({"error_kind": "\ud800"}, id="half a character"),
        {"error_kind": 7},
        {"expires_at": "soon"},
        {"expires_at": "2026-11-24T23:01:00"},
        {"expires_at": None},
        {"state": "taken"},
        {"state": None},
        {"state": []},
        {"issued": "yes"},
        {"outcome": "won"},
    ],
    ids=str,
)
def test_unreadable_lease_is_ignored(changes: dict[str, Any]) -> None:
    world = put_lease(due(), **changes)
    assert world.run_once().outcome is Outcome.ROTATED
    assert world.stored().lease == Lease(version=3)


@pytest.mark.parametrize("text", ["", "<html>", "[]", "17", "{}", '"x"', "[" * 100_000])
def test_lease_that_is_not_json_is_ignored(text: str) -> None:
    world = due()
    world.ports.parameters.put(LEASE, text, "String")
    assert world.run_once().outcome is Outcome.ROTATED


@pytest.mark.parametrize(
    "expires_at", ["2016-11-24T23:01:00Z", "2036-11-24T23:01:00Z", "2026-11-24T23:00:00Z"]
)
def test_lease_that_expired_or_outlasts_every_run_is_not_held(expires_at: str) -> None:
    world = put_lease(due(), expires_at=expires_at)
    assert world.run_once().outcome is Outcome.ROTATED
    assert world.stored().lease == Lease(version=3)


def test_newer_lease_schema_stops_renewal_and_names_parameter() -> None:
    world = put_lease(due(), schema=2)
    assert_failed(
        world.run_once(), ParameterStoreError, f"the parameter {LEASE} has schema 2, written by a newer"
    )
    assert world.ports.token_endpoint.requests[1:] == []


@pytest.mark.parametrize("type_name", ["SecureString", "StringList"])
def test_lease_of_another_type_fails_before_a_token_request(type_name: str) -> None:
    world = due()
    world.ports.parameters.parameters[LEASE] = Parameter(value="x", version=1, type=type_name)
    assert_failed(
        world.run_once(),
        ParameterStoreError,
        f"{LEASE} is a {type_name}, not a String; delete this parameter",
    )
    assert world.ports.token_endpoint.requests[1:] == []


def test_denied_lease_fails_before_a_token_request() -> None:
    world = due()
    world.ports.parameters.fails["lease"] = ParameterStoreError("denied", advice="allow it")
    assert_failed(world.run_once(), ParameterStoreError, "denied")
    assert world.ports.token_endpoint.requests[1:] == []
    assert world.status["parameter_version"] == 1


def test_lease_whose_writer_lost_is_not_held() -> None:
    world = put_lease(due(), read_version=0)  # version 2
    assert world.run_once().outcome is Outcome.ROTATED


@pytest.mark.parametrize("read_version", [7, 1_000_000])
def test_lease_recreated_by_a_late_writer_is_not_held(read_version: int) -> None:
    world = due()
    del world.ports.parameters.parameters[LEASE]
    put_lease(world, read_version=read_version)  # version 1
    assert world.run_once().outcome is Outcome.ROTATED


def test_lease_that_is_deleted_before_it_is_written_is_lost() -> None:
    world = rotated()
    for _ in range(3):
        assert world.later(17 * HOUR).run_once().outcome is Outcome.ROTATED

    def delete(name: str) -> None:
        world.ports.parameters.parameters.pop(name, None)

    world.ports.parameters.before_write = delete
    assert world.later(17 * HOUR).run_once(name="deleted").outcome is Outcome.BUSY
    world.ports.parameters.before_write = lambda _name: None
    assert world.run_once(name="next").outcome is Outcome.ROTATED


def test_recreated_lease_is_held_although_versions_restart() -> None:
    world = rotated()
    for _ in range(3):
        assert world.later(17 * HOUR).run_once().outcome is Outcome.ROTATED
    del world.ports.parameters.parameters[LEASE]
    assert world.status["lease_version"] == 4
    crash_before_token(world.later(17 * HOUR))
    assert world.lease["read_version"] == 0
    assert world.run_once(name="second").outcome is Outcome.BUSY


def test_lease_version_named_by_the_status_is_not_acquired() -> None:
    """A lease that was deleted counts from 1 again: its version must not be taken for a published one."""
    world = rotated()
    del world.ports.parameters.parameters[LEASE]
    world.later(17 * HOUR)
    assert world.run_once(name="first").outcome is Outcome.BUSY
    assert world.run_once(name="second").outcome is Outcome.ROTATED
    assert world.status["lease_version"] == 2


def test_missing_overwritten_versions_count_as_held() -> None:
    world = put_lease(due(), read_version=1)
    for _ in range(150):
        put_lease(world, read_version=1, run="loser")
    assert world.run_once().outcome is Outcome.BUSY
    assert world.later(60).run_once().outcome is Outcome.ROTATED


def test_held_lease_is_found_behind_late_write_after_deletion() -> None:
    """The late writer had read a version of the deleted parameter, which counts from 1 again."""
    world = due()
    del world.ports.parameters.parameters[LEASE]
    put_lease(world, run="loser", read_version=0)
    put_lease(world, read_version=1)
    put_lease(world, run="late", read_version=4)
    assert world.stored().lease.held_until
    assert world.run_once().outcome is Outcome.BUSY


@pytest.mark.parametrize("read_version", [2, 3])
def test_first_lease_is_found_behind_late_write_after_deletion(read_version: int) -> None:
    world = put_lease(SingleRotation().later(17 * HOUR), read_version=0)
    put_lease(world, run="late", read_version=read_version)
    assert world.stored().lease.held_until


def test_status_without_a_token_is_read_once() -> None:
    world = rotated().later(1)
    del world.ports.parameters.parameters[TOKEN]
    reads = world.ports.parameters.reads
    world.stored()
    assert world.ports.parameters.reads == reads + 1


def test_attempt_time_in_the_future_is_read_as_now() -> None:
    """Its writer's clock was ahead, or its text is damaged; neither puts the rotation last for ever."""
    world = put_lease(due(), state="released", outcome="failed", expires_at="9999-12-31T00:00:00Z")
    assert world.stored().lease.last_attempt == Attempt(at=world.clock.now(), outcome=Outcome.FAILED)


@pytest.mark.parametrize("write", ["token", "status"])
def test_lease_stays_held_after_a_write_that_may_still_arrive(write: str) -> None:
    """Released, it would let another run finish first, and the late write replace what that has written."""
    world = rotated().later(17 * HOUR)
    error = ParameterStoreError("no answer", advice="wait", unreachable=True)
    world.ports.parameters.fails[write] = error
    assert_failed(world.run_once(name="A"))
    world.ports.parameters.fails.clear()
    assert world.lease["state"] == "held"
    assert world.run_once(name="B").outcome is Outcome.BUSY
    assert world.later(62).run_once(name="C").outcome is Outcome.ROTATED


def test_published_token_without_status_is_not_seen_as_revoked() -> None:
    world = rotated(UNANSWERED).later(17 * HOUR)
    assert_failed(world.run_once())
    world.ports.parameters.fails["status"] = ParameterStoreError("denied", advice="allow it")
    assert_failed(world.run_once(name="run-2"), StatusNotWritten)
    assert (world.lease["state"], world.lease["issued"]) == ("released", "no")


def test_inconsistent_token_and_status_are_read_again() -> None:
    """One call may read one parameter after the other."""
    world = rotated().later(17 * HOUR)
    read = world.ports.parameters.read
    before: list[Parameter] = []

    def read_in_between(names: Sequence[str]) -> Mapping[str, Parameter]:
        found = dict(read(names))
        if not before:
            before.append(found[TOKEN])
            world.ports.parameters.read = read  # type: ignore[method-assign]
            assert world.run_once(name="B").outcome is Outcome.ROTATED
            found = {**read(names), TOKEN: before[0]}
        return found

    world.ports.parameters.read = read_in_between  # type: ignore[method-assign]
    assert world.run_once(name="A").outcome is Outcome.FRESH
    assert len(world.ports.token_endpoint.requests) == 2


def test_single_missing_overwritten_version_counts_as_held() -> None:
    world = put_lease(due(), read_version=1)
    put_lease(world, read_version=1, run="loser")
    put_lease(world, read_version=1, run="loser")
    del world.ports.parameters.history[LEASE][2]
    assert world.run_once().outcome is Outcome.BUSY


def test_only_versions_that_are_still_kept_are_requested() -> None:
    world = put_lease(due(), read_version=1)
    for _ in range(150):
        put_lease(world, read_version=1, run="loser")
    asked: list[int] = []
    read = world.ports.parameters.read_versions

    def read_versions(name: str, versions: Sequence[int]) -> Mapping[int, Parameter]:
        asked.extend(versions)
        return read(name, versions)

    world.ports.parameters.read_versions = read_versions  # type: ignore[method-assign]
    newest = world.stored().lease.version
    assert asked == list(range(newest - lease.VERSIONS_KEPT + 1, newest))


def test_newer_schema_in_overwritten_version_names_parameter() -> None:
    world = put_lease(due(), schema=2)
    put_lease(world, read_version=1)
    result = world.run_once()
    assert_failed(result, ParameterStoreError, f"the parameter {LEASE} has schema 2")
    assert str(result.error).endswith("; deploy the newer version here, too")


@pytest.mark.parametrize(
    "text",
    [
        LeaseText(run="A", read_version=4, expires_at=START),
        LeaseText(
            run="A",
            read_version=4,
            expires_at=START,
            released=True,
            outcome=Outcome.FAILED,
            error_kind="SettingsError",
            may_have_issued=True,
        ),
    ],
)
def test_lease_text_is_read_as_it_was_written(text: LeaseText) -> None:
    assert lease_text.parse(LEASE, text.dump()) == text


def test_status_of_version_0_1_gains_a_lease_version() -> None:
    world = rotated()
    status = {name: value for name, value in world.status.items() if name != "lease_version"}
    world.ports.parameters.put(STATUS, json.dumps(status), "String")
    del world.ports.parameters.parameters[LEASE]
    assert world.run_once(name="fresh").outcome is Outcome.FRESH
    assert world.later(17 * HOUR).run_once(name="due").outcome is Outcome.ROTATED
    assert world.status["lease_version"] == 1


def test_unfinished_renewal_of_version_0_1_is_finished() -> None:
    world = rotated()
    claimed = {**world.status, "claimed_by": "old", "claimed_until": "2026-11-24T06:01:01Z"}
    world.ports.parameters.put(STATUS, json.dumps(claimed), "String")
    assert world.run_once(name="early").outcome is Outcome.FRESH
    assert world.later(61).run_once(name="next").outcome is Outcome.ROTATED
    assert "claimed_by" not in world.status


def test_later_renew_at_setting_leaves_the_token_due() -> None:
    world = rotated(UNAVAILABLE, renew_at=0.667).later(17 * HOUR)
    world.rotation = rotation(renew_at=0.9)
    assert_failed(world.run_once(force=True), TokenEndpointUnavailable)
    assert world.later(1).run_once(name="run-2").outcome is Outcome.ROTATED
