"""What the doctor finds: all well, one thing broken at a time, and what depends on what."""

from __future__ import annotations

import json
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from rich.console import Console

from doctor_patient import (
    AFTER_THE_SECRET,
    BROKEN,
    CHECKS,
    ON_THE_CLOCK,
    Cases,
    Findings,
    Patient,
    answers,
    fails,
    has_key,
    healthy,
    issues,
)
from fake_ports import CANARY_SECRET, DAY, START, jwt, rotation
from leak_check import secrets_in
from rotator.cli.doctor import print_check, print_total
from rotator.doctor.check import Check, State
from rotator.errors import RotatorError, SettingsError, TokenRequestError
from rotator.oauth.models import Secret
from rotator.renewal.guarantee import Guarantee


def at(hours: float) -> str:
    return format_datetime(START + timedelta(hours=hours), usegmt=True)


def set_clocks(patient: Patient, *, aws: str | None, endpoint: str | None) -> None:
    patient.inspector.date, patient.date = aws, endpoint


def lose_secret(patient: Patient) -> None:
    patient.ports.secrets.credentials.clear()


def test_healthy_deployment_passes_every_check_in_order() -> None:
    findings = healthy().examine()
    assert [check.name for check in findings.checks] == CHECKS
    assert findings.marked(State.OK) == set(CHECKS)
    assert [check.advice for check in findings.checks] == [None] * len(CHECKS)
    assert findings.code == 0


