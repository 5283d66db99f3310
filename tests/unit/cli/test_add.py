"""``rotator add`` in memory: the check before, the written document, and the report."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.console import Console

from doctor_patient import healthy
from fake_ports import CANARY_SECRET, rotation
from multiple_rotations import PATH, MultipleRotations, document
from rotator.cli import add, wiring
from rotator.cli.doctor import instruments
from rotator.doctor.context import Instruments
from rotator.errors import Retry, RotatorError, SettingsError, TokenRequestError
from rotator.oauth.client_credentials import TokenResponse

ADD = ("add", "tenant-a", "--secret-id", "healthwise/client", "--parameter-name", "/tenant-a/token")


# The dry check.


def tools(status: int | RotatorError) -> Instruments:
    def reach(url: str, _ca_parameter_name: str | None) -> TokenResponse | RotatorError:
        if isinstance(status, RotatorError):
            return status
        return TokenResponse(status=status, body=b"", requested_at=multiple.clock.now())

    multiple, patient = MultipleRotations(), healthy()
    return Instruments(
        inspector=patient.inspector,
        reach=reach,
        begin_run=lambda: pytest.fail("no run is needed"),
        now=multiple.clock.now,
    )


def checked(multiple: MultipleRotations, status: int | RotatorError = 405) -> tuple[str, RotatorError | None]:
    """What the check shows, and why it refuses."""
    console, refusal = Console(width=200), None
    with console.capture() as capture:
        try:
            add.check(rotation(name="tenant-a"), multiple.rotator, tools(status), console)
        except RotatorError as error:
            refusal = error
    return capture.get(), refusal


def test_check_passes_without_requesting_a_token() -> None:
    multiple = MultipleRotations()
    shown, refusal = checked(multiple)
    assert refusal is None
    assert shown.count("✓") == 2
    assert multiple.ports.token_endpoint.requests == []
    assert CANARY_SECRET not in shown


@pytest.mark.parametrize(
    ("secret", "status", "why"),
    [
        (False, 405, ": its secret failed the check;"),
        (True, 503, ": its token endpoint failed the check;"),
        (
            True,
            TokenRequestError("no certificate", advice="trust it"),
            ": its token endpoint failed the check;",
        ),
        (False, 503, ": its secret and token endpoint failed the check;"),
    ],
)
def test_failed_check_is_shown_and_refuses_the_rotation(
    secret: bool, status: int | RotatorError, why: str
) -> None:
    multiple = MultipleRotations()
    if not secret:
        multiple.ports.secrets.credentials.clear()
    shown, refusal = checked(multiple, status)
    assert shown.count("✗") == why.count(" and ") + 1
    assert shown.count("→") == shown.count("✗")
    assert refusal
    assert f"tenant-a was not written{why}" in str(refusal)
    assert "--no-check" in refusal.advice
    assert not isinstance(refusal, SettingsError)


def test_check_before_add_does_not_announce_a_next_run() -> None:
    down = TokenRequestError("it is down", advice="check the path", retry=Retry.NEXT_RUN)
    assert checked(MultipleRotations(), down)[0].endswith(
        "→ try again; if the error persists, check the path\n"
    )


def test_the_doctors_instruments_are_made_without_a_call() -> None:
    assert instruments().now().tzinfo is not None


# add


def test_add_prints_document_and_next_step(command: Any) -> None:
    multiple = MultipleRotations()
    done = command(multiple, *ADD, "--no-check")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (
        "added tenant-a: /rotations/tenant-a\nThe next run uses it. To run now: rotator rotate tenant-a\n"
    )
    assert json.loads(multiple.texts()["tenant-a"])["parameter_name"] == "/tenant-a/token"


def test_changed_parameter_warns_that_old_token_is_not_renewed(command: Any) -> None:
    multiple = MultipleRotations(**{"tenant-a": document("old")})
    done = command(multiple, *ADD, "--no-check", "--replace")
    assert done.stdout.startswith("changed tenant-a: /rotations/tenant-a\n")
    assert "No rotation renews /old/token any more; its token stays there and expires." in done.stdout
    assert "No rotation renews" not in command(multiple, *ADD, "--no-check", "--replace").stdout


def test_a_dry_run_prints_the_document_alone_and_writes_nothing(command: Any) -> None:
    multiple = MultipleRotations()
    done = command(multiple, *ADD, "--no-check", "--dry-run", "--renew-at", "0.5")
    assert (done.exit_code, multiple.texts()) == (0, {})
    assert json.loads(done.stdout) == {**document("tenant-a"), "renew_at": 0.5}
    assert "/rotations/tenant-a would be written; nothing was written" in done.stderr


def test_failed_check_writes_nothing_unless_skipped(command: Any) -> None:
    multiple = MultipleRotations()
    multiple.ports.secrets.credentials.clear()
    closed = ("--token-endpoint", "http://127.0.0.1:1/token")
    done = command(multiple, *ADD, *closed)
    assert (done.exit_code, done.stdout, multiple.texts()) == (1, "", {})
    assert "✗ secret: " in done.stderr
    assert "✗ token endpoint: " in done.stderr
    assert "was not written: its secret and token endpoint failed the check" in done.stderr
    assert command(multiple, *ADD, *closed, "--no-check").exit_code == 0


@pytest.mark.parametrize("args", [ADD, ("remove", "tenant-a", "--yes")])
def test_missing_rotations_path_setting_is_named(args: tuple[str, ...], command: Any) -> None:
    done = command(MultipleRotations(), *args, path="")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("rotator: ROTATOR_ROTATIONS_PATH is not set; set it to the path")
    assert "--stack" in done.stderr


@pytest.mark.parametrize("missing", ["--secret-id", "--parameter-name"])
def test_an_option_that_is_missing_is_named(missing: str, command: Any) -> None:
    where = ADD.index(missing)
    done = command(MultipleRotations(), *ADD[:where], *ADD[where + 2 :])
    assert done.exit_code == 2
    assert f"Missing option '{missing}'" in done.stderr


# A stack's settings.


def has_variables(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    monkeypatch.setattr(wiring, "environment", lambda stack: variables if stack else {})


def test_add_to_single_rotation_stack_is_refused(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    has_variables(monkeypatch, ROTATOR_SECRET_ID="healthwise/client")
    done = command(MultipleRotations(), *ADD, "--stack", "rotator")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "the stack rotator has one rotation" in done.stderr
    assert "deployed with RotationsPath" in done.stderr


def test_add_with_stack_suggests_rotating_by_function(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    has_variables(monkeypatch, ROTATOR_ROTATIONS_PATH=PATH)
    multiple = MultipleRotations()
    done = command(multiple, *ADD, "--no-check", "--stack", "rotator", path="")
    assert (done.exit_code, list(multiple.texts())) == (0, ["tenant-a"])
    assert "To run now: rotator rotate tenant-a --function FUNCTION" in done.stdout
