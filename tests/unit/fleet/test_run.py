"""Multiple rotations in one run: they are independent, and each result is reported."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import fake_ports
from fake_ports import CANARY_SECRET, Clock, rotation
from rotator import errors
from rotator.config.registry import Fleet
from rotator.errors import ParameterStoreError, SettingsError
from rotator.fleet.executor import InlineExecutor
from rotator.fleet.run import run_fleet
from rotator.fleet.write_rate import WriteRate
from rotator.oauth.models import ClientCredentials, Secret, Stage
from rotator.renewal.deadline import Deadline
from rotator.renewal.durations import format_time
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Outcome, Parameter, Result, Rotation, Summary
from rotator.renewal.results import RotationFailed

CONTRACT = Guarantee(schedule_interval=300, consumer_cache=300)


def member(name: str) -> Rotation:
    return rotation(name=name, parameter_name=f"/fleet/{name}")


def serve(fleet: Fleet, ports: fake_ports.FakePorts, clock: Clock, **options: Any) -> Summary:
    run = {name: options.pop(name) for name in ("force", "dry_run") if name in options}
    return run_fleet(fleet, ports, fake_ports.run(clock, **run), CONTRACT, **options)


def test_every_rotation_is_renewed_and_counted() -> None:
    clock = Clock()
    summary = serve(Fleet(rotations=tuple(map(member, "abc"))), fake_ports.ports(clock), clock)
    assert summary.to_dict()["rotated"] == 3
    assert fake_ports.names(summary.results) == ["a", "b", "c"]
    assert not summary.failed


def test_failed_rotation_does_not_stop_other_rotations() -> None:
    clock = Clock()
    broken = rotation(name="b", parameter_name="/fleet/b", secret_id="missing")
    summary = serve(Fleet(rotations=(member("a"), broken, member("c"))), fake_ports.ports(clock), clock)
    assert [r.outcome for r in summary.results] == [Outcome.ROTATED, Outcome.FAILED, Outcome.ROTATED]
    assert summary.failed


def test_invalid_document_is_reported_as_failed_with_its_error() -> None:
    clock = Clock()
    fleet = Fleet(rotations=(member("a"),), broken=(("b", SettingsError("b is wrong", advice="fix b")),))
    summary = serve(fleet, fake_ports.ports(clock), clock)
    assert summary.to_dict()["failed"] == 1
    assert summary.results[1].error == "b is wrong; fix b"


def test_failure_reports_version_and_expiry_of_stored_token() -> None:
    clock = Clock()
    ports = fake_ports.ports(clock)
    fleet = Fleet(rotations=(member("a"),))
    serve(fleet, ports, clock)
    ports.secrets.credentials.clear()
    failed = serve(fleet, ports, clock, force=True).results[0]
    assert (failed.outcome, failed.parameter_version) == (Outcome.FAILED, 1)
    assert failed.expires_at == fake_ports.START + timedelta(days=1)


@pytest.mark.parametrize(
    ("hours", "late", "remaining"),
    [(1, False, 23 * 3600), (19, False, 5 * 3600), (21, True, 3 * 3600), (25, True, -3600)],
    ids=["before the window", "in its first half", "in its second half", "after the end"],
)
def test_failure_reports_lateness_lifetime_and_next_try(hours: int, late: bool, remaining: int) -> None:
    clock = Clock()
    ports = fake_ports.ports(clock)
    fleet = Fleet(rotations=(member("a"),))
    serve(fleet, ports, clock)
    ports.secrets.credentials.clear()
    clock.sleep(hours * 3600)
    reported = serve(fleet, ports, clock, force=True).to_dict()
    failed = reported["rotations"][0]
    assert (reported["failed_late"], failed["late"]) == (int(late), late)
    assert failed["seconds_remaining"] == remaining
    assert failed["next_try"] == format_time(clock.now() + timedelta(seconds=300))


def test_failure_after_token_write_reports_the_new_token() -> None:
    clock = Clock()
    ports = fake_ports.ports(clock)
    fleet = Fleet(rotations=(member("a"),))
    serve(fleet, ports, clock)
    clock.sleep(22 * 3600)

    def fail_after_the_token(name: str) -> None:
        if name == "/fleet/a":
            ports.parameters.fails["status"] = ParameterStoreError("denied", advice="allow it")

    ports.parameters.before_write = fail_after_the_token
    failed = serve(fleet, ports, clock).to_dict()["rotations"][0]
    assert failed["error"] == (
        "the new token is stored as version 2, but its status could not be written, "
        "so the next run renews the token again: denied; allow it"
    )
    assert (failed["parameter_version"], failed["late"]) == (2, False)
    assert failed["expires_at"] == format_time(clock.now() + timedelta(days=1))


def test_a_failure_with_no_token_stored_is_late() -> None:
    clock = Clock()
    missing = rotation(name="b", parameter_name="/fleet/b", secret_id="missing")
    reported = serve(Fleet(rotations=(missing,)), fake_ports.ports(clock), clock).to_dict()
    assert reported["rotations"][0]["late"] is True
    assert reported["rotations"][0]["seconds_remaining"] == 0


def test_issued_token_that_is_not_stored_makes_failure_late() -> None:
    clock = Clock()
    ports = fake_ports.ports(clock)
    fleet = Fleet(rotations=(member("a"),))
    serve(fleet, ports, clock)
    clock.sleep(17 * 3600)
    ports.parameters.fails["token"] = ParameterStoreError("key disabled", advice="enable it")
    reported = serve(fleet, ports, clock).to_dict()["rotations"][0]
    assert (reported["late"], reported["seconds_remaining"]) == (True, 7 * 3600)


@pytest.mark.parametrize(("hours", "warnings"), [(17, 0), (21, 1)], ids=["early", "late"])
def test_kept_token_gives_a_warning_only_when_late(hours: int, warnings: int) -> None:
    clock = Clock()
    repeated = {"access_token": "t", "token_type": "Bearer"}
    left = (24 - hours) * 3600
    answers = [(200, {**repeated, "expires_in": 86400}), (200, {**repeated, "expires_in": left})]
    ports = fake_ports.ports(clock, *answers)
    fleet = Fleet(rotations=(member("a"),))
    serve(fleet, ports, clock)
    clock.sleep(hours * 3600)
    summary = serve(fleet, ports, clock)
    assert summary.results[0].outcome is Outcome.KEPT
    assert (len(summary.warnings), summary.failed, summary.failed_late) == (warnings, False, 0)
    assert all(
        "tokens that expire no later than the stored one, which expires in 3 h" in w for w in summary.warnings
    )


def test_run_error_shows_the_number_of_late_rotations() -> None:
    clock = Clock()
    ports = fake_ports.ports(clock)
    fleet = Fleet(rotations=(member("a"),))
    serve(fleet, ports, clock)
    ports.secrets.credentials.clear()
    assert "none failed late" in str(RotationFailed(serve(fleet, ports, clock, force=True)))
    clock.sleep(23 * 3600)
    assert "1 failed late: act now" in str(RotationFailed(serve(fleet, ports, clock)))


def test_unforeseen_error_is_reported_by_type_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    ports = fake_ports.ports(clock)

    def explode(_name: str) -> None:
        raise ZeroDivisionError(CANARY_SECRET)

    ports.parameters.before_write = explode
    with caplog.at_level(logging.DEBUG):
        summary = serve(Fleet(rotations=(member("a"),)), ports, clock)
    assert summary.results[0].outcome is Outcome.FAILED
    assert "ZeroDivisionError" in str(summary.results[0].error)
    assert "in explode" in caplog.text
    assert CANARY_SECRET not in caplog.text + repr(summary)


def kinds(fleet: Fleet, ports: fake_ports.FakePorts) -> list[str | None]:
    """Return the kinds of the errors in a run."""
    return [result.error_kind for result in serve(fleet, ports, Clock()).results]


PLAIN_ERRORS = [
    found
    for found in vars(errors).values()
    if isinstance(found, type)
    and issubclass(found, errors.RotatorError)
    and found.__init__ is errors.RotatorError.__init__
]


@pytest.mark.parametrize("error", PLAIN_ERRORS)
def test_failure_has_the_kind_of_its_error(error: type[errors.RotatorError]) -> None:
    ports = fake_ports.ports(Clock(), error("a problem", advice="an advice"))
    assert kinds(Fleet(rotations=(member("a"),)), ports) == [error.__name__]


def test_untried_rotations_have_the_kind_of_their_errors() -> None:
    ports = fake_ports.ports(Clock())
    ports.parameters.fails["read"] = ParameterStoreError("denied", advice="allow it")
    fleet = Fleet(rotations=(member("a"),), broken=(("b", SettingsError("b is wrong", advice="fix b")),))
    assert kinds(fleet, ports) == ["ParameterStoreError", "SettingsError"]


def test_unforeseen_error_has_the_kind_rotator_error() -> None:
    ports = fake_ports.ports(Clock())

    def explode(_name: str) -> None:
        raise ZeroDivisionError

    ports.parameters.before_write = explode
    assert kinds(Fleet(rotations=(member("a"),)), ports) == ["RotatorError"]


NEXT_TICK = fake_ports.START + timedelta(seconds=300)


def test_untried_rotations_report_the_next_try() -> None:
    ports = fake_ports.ports(Clock())
    ports.parameters.fails["read"] = ParameterStoreError("denied", advice="allow it")
    fleet = Fleet(rotations=(member("a"),), broken=(("b", SettingsError("b is wrong", advice="fix b")),))
    assert [each.next_try for each in serve(fleet, ports, Clock()).results] == [NEXT_TICK] * 2


def test_parameter_of_another_type_is_a_late_failure() -> None:
    clock = Clock()
    ports = fake_ports.ports(clock)
    fleet = Fleet(rotations=(member("a"),))
    serve(fleet, ports, clock)
    found = ports.parameters.parameters["/fleet/a"]
    ports.parameters.parameters["/fleet/a"] = replace(found, type="String")
    (failed,) = serve(fleet, ports, clock).results
    assert (failed.name, failed.error_kind) == ("a", "ParameterStoreError")
    assert str(failed.error).startswith("the parameter /fleet/a is a String, not a SecureString")
    assert (failed.late, failed.next_try) == (True, NEXT_TICK)


def test_run_without_time_reads_no_parameters() -> None:
    clock = Clock()
    ports = fake_ports.ports(clock)
    run = replace(fake_ports.run(clock), deadline=Deadline(lambda: 0.0))
    summary = run_fleet(Fleet(rotations=(member("a"),)), ports, run, CONTRACT)
    assert "before its parameters were read" in str(summary.results[0].error)
    assert ports.parameters.reads == 0


def test_failing_result_callback_receives_every_result() -> None:
    reported: list[Result] = []

    def watch(result: Result) -> None:
        reported.append(result)
        raise BrokenPipeError

    fleet = Fleet(rotations=(member("a"),), broken=(("b", SettingsError("b is wrong", advice="fix b")),))
    summary = serve(fleet, fake_ports.ports(Clock()), Clock(), on_result=watch)
    assert sorted(reported, key=lambda result: result.name) == list(summary.results)
    assert len(reported) == 2


def test_dry_run_is_marked_and_writes_nothing() -> None:
    ports = fake_ports.ports(Clock())
    summary = serve(Fleet(rotations=(member("a"),)), ports, Clock(), dry_run=True)
    assert summary.dry_run
    assert ports.parameters.writes == []


def test_deferred_rotations_are_counted_in_a_warning() -> None:
    clock = Clock()
    rate = WriteRate(0.01, clock=lambda: clock.now().timestamp())
    rotations = [
        rotation(name=name, parameter_name=f"/{name}", token_endpoint=f"https://{name}.example.test/")
        for name in "abc"
    ]
    summary = serve(
        Fleet(rotations=tuple(rotations)),
        fake_ports.ports(clock),
        clock,
        write_rate=rate,
        executor_for=lambda *_: InlineExecutor(clock.sleep),
    )
    assert any("postponed to the next run for lack of time: 2;" in warning for warning in summary.warnings)


def test_successful_rotation_has_no_error_kind() -> None:
    assert kinds(Fleet(rotations=(member("a"),)), fake_ports.ports(Clock())) == [None]


def test_newer_status_schema_fails_only_its_own_rotation() -> None:
    clock = Clock()
    ports = fake_ports.ports(clock)
    ports.parameters.parameters["/fleet/a/status"] = Parameter(
        value='{"schema": 2}', version=1, type="String"
    )
    summary = serve(Fleet(rotations=(member("a"), member("b"))), ports, clock)
    assert [r.outcome for r in summary.results] == [Outcome.FAILED, Outcome.ROTATED]
    assert "newer" in str(summary.results[0].error)


def test_names_select_rotations() -> None:
    fleet = Fleet(rotations=tuple(map(member, "abc")))
    assert fake_ports.names(fleet.only(["c", "a"]).rotations) == ["a", "c"]
    assert fleet.only([]) == fleet


def test_names_select_invalid_documents_too() -> None:
    broken = tuple((name, SettingsError("it is wrong", advice="fix it")) for name in "xy")
    chosen = Fleet(rotations=(member("a"),), broken=broken).only(["y"])
    assert (chosen.rotations, chosen.broken) == ((), (broken[1],))


@pytest.mark.parametrize(
    ("names", "other_rotations"), [([], 0), (["a"], 4), (["x", "b", "b"], 3), (["a", "b", "c", "x", "y"], 0)]
)
def test_left_out_counts_rotations_that_were_not_named(names: list[str], other_rotations: int) -> None:
    broken = tuple((name, SettingsError("it is wrong", advice="fix it")) for name in "xy")
    fleet = Fleet(rotations=tuple(map(member, "abc")), broken=broken).only(names)
    assert serve(fleet, fake_ports.ports(Clock()), Clock()).other_rotations == other_rotations


def test_unknown_name_raises_error_listing_known_names() -> None:
    with pytest.raises(SettingsError, match=r"no rotation named 'd'.*a, b, c"):
        Fleet(rotations=tuple(map(member, "abc"))).only(["d"])


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("tenant-0077", "did you mean tenant-"),
        ("q", "tenant-008, tenant-009 and 590 more"),
        ("tenant-00*", "give full names: only `rotator status` accepts patterns"),
    ],
)
def test_unknown_name_in_a_large_fleet_gives_short_advice(name: str, advice: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Fleet(rotations=tuple(member(f"tenant-{number:03}") for number in range(600))).only([name])
    assert f"no rotation named '{name}'; " in str(caught.value)
    assert advice in caught.value.advice


def test_unknown_long_name_is_truncated_in_the_error() -> None:
    with pytest.raises(SettingsError) as caught:
        Fleet(rotations=(member("a"),)).only(["x" * 65])
    assert str(caught.value) == f"there is no rotation named '{'x' * 64}'; name one of: a"


def test_for_worker_selects_its_rotations_and_sets_left_out() -> None:
    broken = tuple((name, SettingsError("it is wrong", advice="fix it")) for name in ("a", "x", "y"))
    fleet = Fleet(rotations=tuple(map(member, "abc")), broken=broken).for_worker(["a", "x", "gone"])
    assert fake_ports.names(fleet.rotations) == ["a"], "of two documents with this name, the one that counts"
    assert fleet.broken == (broken[1],)
    assert fleet.other_rotations is None


def test_short_overlap_gives_a_warning_without_failure() -> None:
    clock = Clock()
    ports = fake_ports.ports(clock, (200, {"access_token": "t", "token_type": "Bearer", "expires_in": 600}))
    summary = serve(Fleet(rotations=(member("a"),)), ports, clock)
    assert not summary.failed
    assert "rotation a: a token of 10 min" in summary.to_dict()["warnings"][0]


def test_summary_has_exactly_the_documented_members() -> None:
    clock = Clock()
    summary = serve(Fleet(rotations=(member("a"),)), fake_ports.ports(clock), clock)
    assert summary.to_dict() == {
        "rotated": 1,
        "fresh": 0,
        "kept": 0,
        "busy": 0,
        "failed": 0,
        "rotations": [
            {
                "name": "a",
                "outcome": "rotated",
                "expires_at": "2026-11-25T06:00:00Z",
                "parameter_version": 1,
                "error": None,
            }
        ],
    }


def test_summary_round_trips_through_json() -> None:
    clock = Clock()
    missing = rotation(name="b", parameter_name="/fleet/b", secret_id="missing")
    reported = serve(Fleet(rotations=(member("a"), missing)), fake_ports.ports(clock), clock).to_dict()
    assert Summary.from_dict(json.loads(json.dumps(reported))).to_dict() == reported


def test_secret_stage_round_trips_through_json() -> None:
    clock = Clock()
    ports = fake_ports.ports(clock, (401, {"error": "invalid_client"}))
    ports.secrets.stage(Stage.PENDING, "pending")
    reported = serve(Fleet(rotations=(member("a"),)), ports, clock).to_dict()
    assert reported["rotations"][0]["secret_stage"] == "AWSPENDING"
    assert Summary.from_dict(json.loads(json.dumps(reported))).to_dict() == reported


def test_run_error_names_failed_rotation_and_its_reason() -> None:
    clock = Clock()
    missing = rotation(name="b", parameter_name="/fleet/b", secret_id="missing")
    error = RotationFailed(serve(Fleet(rotations=(member("a"), missing)), fake_ports.ports(clock), clock))
    assert str(error).startswith("1 of 2 rotations failed: b: the secret missing could not be read")


def test_rotations_of_one_run_use_their_own_secrets() -> None:
    clock = Clock()
    ports = fake_ports.ports(clock)
    ports.secrets.credentials["other"] = ClientCredentials(
        client_id="other", client_secret=Secret("x"), version_id="other-v9"
    )
    other = rotation(name="b", parameter_name="/fleet/b", secret_id="other")
    serve(Fleet(rotations=(member("a"), other)), ports, clock)
    assert ports.parameters.status("/fleet/a/status")["secret_version_id"] == "secret-v1"
    assert ports.parameters.status("/fleet/b/status")["secret_version_id"] == "other-v9"
