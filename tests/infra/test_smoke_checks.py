"""Each check of ``make smoke`` passes if AWS behaves as expected, and reports its finding otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

import smoke_answers_changes
import smoke_answers_fleet
from infra.smoke import __main__ as smoke
from infra.smoke import change_events, deployed_stack, parameters, roles
from infra.smoke.__main__ import CHECKS
from infra.smoke.deployed_stack import ALARMS
from infra.smoke.fixtures import Check, Ground, NotHere
from rotator.devstack.aws_emulators import ACCOUNT
from smoke_ground import PARAMETER, TOKEN, ground, refused


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripted answers do not change, however long one waits."""
    monkeypatch.setattr(deployed_stack, "LONGEST_WAIT_SECONDS", -1.0)
    monkeypatch.setattr(change_events, "LONGEST_WAIT_SECONDS", -1.0)
    monkeypatch.setattr(parameters, "WRITE_INTERVAL_SECONDS", 0.0)


STATES = {"MetricAlarms": [{"AlarmName": f"smoked-{name}", "StateValue": "OK"} for name in ALARMS]}
POINTS = {"Datapoints": [{"Sum": 12.0}]}
GROUP = f"arn:aws:scheduler:eu-central-1:{ACCOUNT}:schedule-group/smoked-ScheduleGroup-1"
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


def trusting(source: str | None = GROUP) -> dict[str, Any]:
    """The answers about the schedule and its role, which trusts the schedules of a group, or of any."""
    statement: dict[str, Any] = {"Principal": {"Service": "scheduler.amazonaws.com"}}
    if source:
        statement["Condition"] = {"StringEquals": {"aws:SourceArn": source}}
    role = {"AssumeRolePolicyDocument": {"Statement": [statement]}}
    return {"get_schedule": SCHEDULE, "get_role": {"Role": role}}


ROLE = trusting()

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


def subscribed(*arns: str) -> dict[str, Any]:
    """SNS's answer about the subscriptions of the alarms' topic."""
    return {"list_subscriptions_by_topic": [[{"Subscriptions": [{"SubscriptionArn": arn} for arn in arns]}]]}


LEASE = f"arn:aws:ssm:eu-central-1:{ACCOUNT}:parameter{PARAMETER}/lease"


def versions(values: Mapping[int, str]) -> dict[str, Any]:
    """Parameter Store's answers to who asks for versions by their numbers, and IAM's about the lease."""
    found = [{"Version": number, "Value": value} for number, value in values.items()]
    return {
        "put_parameter": PUT,
        "get_parameters": {"Parameters": found},
        "simulate_principal_policy": allow(LEASE),
    }


def history(*numbers: int) -> dict[str, Any]:
    """Parameter Store's answers about a parameter's versions, of which the first has a label."""
    found = [{"Version": number, "Labels": ["smoke"] if number == 1 else []} for number in numbers]
    return {"label_parameter_version": {}, "get_parameter_history": [[{"Parameters": found}]]}


def pages(count: int) -> dict[str, Any]:
    """Parameter Store's answer for a path with this number of parameters: two pages."""
    names = [{"Name": f"/rotator-smoke/1/path/{n}"} for n in range(count)]
    return {
        "put_parameter": PUT,
        "get_parameters_by_path": [[{"Parameters": p} for p in (names[:10], names[10:])]],
    }