CASES: Cases = {
    "an AWS that knows no caller": (
        fails("identity"),
        "AWS identity",
        {*CHECKS} - {"settings", "AWS identity", "clock", "token endpoint"},
        "mend it",
    ),
    "a clock that is ahead": (
        lambda p: set_clocks(p, aws=at(-1), endpoint=at(-1)),
        "clock",
        ON_THE_CLOCK,
        "set this machine's clock",
    ),
    "a clock that is behind": (
        lambda p: set_clocks(p, aws=at(1), endpoint=at(1)),
        "clock",
        ON_THE_CLOCK,
        "set this machine's clock",
    ),
    "an endpoint's clock": (
        lambda p: setattr(p, "date", at(1)),
        "clock",
        ON_THE_CLOCK,
        "AWS agrees with this machine",
    ),
    "an endpoint's clock, where AWS says nothing": (
        lambda p: set_clocks(p, aws=None, endpoint=at(1)),
        "clock",
        ON_THE_CLOCK,
        "set this machine's clock",
    ),
    "a secret that is gone": (lose_secret, "secret", AFTER_THE_SECRET, ""),
    "an endpoint out of order": (
        lambda p: setattr(p, "reach_status", 503),
        "token endpoint",
        AFTER_THE_SECRET,
        "contact the provider",
    ),
    "an endpoint that cannot be reached": (
        lambda p: setattr(p, "unreachable", TokenRequestError("no certificate", advice="trust it")),
        "token endpoint",
        AFTER_THE_SECRET,
        "trust it",
    ),
    "credentials that are refused": (
        answers(401, {"error": "invalid_client"}),
        "credentials",
        {"token", "size"},
        "rotator doctor --try-encodings",
    ),
    "credentials that are refused with a 200": (
        answers(200, {"error": "invalid_client"}),
        "credentials",
        {"token", "size"},
        "check client_id and client_secret in the secret",
    ),
    "a scope that is refused": (
        answers(400, {"error": "invalid_scope"}),
        "credentials",
        {"token", "size"},
        "set scope to one",
    ),
    "a token of another type": (issues(token_type="mac"), "token", {"size"}, "check token_endpoint"),
    "a token that is expired": (
        issues(access_token=jwt({"exp": START.timestamp() - 1})),
        "token",
        {"size"},
        "compare the clocks",
    ),
    "a token too short-lived for its consumers": (
        issues(expires_in=900),
        "token",
        {"size"},
        "set ROTATOR_RENEW_AT to 0.26 or less",
    ),
    "a token too large for its tier": (
        lambda p: issues(access_token="x" * 4097)(p.set(tier="Standard")),
        "size",
        (),
        "set tier to Intelligent-Tiering",
    ),
    "a token too large for every tier": (
        issues(access_token="x" * 8193),
        "size",
        (),
        "set scope to a narrower one",
    ),
    "a token parameter that is denied": (fails("may_write_token"), "parameter", (), "mend it"),
    "a status parameter that is denied": (fails("may_write_status"), "parameter", (), "mend it"),
    "a key that is not there": (
        lambda p: p.set(kms_key_id="alias/mine"),
        "key",
        (),
        "set kms_key_id to a key of this account",
    ),
    "a key that is off": (has_key(state="PendingDeletion"), "key", (), "enable the key"),
    "a key for signatures": (
        has_key(usage="SIGN_VERIFY", spec="RSA_2048"),
        "key",
        (),
        "a symmetric encryption key",
    ),
    "a key for codes": (has_key(usage="GENERATE_VERIFY_MAC"), "key", (), "a symmetric encryption key"),
    "a key that may not be looked at": (
        lambda p: (p.set(kms_key_id="alias/mine"), fails("key")(p)),
        "key",
        (),
        "mend it",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_single_fault_fails_one_check_with_advice(case: str) -> None:
    breaks, cross, dashes, advice = CASES[case]
    patient = healthy()
    breaks(patient)
    findings = patient.examine()
    assert (findings.failed, findings.skipped) == ({cross}, set(dashes))
    assert advice in (findings[cross].advice or "")
    assert findings.code == 1


def test_skipped_check_names_the_check_it_depends_on() -> None:
    patient = healthy()
    lose_secret(patient)
    findings = patient.examine()
    assert findings["credentials"].found == 'not checked, because the check "secret" failed'
    assert findings["token"].found == 'not checked, because the check "credentials" was skipped'


# Settings and the guarantee.


def test_settings_error_still_checks_aws_identity_and_clock() -> None:
    patient = healthy(settings_error=SettingsError("no secret is set", advice="set it"))
    findings = patient.examine()
    assert [check.name for check in findings.checks] == CHECKS
    assert (findings.failed, findings.marked(State.OK)) == ({"settings"}, {"AWS identity", "clock"})
    assert (findings["settings"].advice, findings.code, patient.reached) == ("set it", 2, [])


def test_settings_held_by_aws_are_unchecked_without_identity() -> None:
    patient = healthy(settings_error=RotatorError("the stack could not be read", advice="log in"))
    patient.inspector.fails["identity"] = RotatorError("no credentials", advice="log in")
    findings = patient.examine()
    assert (findings.failed, findings.code) == ({"AWS identity"}, 1)
    assert findings["settings"].found == 'not checked, because the check "AWS identity" failed'


def test_settings_held_by_aws_fail_with_an_identity() -> None:
    findings = healthy(settings_error=RotatorError("the stack is denied", advice="allow it")).examine()
    assert (findings.failed, findings["settings"].advice) == ({"settings"}, "allow it")


@pytest.mark.parametrize(("asked", "stored"), [(900, DAY), (DAY, 900), (900, 900)])
def test_shortest_known_lifetime_decides_overlap_check(asked: int, stored: int) -> None:
    patient = (
        Patient().set(token_request_params={"expiration": str(asked)}).store(lifetime=stored, hours_old=0)
    )
    findings = patient.examine()
    assert (findings.failed, findings.code) == ({"guarantee"}, 2)
    assert findings["guarantee"].advice == "set ROTATOR_RENEW_AT to 0.26 or less"


def test_impossible_guarantee_fails_only_overlap_check() -> None:
    patient = Patient(guarantee=Guarantee(consumer_cache=10 * 3600)).store()
    assert patient.examine().failed == {"guarantee"}


def test_unknown_lifetime_defers_overlap_to_token_check() -> None:
    patient = Patient()
    assert "guarantee" in patient.examine().skipped
    issues(expires_in=900)(patient)
    findings = patient.examine()
    assert findings["token"].state is State.FAILED
    assert "consumers have no guaranteed remaining lifetime" in findings["token"].found


# Clocks.


@pytest.mark.parametrize(("seconds", "well"), [(-61, False), (-60, True), (0, True), (60, True), (61, False)])
def test_clocks_may_differ_by_a_minute(seconds: int, well: bool) -> None:
    patient = healthy()
    patient.date = patient.inspector.date = at(seconds / 3600)
    assert (patient.examine()["clock"].state is State.OK) is well


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_missing_dates_skip_only_clock_check(date: str | None) -> None:
    patient = healthy()
    patient.date = patient.inspector.date = date
    findings = patient.examine()
    assert (findings.failed, findings.skipped) == (set(), {"clock"})


def test_unreachable_time_source_does_not_fail_clock_check() -> None:
    patient = healthy()
    patient.inspector.fails["aws_date"] = BROKEN
    assert patient.examine()["clock"].found == "differs by 0 s from auth.example.test"
    patient.unreachable = BROKEN
    assert patient.examine().skipped == {"clock", *AFTER_THE_SECRET}


# Many rotations.


def multiple(**changes: Any) -> Patient:
    names = ("billing", "search")
    each = [
        rotation(name=name, parameter_name=f"/{name}/token", secret_id="healthwise/client") for name in names
    ]
    patient = Patient(rotations=tuple(each), path="/rotations", **changes)
    for one in each:
        patient.store(one)
    return patient


def test_multiple_rotations_run_shared_checks_once() -> None:
    patient = multiple()
    findings = patient.examine()
    shared = ["settings", "AWS identity", "clock", "schedule", "alarms", "last run"]
    each = [check.name for check in findings.checks if check.rotation == "billing"]
    assert [check.name for check in findings.checks if check.rotation is None] == shared
    assert each == [name for name in CHECKS if name not in shared]
    assert each == [check.name for check in findings.checks if check.rotation == "search"]
    assert findings["settings"].found == "2 rotations under /rotations, read from the environment"


def test_shared_token_endpoint_is_reached_once() -> None:
    patient = multiple()
    patient.examine()
    assert len(patient.reached) == 1


def test_fault_in_one_rotation_does_not_fail_another() -> None:
    patient = multiple()
    patient.ports.parameters.write_token(patient.rotations[0], Secret("another"))
    findings = patient.examine()
    assert [(c.name, c.rotation) for c in findings.checks if c.state is State.FAILED] == [
        ("stored token", "billing")
    ]


def test_invalid_rotation_document_fails_a_check_of_its_own() -> None:
    broken = (("triage", SettingsError("no secret_id", advice="write it")),)
    findings = multiple(broken=broken).examine()
    crosses = [check for check in findings.checks if check.state is State.FAILED]
    assert crosses == [
        Check(
            name="settings",
            state=State.FAILED,
            found="no secret_id",
            advice="write it",
            rotation="triage",
        )
    ]
    assert findings.code == 2
    assert multiple(broken=broken).examine().marked(State.OK) >= {"settings", "secret"}


# The findings, which never contain a secret.


def test_unforeseen_error_fails_one_check_and_logs_its_type(
    caplog: pytest.LogCaptureFixture,
) -> None:
    patient = healthy()
    patient.inspector.fails["key"] = KeyError(CANARY_SECRET)
    patient.set(kms_key_id="alias/mine")
    findings = patient.examine()
    assert (findings.failed, findings["key"].found) == ({"key"}, "unexpected KeyError")
    assert "unexpected KeyError in the check key" in caplog.text
    assert CANARY_SECRET not in caplog.text


@pytest.mark.parametrize("case", ["nothing", *CASES])
def test_findings_contain_no_secret_or_token(case: str) -> None:
    patient = healthy()
    if case in CASES:
        CASES[case][0](patient)
    findings = patient.examine(try_encodings=True)
    reported = json.dumps([check.to_dict() for check in findings.checks]) + repr(findings)
    assert secrets_in(reported, {CANARY_SECRET, "canary", "x" * 4097, "stored."}) == []


def test_check_to_dict_has_state_finding_and_next_step() -> None:
    patient = healthy(reach_status=503)
    assert patient.examine()["token endpoint"].to_dict() == {
        "check": "token endpoint",
        "rotation": "default",
        "state": "failed",
        "found": "auth.example.test answers HTTP 503",
        "next_step": "try again later; if the error persists, contact the provider",
    }


def shown(findings: Findings, *, with_rotation: bool = False) -> list[str]:
    console = Console(width=60)
    with console.capture() as capture:
        for check in findings.checks:
            print_check(console, check, with_rotation=with_rotation)
        print_total(console, findings.checks)
    return capture.get().splitlines()


def test_printed_check_shows_mark_finding_and_next_step() -> None:
    patient = healthy()
    lose_secret(patient)
    lines = shown(patient.examine())
    assert lines[0] == "✓ settings: the rotation default, read from the environment"
    cross = next(number for number, line in enumerate(lines) if line.startswith("✗ secret: "))
    assert lines[cross + 1].startswith("  → ")
    assert '\N{EN DASH} credentials: not checked, because the check "secret" failed' in lines
    assert lines[-1] == "11 passed, 1 failed, 3 not checked"


def test_printed_check_lines_name_their_rotation() -> None:
    lines = shown(multiple().examine(), with_rotation=True)
    assert sum("secret of billing" in line or "secret of search" in line for line in lines) == 2
