"""``make smoke`` starts in the account that was meant only, tells of every check, and leaves nothing."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import boto3
import pytest
from botocore.exceptions import ClientError

from infra import smoke, smoke_parameters, smoke_roles, smoke_stack
from infra.smoke import CHECKS, Check
from infra.smoke_ground import Ground, NotHere
from rotator.local.aws import ACCOUNT, ADMINISTRATOR, client_environment
from rotator.local.deployment import Account

MOTOS_ACCOUNT = "123456789012"
STACK = "smoked"
PARAMETER = "/smoked/token"
TOKEN = "the-token-that-must-not-be-touched"
IDS = [check.id for check in CHECKS]


def test_every_check_has_an_id_of_its_own_and_one_sentence() -> None:
    assert len(set(IDS)) == len(IDS)
    assert all(
        check.expected and ";" not in check.expected and "\n" not in check.expected for check in CHECKS
    )


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No emulator evaluates missing data, however long one waits."""
    monkeypatch.setattr(smoke_stack, "PATIENCE", -1.0)
    monkeypatch.setattr(smoke_parameters, "PACE", 0.0)


REFUSED = {
    "no account": ("", STACK, "", "--account is missing; name the account"),
    "too short": ("12345678901", STACK, "", "--account is no account's number; give its 12 digits"),
    "too long": ("1234567890123", STACK, "", "--account is no account's number"),
    "letters": ("12345678901a", STACK, "", "--account is no account's number"),
    "digits of elsewhere": ("١٢٣٤٥٦٧٨٩٠١٢", STACK, "", "--account is no account's number"),
    "no stack": (MOTOS_ACCOUNT, "", "", "--stack is missing; name a deployed stack"),
    "an unknown check": (MOTOS_ACCOUNT, STACK, "sizes,colour", "there is no check colour; see CHECKS"),
    "another account": (
        "210987654321",
        STACK,
        "",
        f"these credentials are of account {MOTOS_ACCOUNT}, not 210987654321; give",
    ),
    "a stack that is not there": (
        MOTOS_ACCOUNT,
        "nobody",
        "",
        "the stack nobody cannot be looked at: ValidationError; check its name",
    ),
}