WORLDS: dict[str, tuple[Callable[[Ground], str], dict[str, Any], str | None]] = {
    "sizes refused": (parameters.sizes, {"put_parameter": TOO_LARGE}, None),
    "one size taken": (parameters.sizes, {"put_parameter": [TOO_LARGE, PUT]}, "the call succeeded"),
    "sizes refused otherwise": (parameters.sizes, {"put_parameter": refused("Denied")}, "Denied"),
    "tier advanced": (parameters.tier, {"put_parameter": {"Tier": "Advanced"}}, None),
    "tier not lowered": (
        parameters.tier,
        {"put_parameter": [{"Tier": "Advanced"}, TOO_LARGE]},
        "ValidationException",
    ),
    "tier not returned": (parameters.tier, {"put_parameter": PUT}, "the tier None"),
    "type refused": (
        parameters.type_change,
        {"put_parameter": [PUT, refused("HierarchyTypeMismatchException")]},
        None,
    ),
    "type kept": (
        parameters.type_change,
        {"put_parameter": PUT, "get_parameter": {"Parameter": {"Type": "SecureString"}}},
        None,
    ),
    "type changed": (
        parameters.type_change,
        {"put_parameter": PUT, "get_parameter": {"Parameter": {"Type": "String"}}},
        "the type changed to String",
    ),
    "a race lost": (
        parameters.too_many_updates,
        {"put_parameter": [PUT, {"Version": 2}, *[refused("TooManyUpdates")] * 99]},
        None,
    ),
    "one version twice": (
        parameters.too_many_updates,
        {"put_parameter": [PUT, {"Version": 2}]},
        "after version 1",
    ),
    "a race refused otherwise": (
        parameters.too_many_updates,
        {"put_parameter": [PUT, refused("InternalServerError")]},
        "InternalServerError",
    ),
    "created once": (
        parameters.create_once,
        {"put_parameter": [PUT, refused("ParameterAlreadyExists")]},
        None,
    ),
    "earlier version": (parameters.earlier_versions, versions({1: "first"}), None),
    "earlier version gone": (
        parameters.earlier_versions,
        versions({}),
        "the versions [] were returned",
    ),
    "earlier version of another value": (
        parameters.earlier_versions,
        versions({1: "second"}),
        "the versions [1] were returned, or another value",
    ),
    "version that does not exist": (
        parameters.earlier_versions,
        versions({1: "first", 3: "third"}),
        "the versions [1, 3] were returned",
    ),
    "lease denied": (
        parameters.earlier_versions,
        versions({1: "first"}) | {"simulate_principal_policy": allow()},
        "ssm:GetParameters is implicitDeny",
    ),
    "created twice": (parameters.create_once, {"put_parameter": PUT}, "the call succeeded"),
    "label blocks": (
        parameters.labels,
        {
            **history(*range(1, 101)),
            "put_parameter": [PUT] * 100 + [refused("ParameterMaxVersionLimitExceeded")],
        },
        None,
    ),
    "label not in the history": (
        parameters.labels,
        {
            **history(*range(2, 101)),
            "put_parameter": [PUT] * 100 + [refused("ParameterMaxVersionLimitExceeded")],
        },
        "ParameterMaxVersionLimitExceeded, but the history shows no label",
    ),
    "path whole": (parameters.path_pages, pages(11), None),
    "path not whole": (
        parameters.path_pages,
        pages(10),
        "1 of 11 parameters are on none of 2 pages",
    ),
    "label does not block": (
        parameters.labels,
        {"put_parameter": PUT, "label_parameter_version": {}},
        "the call succeeded",
    ),
    "name refused at its length": (
        parameters.name_length,
        {"put_parameter": [PUT, TOO_LARGE]},
        None,
    ),
    "name that is shorter refused": (
        parameters.name_length,
        {"put_parameter": TOO_LARGE},
        "ValidationException",
    ),
    "name of any length taken": (parameters.name_length, {"put_parameter": PUT}, "the call succeeded"),
    "key unknown": (parameters.kms_errors, {"put_parameter": refused("InvalidKeyId")}, None),
    "key taken": (parameters.kms_errors, {"put_parameter": PUT}, "the call succeeded"),
    "key bound": (roles.kms_condition, {"simulate_principal_policy": allow(KEY, **BY_SSM)}, None),
    "key for any token": (
        roles.kms_condition,
        {"simulate_principal_policy": allow(KEY, ViaService=BY_SSM["ViaService"])},
        "kms:Encrypt is allowed on",
    ),
    "key for any service": (
        roles.kms_condition,
        {"simulate_principal_policy": allow(KEY, PARAMETER_ARN=OWN_TOKEN)},
        "kms:Encrypt is allowed on",
    ),
    "key denied": (
        roles.kms_condition,
        {"simulate_principal_policy": allow()},
        "kms:Encrypt is implicitDeny",
    ),
    "one secret": (roles.secret_denied, {"simulate_principal_policy": allow("the-secret")}, None),
    "every secret": (
        roles.secret_denied,
        {
            "simulate_principal_policy": allow(
                "the-secret", f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:rotator-smoke-1-AbCdEf"
            )
        },
        "secretsmanager:GetSecretValue is allowed on",
    ),
    "no secret": (
        roles.secret_denied,
        {"simulate_principal_policy": allow()},
        "is implicitDeny on the-secret",
    ),
    "documents read": (roles.rotations_path, {"simulate_principal_policy": allow(DOCUMENTS)}, None),
    "documents written": (
        roles.rotations_path,
        {"simulate_principal_policy": allow(DOCUMENTS, f"{DOCUMENTS}/smoke")},
        "ssm:PutParameter is allowed on",
    ),
    "documents not read": (
        roles.rotations_path,
        {"simulate_principal_policy": allow()},
        "ssm:GetParametersByPath is implicitDeny",
    ),
    "failed runs kept": (
        roles.failed_runs,
        {**DESTINATION, "simulate_principal_policy": allow(QUEUE)},
        None,
    ),
    "failed runs lost": (
        roles.failed_runs,
        {**DESTINATION, "simulate_principal_policy": allow()},
        "sqs:SendMessage is implicitDeny",
    ),
    "no destination": (
        roles.failed_runs,
        {"get_function_event_invoke_config": {}, "simulate_principal_policy": allow(QUEUE)},
        "sqs:SendMessage is implicitDeny",
    ),
    "consumers read": (
        roles.consumer_policy,
        {**POLICY, "simulate_custom_policy": only_reading()},
        None,
    ),
    "consumers write": (
        roles.consumer_policy,
        {**POLICY, "simulate_custom_policy": allow(OWN_TOKEN)},
        "ssm:PutParameter is allowed on",
    ),
    "consumers do not read": (
        roles.consumer_policy,
        {**POLICY, "simulate_custom_policy": allow()},
        "ssm:GetParameter is implicitDeny",
    ),
    "runs arrive": (
        deployed_stack.scheduler_role,
        {**ROLE, "simulate_principal_policy": allow("the-function"), "get_metric_statistics": POINTS},
        None,
    ),
    "runs do not arrive": (
        deployed_stack.scheduler_role,
        {
            **ROLE,
            "simulate_principal_policy": allow("the-function"),
            "get_metric_statistics": {"Datapoints": []},
        },
        "0 events and 0 runs",
    ),
    "no run": (
        deployed_stack.scheduler_role,
        {
            **ROLE,
            "simulate_principal_policy": allow("the-function"),
            "get_metric_statistics": [POINTS, {"Datapoints": []}],
        },
        "12 events and 0 runs",
    ),
    "any function": (
        deployed_stack.scheduler_role,
        {
            **ROLE,
            "simulate_principal_policy": allow(
                "the-function", f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:rotator-smoke-1"
            ),
        },
        "lambda:InvokeFunction is allowed on",
    ),
    "anyone trusted": (
        deployed_stack.scheduler_role,
        {**ROLE, "get_role": {"Role": {"AssumeRolePolicyDocument": {"Statement": [{"Principal": "*"}]}}}},
        "the role trusts",
    ),
    "another group trusted": (
        deployed_stack.scheduler_role,
        trusting(GROUP.replace("smoked-ScheduleGroup-1", "default")),
        "the role trusts schedules of arn:aws:scheduler",
    ),
    "every group trusted": (
        deployed_stack.scheduler_role,
        trusting(None),
        "the role trusts schedules of any group",
    ),
    "patterns refuse": (
        deployed_stack.allowed_pattern,
        {"validate_template": {}, "create_change_set": [{}, INVALID]},
        None,
    ),
    "patterns refuse good values": (
        deployed_stack.allowed_pattern,
        {"validate_template": {}, "create_change_set": INVALID},
        "ValidationError",
    ),
    "one pattern does not refuse": (
        deployed_stack.allowed_pattern,
        {"validate_template": {}, "create_change_set": [{}, INVALID, {}]},
        "the call succeeded",
    ),
    "patterns not understood": (
        deployed_stack.allowed_pattern,
        {"validate_template": INVALID},
        "ValidationError",
    ),
    "alarms quiet": (
        deployed_stack.alarms,
        {"describe_alarms": STATES, "get_metric_statistics": POINTS},
        None,
    ),
    "an alarm missing": (
        deployed_stack.alarms,
        {"describe_alarms": {"MetricAlarms": STATES["MetricAlarms"][:-1]}},
        f"no alarm smoked-{ALARMS[-1]}",
    ),
    "alarm on": (
        deployed_stack.alarms,
        {"describe_alarms": {"MetricAlarms": [{**a, "StateValue": "ALARM"} for a in STATES["MetricAlarms"]]}},
        "TokenEndsSoon is ALARM",
    ),
    "no metric": (
        deployed_stack.alarms,
        {"describe_alarms": STATES, "get_metric_statistics": {"Datapoints": []}},
        "no data of TokenSecondsRemaining",
    ),
    "the topic takes it": (
        deployed_stack.alarm_actions,
        {
            "describe_alarm_history": {
                "AlarmHistoryItems": [{"HistorySummary": "Successfully executed action"}]
            }
        },
        None,
    ),
    "the topic refuses": (
        deployed_stack.alarm_actions,
        {"describe_alarm_history": {"AlarmHistoryItems": [{"HistorySummary": "Failed to execute action"}]}},
        "an action of",
    ),
    "a subscription confirmed": (
        deployed_stack.alarm_subscription,
        subscribed("PendingConfirmation", f"arn:aws:sns:eu-central-1:{ACCOUNT}:on-call:a-uuid"),
        None,
    ),
    "a subscription pending": (
        deployed_stack.alarm_subscription,
        subscribed("PendingConfirmation", "Deleted"),
        "none of 2 subscriptions is confirmed",
    ),
    "no subscription": (
        deployed_stack.alarm_subscription,
        subscribed(),
        "none of 0 subscriptions is confirmed",
    ),
    "a subscription in another state": (
        deployed_stack.alarm_subscription,
        subscribed("AwaitingConfirmation"),
        "SNS lists AwaitingConfirmation instead of an ARN",
    ),
    "subscriptions not listed": (
        deployed_stack.alarm_subscription,
        {"list_subscriptions_by_topic": refused("AuthorizationError")},
        "AuthorizationError",
    ),
    "missing data is bad": (
        deployed_stack.missing_data,
        {"put_metric_alarm": {}, "describe_alarms": {"MetricAlarms": [{"StateValue": "ALARM"}]}},
        None,
    ),
    "missing data is nothing": (
        deployed_stack.missing_data,
        {"put_metric_alarm": {}, "describe_alarms": {"MetricAlarms": [{"StateValue": "INSUFFICIENT_DATA"}]}},
        "its state is INSUFFICIENT_DATA after",
    ),
    "logs are JSON": (
        deployed_stack.logs_json,
        {"filter_log_events": log({"level": "INFO"}, {"_aws": {}}, {"type": "platform.report"})},
        None,
    ),
    "logs are text": (
        deployed_stack.logs_json,
        {"filter_log_events": log("INFO rotated")},
        "a line is not a JSON",
    ),
    "logs without a level": (
        deployed_stack.logs_json,
        {"filter_log_events": log({"level": "INFO"}, {"message": TOKEN})},
        "the newest line has no level",
    ),
    "no logs": (deployed_stack.logs_json, {"filter_log_events": log()}, "the function logged nothing"),
    **smoke_answers_changes.WORLDS,
    **smoke_answers_fleet.WORLDS,
}


