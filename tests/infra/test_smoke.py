"""``make smoke`` starts only in the named account, reports every check, and leaves nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from botocore.exceptions import ClientError

from infra.smoke import __main__ as smoke
from infra.smoke import deployed_stack, parameters
from infra.smoke.__main__ import CHECKS
from infra.smoke.fixtures import Check, Ground
from rotator.devstack.aws_emulators import ACCOUNT, ADMINISTRATOR, client_environment
from rotator.devstack.deployment import Account
from smoke_ground import PARAMETER, TOKEN, ground, refused

MOTOS_ACCOUNT = "123456789012"
STACK = "smoked"
IDS = [check.id for check in CHECKS]


def test_every_check_has_a_unique_id_and_one_sentence() -> None:
    assert len(set(IDS)) == len(IDS)
    assert all(
        check.expected and ";" not in check.expected and "\n" not in check.expected for check in CHECKS
    )


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No emulator evaluates missing data, however long one waits."""
    monkeypatch.setattr(deployed_stack, "LONGEST_WAIT_SECONDS", -1.0)
    monkeypatch.setattr(parameters, "WRITE_INTERVAL_SECONDS", 0.0)


REFUSED = {
    "no account": ("", STACK, "", "--account is missing; set ACCOUNT to the account"),
    "too short": ("12345678901", STACK, "", "--account is not an account id; write its 12 digits"),
    "too long": ("1234567890123", STACK, "", "--account is not an account id"),
    "letters": ("12345678901a", STACK, "", "--account is not an account id"),
    "digits of elsewhere": ("١٢٣٤٥٦٧٨٩٠١٢", STACK, "", "--account is not an account id"),
    "no stack": (MOTOS_ACCOUNT, "", "", "--stack is missing; set STACK to a deployed stack"),
    "an unknown check": (
        MOTOS_ACCOUNT,
        STACK,
        "sizes,colour",
        "--skip names unknown checks: colour; see infra/docs",
    ),
    "another account": (
        "210987654321",
        STACK,
        "",
        f"the credentials are of account {MOTOS_ACCOUNT}, not 210987654321; use credentials",
    ),
    "a stack that is not there": (
        MOTOS_ACCOUNT,
        "missing",
        "",
        "the stack missing could not be read: ValidationError; check its name",
    ),
}