@pytest.mark.parametrize(("account", "stack", "skip", "told"), REFUSED.values(), ids=REFUSED)
def test_it_does_not_start_and_says_why_in_one_line(
    moto: Account, capsys: pytest.CaptureFixture[str], account: str, stack: str, skip: str, told: str
) -> None:
    assert smoke.main([f"--account={account}", f"--stack={stack}", f"--skip={skip}"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"smoke: {told}")
    assert printed.err.count("\n") == 1
    assert moto.client("ssm").describe_parameters()["Parameters"] == []


def test_it_does_not_start_without_a_region_or_credentials(
    moto: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [f"--account={MOTOS_ACCOUNT}", f"--stack={STACK}"]
    for name in ADMINISTRATOR:
        monkeypatch.delenv(name)
    assert smoke.main(arguments) == 2
    assert "AWS does not know who you are: NoCredentialsError; log in" in capsys.readouterr().err
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
    account.deploy(function_zip, settings, stack=STACK)
    account.client("ssm").put_parameter(Name=PARAMETER, Value=TOKEN, Type="SecureString")
    return account


@pytest.fixture
def everything(account: Account, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """What is in the account, which the environment leads to: parameters, their versions, stacks."""
    for name, value in client_environment(account.endpoint).items():
        monkeypatch.setenv(name, value)

    def look() -> Any:
        parameters = account.client("ssm").get_paginator("describe_parameters").paginate()
        stacks = account.client("cloudformation").describe_stacks()["Stacks"]
        return (
            sorted((p["Name"], p["Version"]) for page in parameters for p in page["Parameters"]),
            sorted((stack["StackName"], stack["StackStatus"]) for stack in stacks),
            sorted(a["AlarmName"] for a in account.client("cloudwatch").describe_alarms()["MetricAlarms"]),
        )

    return look


DEFAULTS_ALONE = "Parameters:\n  Some:\n    Type: String\n    Default: x\n"
ARGUMENTS = (f"--account={ACCOUNT}", f"--stack={STACK}")


def test_it_runs_to_its_end_tells_of_every_check_and_leaves_nothing(
    everything: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything()
    assert (PARAMETER, 1) in before[0]
    assert smoke.main(ARGUMENTS) == 1, "an emulator does not enforce all of it"
    printed = capsys.readouterr()
    first, *lines = printed.out.splitlines()
    assert first.startswith("everything that is created has ")
    assert [line.split(": ")[0][2:] for line in lines] == IDS
    for line, check in zip(lines, CHECKS, strict=True):
        assert line[0] in "✓✗-"
        assert f" {check.id}: {check.expected}; found: " in line
    ticks = {line.split(": ")[0][2:] for line in lines if line.startswith("✓")}
    assert ticks >= {"too-many-updates", "create-once", "secret-denied", "allowed-pattern"}
    assert TOKEN not in printed.out + printed.err
    assert printed.err == ""
    assert everything() == before


def test_what_is_skipped_is_not_done(
    everything: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    others = ",".join(check for check in IDS if check not in ("create-once", "secret-denied"))
    assert smoke.main([*ARGUMENTS, f"--skip={others}"]) == 0
    assert [line[:2] for line in capsys.readouterr().out.splitlines()[1:]] == ["✓ ", "✓ "]


def test_a_crash_in_the_middle_leaves_nothing_either(
    everything: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int, str]] = []

    def crash(ground: Ground) -> NoReturn:
        smoke_parameters.create_once(ground)
        cloudformation = ground.client("cloudformation")
        cloudformation.create_change_set(
            StackName=ground.scratch,
            ChangeSetName="some",
            ChangeSetType="CREATE",
            TemplateBody=smoke_stack._parameters_alone(DEFAULTS_ALONE),
        )
        stacks = cloudformation.describe_stacks(StackName=ground.scratch)["Stacks"]
        seen.append((ground.scratch, len(everything()[0]), stacks[0]["StackStatus"]))
        raise RuntimeError("in the middle")

    before = everything()
    monkeypatch.setattr(smoke, "CHECKS", (Check("crash", "it crashes", crash),))
    with pytest.raises(RuntimeError, match="in the middle"):
        smoke.main(ARGUMENTS)
    ((scratch, parameters, status),) = seen
    assert (parameters, status) == (len(before[0]) + 1, "REVIEW_IN_PROGRESS")
    assert everything() == before
    with pytest.raises(ClientError, match="does not exist"):
        boto3.client("cloudformation").describe_stacks(StackName=scratch)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_either(
    kind: signal.Signals,
    everything: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(ground: Ground) -> NoReturn:
        smoke_parameters.create_once(ground)
        signal.raise_signal(kind)
        raise AssertionError

    before = everything()
    monkeypatch.setattr(smoke, "CHECKS", (Check("interrupt", "it is interrupted", interrupt),))
    assert smoke.main(ARGUMENTS) == 130
    assert capsys.readouterr().err.startswith("smoke: interrupted")
    assert everything() == before


@dataclass
class Scripted:
    """A client whose calls have scripted answers, one after another; the last again and again."""

    answers: Mapping[str, Any]
    asked: dict[str, int] = field(default_factory=dict)

    def __getattr__(self, call: str) -> Callable[..., Any]:
        def answer(**_request: Any) -> Any:
            given = self.answers[call]
            if isinstance(given, list):
                turn = self.asked[call] = self.asked.get(call, 0) + 1
                given = given[min(turn, len(given)) - 1]
            if isinstance(given, Exception):
                raise given
            return given(**_request) if callable(given) else given

        return answer

    def get_paginator(self, call: str) -> Any:
        return Scripted({"paginate": self.answers[call]})


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": TOKEN}}, "Anything")


@dataclass(frozen=True)
class Session:
    """A session with one client for every service."""

    only: Scripted

    def client(self, _service: str, **_settings: Any) -> Scripted:
        return self.only


def ground(answers: Mapping[str, Any], **changed: Any) -> Ground:
    usual: dict[str, Any] = {
        "session": Session(Scripted(answers)),
        "account": ACCOUNT,
        "region": "eu-central-1",
        "outputs": {
            "FunctionName": "smoked-Function-1",
            "FunctionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/smoked-Role-1",
            "ParameterName": PARAMETER,
            "KeyArn": f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1",
            "ConsumerPolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/smoked-ConsumerPolicy-1",
            "RotationsPath": "/smoked/rotations",
            "AlarmTopicArn": f"arn:aws:sns:eu-central-1:{ACCOUNT}:on-call",
            "ScheduleName": "smoked-Schedule-1",
            "LogGroupName": "/rotator/smoked",
        },
        "parameters": {"SecretArn": "the-secret"},
        "resources": {name: f"smoked-{name}" for name in ALARMS},
        "scratch": "rotator-smoke-1",
    }
    return Ground(**(usual | changed))


ALARMS = smoke_stack._alarms(smoke_stack.TEMPLATE.read_text())
STATES = {"MetricAlarms": [{"AlarmName": f"smoked-{name}", "StateValue": "OK"} for name in ALARMS]}
POINTS = {"Datapoints": [{"Sum": 12.0}]}
TRUST = {"Statement": [{"Principal": {"Service": "scheduler.amazonaws.com"}}]}
SCHEDULE = {"State": "ENABLED", "Target": {"RoleArn": "arn:aws:iam::1:role/r", "Arn": "the-function"}}


def allow(*resources: str, **conditions: str) -> Callable[..., Any]:
    """IAM's simulator of a role that may do anything with these resources, on these conditions."""

    def simulate(
        *,
        ResourceArns: list[str],  # noqa: N803 - AWS's
        ContextEntries: Sequence[dict[str, Any]] = (),  # noqa: N803
        **_: Any,
    ) -> Any:
        context = {e["ContextKeyName"].rpartition(":")[2]: e["ContextKeyValues"][0] for e in ContextEntries}
        is_allowed = ResourceArns[0] in resources and context.items() >= conditions.items()
        return {"EvaluationResults": [{"EvalDecision": "allowed" if is_allowed else "implicitDeny"}]}

    return simulate


def log(*lines: Any) -> list[Any]:
    return [
        [{"events": [{"message": line if isinstance(line, str) else json.dumps(line)} for line in lines]}]
    ]


KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1"
OWN_TOKEN = f"arn:aws:ssm:eu-central-1:{ACCOUNT}:parameter{PARAMETER}"
BY_SSM = {"ViaService": "ssm.eu-central-1.amazonaws.com", "PARAMETER_ARN": OWN_TOKEN}
PUT = {"Version": 1}
TOO_LARGE, INVALID = refused("ValidationException"), refused("ValidationError")
ROLE = {"get_schedule": SCHEDULE, "get_role": {"Role": {"AssumeRolePolicyDocument": TRUST}}}

QUEUE = f"arn:aws:sqs:eu-central-1:{ACCOUNT}:smoked-FailedRuns-1"
DESTINATION = {
    "get_function_event_invoke_config": {"DestinationConfig": {"OnFailure": {"Destination": QUEUE}}}
}
DOCUMENTS = f"arn:aws:ssm:eu-central-1:{ACCOUNT}:parameter/smoked/rotations"
POLICY = {
    "get_policy": {"Policy": {"DefaultVersionId": "v1"}},
    "get_policy_version": {"PolicyVersion": {"Document": {"Statement": []}}},
}


def only_reading() -> Callable[..., Any]:
    """IAM's simulator of a policy with which one may get the token and do nothing else."""

    def simulate(*, ActionNames: list[str], **request: Any) -> Any:  # noqa: N803 - AWS's
        reads = ActionNames == ["ssm:GetParameter"]
        return (allow(OWN_TOKEN) if reads else allow())(**request)

    return simulate


WORLDS: dict[str, tuple[Callable[[Ground], str], dict[str, Any], str | None]] = {
    "sizes refused": (smoke_parameters.sizes, {"put_parameter": TOO_LARGE}, None),
    "one size taken": (smoke_parameters.sizes, {"put_parameter": [TOO_LARGE, PUT]}, "it was done"),
    "sizes refused otherwise": (smoke_parameters.sizes, {"put_parameter": refused("Denied")}, "Denied"),
    "tier advanced": (smoke_parameters.tier, {"put_parameter": {"Tier": "Advanced"}}, None),
    "tier not told": (smoke_parameters.tier, {"put_parameter": PUT}, "the tier None"),
    "type refused": (
        smoke_parameters.type_change,
        {"put_parameter": [PUT, refused("HierarchyTypeMismatchException")]},
        None,
    ),
    "type kept": (
        smoke_parameters.type_change,
        {"put_parameter": PUT, "get_parameter": {"Parameter": {"Type": "SecureString"}}},
        None,
    ),
    "type changed": (
        smoke_parameters.type_change,
        {"put_parameter": PUT, "get_parameter": {"Parameter": {"Type": "String"}}},
        "it became a String",
    ),
    "a race lost": (
        smoke_parameters.too_many_updates,
        {"put_parameter": [PUT, {"Version": 2}, *[refused("TooManyUpdates")] * 99]},
        None,
    ),
    "one version twice": (
        smoke_parameters.too_many_updates,
        {"put_parameter": [PUT, {"Version": 2}]},
        "after version 1",
    ),
    "a race refused otherwise": (
        smoke_parameters.too_many_updates,
        {"put_parameter": [PUT, refused("InternalServerError")]},
        "InternalServerError",
    ),
    "created once": (
        smoke_parameters.create_once,
        {"put_parameter": [PUT, refused("ParameterAlreadyExists")]},
        None,
    ),
    "created twice": (smoke_parameters.create_once, {"put_parameter": PUT}, "it was done"),
    "label blocks": (
        smoke_parameters.labels,
        {
            "put_parameter": [PUT] * 100 + [refused("ParameterMaxVersionLimitExceeded")],
            "label_parameter_version": {},
        },
        None,
    ),
    "label does not block": (
        smoke_parameters.labels,
        {"put_parameter": PUT, "label_parameter_version": {}},
        "it was done",
    ),
    "key unknown": (smoke_parameters.kms_errors, {"put_parameter": refused("InvalidKeyId")}, None),
    "key taken": (smoke_parameters.kms_errors, {"put_parameter": PUT}, "it was done"),
    "key bound": (smoke_roles.kms_condition, {"simulate_principal_policy": allow(KEY, **BY_SSM)}, None),
    "key for any token": (
        smoke_roles.kms_condition,
        {"simulate_principal_policy": allow(KEY, ViaService=BY_SSM["ViaService"])},
        "kms:Encrypt is allowed on",
    ),
    "key for any service": (
        smoke_roles.kms_condition,
        {"simulate_principal_policy": allow(KEY, PARAMETER_ARN=OWN_TOKEN)},
        "kms:Encrypt is allowed on",
    ),
    "key denied": (
        smoke_roles.kms_condition,
        {"simulate_principal_policy": allow()},
        "kms:Encrypt is implicitDeny",
    ),
    "one secret": (smoke_roles.secret_denied, {"simulate_principal_policy": allow("the-secret")}, None),
    "every secret": (
        smoke_roles.secret_denied,
        {
            "simulate_principal_policy": allow(
                "the-secret", f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:rotator-smoke-1-AbCdEf"
            )
        },
        "secretsmanager:GetSecretValue is allowed on",
    ),
    "no secret": (
        smoke_roles.secret_denied,
        {"simulate_principal_policy": allow()},
        "is implicitDeny on the-secret",
    ),
    "documents read": (smoke_roles.rotations_path, {"simulate_principal_policy": allow(DOCUMENTS)}, None),
    "documents written": (
        smoke_roles.rotations_path,
        {"simulate_principal_policy": allow(DOCUMENTS, f"{DOCUMENTS}/smoke")},
        "ssm:PutParameter is allowed on",
    ),
    "documents not read": (
        smoke_roles.rotations_path,
        {"simulate_principal_policy": allow()},
        "ssm:GetParametersByPath is implicitDeny",
    ),
    "failed runs kept": (
        smoke_roles.failed_runs,
        {**DESTINATION, "simulate_principal_policy": allow(QUEUE)},
        None,
    ),
    "failed runs lost": (
        smoke_roles.failed_runs,
        {**DESTINATION, "simulate_principal_policy": allow()},
        "sqs:SendMessage is implicitDeny",
    ),
    "no destination": (
        smoke_roles.failed_runs,
        {"get_function_event_invoke_config": {}, "simulate_principal_policy": allow(QUEUE)},
        "sqs:SendMessage is implicitDeny",
    ),
    "consumers read": (
        smoke_roles.consumer_policy,
        {**POLICY, "simulate_custom_policy": only_reading()},
        None,
    ),
    "consumers write": (
        smoke_roles.consumer_policy,
        {**POLICY, "simulate_custom_policy": allow(OWN_TOKEN)},
        "ssm:PutParameter is allowed on",
    ),
    "consumers do not read": (
        smoke_roles.consumer_policy,
        {**POLICY, "simulate_custom_policy": allow()},
        "ssm:GetParameter is implicitDeny",
    ),
    "ticks arrive": (
        smoke_stack.scheduler_role,
        {**ROLE, "simulate_principal_policy": allow("the-function"), "get_metric_statistics": POINTS},
        None,
    ),
    "ticks do not arrive": (
        smoke_stack.scheduler_role,
        {
            **ROLE,
            "simulate_principal_policy": allow("the-function"),
            "get_metric_statistics": {"Datapoints": []},
        },
        "0 ticks and 0 runs",
    ),
    "no run": (
        smoke_stack.scheduler_role,
        {
            **ROLE,
            "simulate_principal_policy": allow("the-function"),
            "get_metric_statistics": [POINTS, {"Datapoints": []}],
        },
        "12 ticks and 0 runs",
    ),
    "any function": (
        smoke_stack.scheduler_role,
        {
            **ROLE,
            "simulate_principal_policy": allow(
                "the-function", f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:rotator-smoke-1"
            ),
        },
        "lambda:InvokeFunction is allowed on",
    ),
    "anyone trusted": (
        smoke_stack.scheduler_role,
        {**ROLE, "get_role": {"Role": {"AssumeRolePolicyDocument": {"Statement": [{"Principal": "*"}]}}}},
        "the role trusts",
    ),
    "patterns refuse": (
        smoke_stack.allowed_pattern,
        {"validate_template": {}, "create_change_set": [{}, INVALID]},
        None,
    ),
    "patterns refuse good values": (
        smoke_stack.allowed_pattern,
        {"validate_template": {}, "create_change_set": INVALID},
        "ValidationError",
    ),
    "one pattern does not refuse": (
        smoke_stack.allowed_pattern,
        {"validate_template": {}, "create_change_set": [{}, INVALID, {}]},
        "it was done",
    ),
    "patterns not understood": (
        smoke_stack.allowed_pattern,
        {"validate_template": INVALID},
        "ValidationError",
    ),
    "alarms quiet": (smoke_stack.alarms, {"describe_alarms": STATES, "get_metric_statistics": POINTS}, None),
    "an alarm missing": (
        smoke_stack.alarms,
        {"describe_alarms": {"MetricAlarms": STATES["MetricAlarms"][:-1]}},
        f"no alarm smoked-{ALARMS[-1]}",
    ),
    "alarm on": (
        smoke_stack.alarms,
        {"describe_alarms": {"MetricAlarms": [{**a, "StateValue": "ALARM"} for a in STATES["MetricAlarms"]]}},
        "TokenEndsSoon is ALARM",
    ),
    "no metric": (
        smoke_stack.alarms,
        {"describe_alarms": STATES, "get_metric_statistics": {"Datapoints": []}},
        "no data of TokenSecondsRemaining",
    ),
    "the topic takes it": (
        smoke_stack.alarm_actions,
        {
            "describe_alarm_history": {
                "AlarmHistoryItems": [{"HistorySummary": "Successfully executed action"}]
            }
        },
        None,
    ),
    "the topic refuses": (
        smoke_stack.alarm_actions,
        {"describe_alarm_history": {"AlarmHistoryItems": [{"HistorySummary": "Failed to execute action"}]}},
        "an action of",
    ),
    "missing data is bad": (
        smoke_stack.missing_data,
        {"put_metric_alarm": {}, "describe_alarms": {"MetricAlarms": [{"StateValue": "ALARM"}]}},
        None,
    ),
    "missing data is nothing": (
        smoke_stack.missing_data,
        {"put_metric_alarm": {}, "describe_alarms": {"MetricAlarms": [{"StateValue": "INSUFFICIENT_DATA"}]}},
        "it is INSUFFICIENT_DATA after",
    ),
    "logs are JSON": (
        smoke_stack.logs_json,
        {"filter_log_events": log({"level": "INFO"}, {"_aws": {}}, {"type": "platform.report"})},
        None,
    ),
    "logs are text": (
        smoke_stack.logs_json,
        {"filter_log_events": log("INFO rotated")},
        "a line that is no JSON",
    ),
    "logs without a level": (
        smoke_stack.logs_json,
        {"filter_log_events": log({"level": "INFO"}, {"message": TOKEN})},
        "the newest line has no level",
    ),
    "no logs": (smoke_stack.logs_json, {"filter_log_events": log()}, "nothing was logged"),
}


@pytest.mark.parametrize(("look", "answers", "cross"), WORLDS.values(), ids=WORLDS)
def test_a_check_tells_what_it_found(
    capsys: pytest.CaptureFixture[str],
    look: Callable[[Ground], str],
    answers: Mapping[str, Any],
    cross: str | None,
) -> None:
    assert smoke._holds(Check("some", "something", look), ground(answers)) == (cross is None)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("✓ some: something; found: " if cross is None else "✗ some: something; found: ")
    assert (cross or "found") in line
    assert TOKEN not in line


def test_every_check_is_seen_to_find_both() -> None:
    for check in CHECKS:
        crosses = [cross for look, _answers, cross in WORLDS.values() if look is check.look]
        assert None in crosses, check.id
        assert any(crosses), check.id


def test_a_stack_without_a_key_of_its_own_or_with_its_schedule_off_is_told_and_is_no_cross(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(NotHere, match="deploy one with CreateKey=true"):
        smoke_roles.kms_condition(ground({}, outputs={}))
    with pytest.raises(NotHere, match="deploy one with AlarmEmail"):
        smoke_stack.alarm_actions(ground({}, outputs={}))
    quiet: dict[str, Any] = {"describe_alarm_history": {"AlarmHistoryItems": []}}
    with pytest.raises(NotHere, match="no alarm has called anybody"):
        smoke_stack.alarm_actions(ground(quiet))
    with pytest.raises(NotHere, match="deploy one with RotationsPath"):
        smoke_roles.rotations_path(ground({}, outputs={}))
    off = {**ROLE, "get_schedule": SCHEDULE | {"State": "DISABLED"}}
    world = ground({**off, "simulate_principal_policy": allow("the-function")})
    assert smoke._holds(Check("some", "something", smoke_stack.scheduler_role), world)
    assert capsys.readouterr().out.startswith(
        "- some: something; found: the role is right; the schedule is off"
    )


def test_many_rotations_are_checked_by_their_prefixes() -> None:
    outputs = {k: v for k, v in ground({}).outputs.items() if k != "ParameterName"}
    parameters = {
        "SecretArn": "",
        "SecretPrefix": "team/",
        "ParameterName": "/healthwise/token",
        "ParameterPrefix": "/team",
    }
    token = {**BY_SSM, "PARAMETER_ARN": f"arn:aws:ssm:eu-central-1:{ACCOUNT}:parameter/team/smoke"}
    secret = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:team/smoke-AbCdEf"
    for look, simulated in (
        (smoke_roles.kms_condition, allow(KEY, **token)),
        (smoke_roles.secret_denied, allow(secret)),
    ):
        answers = {"simulate_principal_policy": simulated}
        assert look(ground(answers, outputs=outputs, parameters=parameters))


def test_what_cannot_be_removed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    denied = {
        "delete_parameters": refused("AccessDeniedException"),
        "delete_alarms": refused("AccessDenied"),
        "delete_stack": refused("AccessDenied"),
    }
    left = ground(denied, created=["/rotator-smoke/1/tier"])
    monkeypatch.setattr(smoke, "find_ground", lambda *_: left)
    monkeypatch.setattr(smoke, "CHECKS", ())
    assert smoke.main([f"--account={ACCOUNT}", f"--stack={STACK}"]) == 1
    assert capsys.readouterr().err == (
        "smoke: still there: /rotator-smoke/1/tier the alarm rotator-smoke-1 the stack rotator-smoke-1; "
        "delete that by hand\n"
    )