@pytest.mark.parametrize(("look", "answers", "cross"), WORLDS.values(), ids=WORLDS)
def test_check_reports_its_finding(
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


def test_every_check_is_tested_passing_and_failing() -> None:
    for check in CHECKS:
        crosses = [cross for look, _answers, cross in WORLDS.values() if look is check]
        assert None in crosses, check.id
        assert any(crosses), check.id


def test_inapplicable_check_is_reported_and_does_not_fail(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(NotHere, match="deploy one with CreateKey=true"):
        roles.kms_condition(ground({}, outputs={}))
    with pytest.raises(NotHere, match="deploy one with AlarmEmail"):
        deployed_stack.alarm_actions(ground({}, outputs={}))
    with pytest.raises(NotHere, match="deploy one with AlarmEmail"):
        deployed_stack.alarm_subscription(ground({}, outputs={}))
    quiet: dict[str, Any] = {"describe_alarm_history": {"AlarmHistoryItems": []}}
    with pytest.raises(NotHere, match="no alarm has notified anyone"):
        deployed_stack.alarm_actions(ground(quiet))
    with pytest.raises(NotHere, match="deploy one with RotationsPath"):
        roles.rotations_path(ground({}, outputs={}))
    for look in (change_events.change_events, change_events.redeploy_role):
        with pytest.raises(NotHere, match="deploy one with "):
            look(ground({}, resources={}))
    off = {**ROLE, "get_schedule": SCHEDULE | {"State": "DISABLED"}}
    world = ground({**off, "simulate_principal_policy": allow("the-function")})
    assert smoke._holds(Check("some", "something", deployed_stack.scheduler_role), world)
    assert capsys.readouterr().out.startswith(
        "- some: something; found: the role is right; the schedule is disabled"
    )


def test_multiple_rotations_are_checked_by_their_prefixes() -> None:
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
        (roles.kms_condition, allow(KEY, **token)),
        (roles.secret_denied, allow(secret)),
    ):
        answers = {"simulate_principal_policy": simulated}
        assert look(ground(answers, outputs=outputs, parameters=parameters))