@pytest.mark.parametrize(("account", "stack", "skip", "reported"), REFUSED.values(), ids=REFUSED)
def test_refused_start_prints_one_line_and_exits_with_2(
    moto: Account, capsys: pytest.CaptureFixture[str], account: str, stack: str, skip: str, reported: str
) -> None:
    assert smoke.main([f"--account={account}", f"--stack={stack}", f"--skip={skip}"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"smoke: {reported}")
    assert printed.err.count("\n") == 1
    assert moto.client("ssm").describe_parameters()["Parameters"] == []


def test_missing_region_or_credentials_exits_with_2(
    moto: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [f"--account={MOTOS_ACCOUNT}", f"--stack={STACK}"]
    for name in ADMINISTRATOR:
        monkeypatch.delenv(name)
    assert smoke.main(arguments) == 2
    assert "AWS did not accept the credentials: NoCredentialsError; log in" in capsys.readouterr().err
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    assert smoke.main(arguments) == 2
    assert "no AWS Region is set; set AWS_REGION" in capsys.readouterr().err


@pytest.fixture(scope="module")
def account(ministack_endpoint: str, function_zip: Path) -> Account:
    """An account with a deployed stack and a token."""
    account = Account(ministack_endpoint, ADMINISTRATOR)
    secret = account.create_secret("smoked/client", "client", "secret-of-the-client")
    settings = {"SecretArn": secret, "ParameterName": PARAMETER, "CreateKey": "true", "ScheduleMinutes": "60"}
    account.upload(function_zip)
    account.create_stack(settings, stack=STACK)
    account.client("ssm").put_parameter(Name=PARAMETER, Value=TOKEN, Type="SecureString")
    return account


@pytest.fixture
def everything(account: Account, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """What is in the account, which the environment leads to: parameters, stacks, alarms, secrets."""
    for name, value in client_environment(account.endpoint).items():
        monkeypatch.setenv(name, value)

    def look() -> Any:
        parameters = account.client("ssm").get_paginator("describe_parameters").paginate()
        stacks = account.client("cloudformation").describe_stacks()["Stacks"]
        secrets = account.client("secretsmanager").list_secrets(IncludePlannedDeletion=True)
        return (
            sorted((p["Name"], p["Version"]) for page in parameters for p in page["Parameters"]),
            sorted((stack["StackName"], stack["StackStatus"]) for stack in stacks),
            sorted(a["AlarmName"] for a in account.client("cloudwatch").describe_alarms()["MetricAlarms"]),
            sorted(s["Name"] for s in secrets["SecretList"]),
        )

    return look


DEFAULTS_ALONE = "Parameters:\n  Some:\n    Type: String\n    Default: x\n"
ARGUMENTS = (f"--account={ACCOUNT}", f"--stack={STACK}")


def test_full_run_reports_every_check_and_cleans_up(
    everything: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything()
    assert (PARAMETER, 1) in before[0]
    assert smoke.main(ARGUMENTS) == 1, "an emulator does not enforce all of it"
    printed = capsys.readouterr()
    first, *lines = printed.out.splitlines()
    assert first.startswith("the names of all created resources contain ")
    assert [line.split(": ")[0][2:] for line in lines] == IDS
    for line, check in zip(lines, CHECKS, strict=True):
        assert line[0] in "✓✗-"
        assert f" {check.id}: {check.expected}; found: " in line
    passed = {line.split(": ")[0][2:] for line in lines if line.startswith("✓")}
    assert passed >= {"too-many-updates", "create-once", "secret-denied", "allowed-pattern"}
    assert TOKEN not in printed.out + printed.err
    assert printed.err == ""
    assert everything() == before


def test_skipped_checks_do_not_run(everything: Callable[[], Any], capsys: pytest.CaptureFixture[str]) -> None:
    others = ",".join(check for check in IDS if check not in ("create-once", "secret-denied"))
    assert smoke.main([*ARGUMENTS, f"--skip={others}"]) == 0
    assert [line[:2] for line in capsys.readouterr().out.splitlines()[1:]] == ["✓ ", "✓ "]


def test_crash_during_a_check_cleans_up(
    account: Account, everything: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int, str]] = []

    def crash(ground: Ground) -> NoReturn:
        parameters.create_once(ground)
        cloudformation = ground.client("cloudformation")
        ground.at_the_end("the stack", lambda: cloudformation.delete_stack(StackName=ground.scratch))
        cloudformation.create_change_set(
            StackName=ground.scratch,
            ChangeSetName="some",
            ChangeSetType="CREATE",
            TemplateBody=DEFAULTS_ALONE + deployed_stack.NOTHING,
        )
        stacks = cloudformation.describe_stacks(StackName=ground.scratch)["Stacks"]
        seen.append((ground.scratch, len(everything()[0]), stacks[0]["StackStatus"]))
        raise RuntimeError("in the middle")

    before = everything()
    monkeypatch.setattr(smoke, "CHECKS", (Check("crash", "it crashes", crash),))
    with pytest.raises(RuntimeError, match="in the middle"):
        smoke.main(ARGUMENTS)
    ((scratch, count, status),) = seen
    assert (count, status) == (len(before[0]) + 1, "REVIEW_IN_PROGRESS")
    assert everything() == before
    with pytest.raises(ClientError, match="does not exist"):
        account.client("cloudformation").describe_stacks(StackName=scratch)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_exits_with_130_and_cleans_up(
    kind: signal.Signals,
    everything: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(ground: Ground) -> NoReturn:
        parameters.create_once(ground)
        signal.raise_signal(kind)
        raise AssertionError

    before = everything()
    monkeypatch.setattr(smoke, "CHECKS", (Check("interrupt", "it is interrupted", interrupt),))
    assert smoke.main(ARGUMENTS) == 130
    assert capsys.readouterr().err.startswith("smoke: interrupted")
    assert everything() == before


def test_resources_that_cannot_be_deleted_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = ground({"delete_parameters": refused("AccessDeniedException")})

    def deny() -> NoReturn:
        raise refused("AccessDenied")

    left.new_name("tier")
    for kind in ("alarm", "stack", "queue"):
        left.at_the_end(f"the {kind} rotator-smoke-1", deny)
    monkeypatch.setattr(smoke, "find_ground", lambda *_: left)
    monkeypatch.setattr(smoke, "CHECKS", ())
    assert smoke.main([f"--account={ACCOUNT}", f"--stack={STACK}"]) == 1
    assert capsys.readouterr().err == (
        "smoke: these resources could not be deleted: /rotator-smoke/1/tier the alarm rotator-smoke-1 "
        "the stack rotator-smoke-1 the queue rotator-smoke-1; delete them\n"
    )
