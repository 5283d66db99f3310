"""Who may do what: every statement of every policy in the template, read as AWS reads it.

The embedded AWS enforces actions and resources (tests/e2e/test_least_privilege.py). Conditions, key
policies, and what AWS's services do under the roles, it does not: these are read here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from template import Stack, takes

ACCOUNT = "123456789012"
SECRET_ARN = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:healthwise/client-AbCdEf"
KEY_ARN = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
PARAMETERS = f"arn:aws:ssm:eu-central-1:{ACCOUNT}:parameter"
SECRETS = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret"
ALARMS = [
    f"arn:aws:cloudwatch:eu-central-1:{ACCOUNT}:alarm:rotator-{name}"
    for name in ("token-ends-soon", "failing-late", "undelivered", "writes-throttled")
]
ONE = {"SecretArn": SECRET_ARN}
MANY = {
    "RotationsPath": "/rotator/rotations",
    "SecretPrefix": "healthwise/",
    "ParameterPrefix": "/healthwise",
    "AllowedHosts": "auth.healthwise.net",
}
MAX_NAMED_FAILURES = {
    **ONE,
    "ChangeFunctionArn": f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:reload",
    "ChangeQueueArn": f"arn:aws:sqs:eu-central-1:{ACCOUNT}:token-changes",
    "RedeployService": "web/api",
}
KEYS = {"SecretKmsKeyArn": KEY_ARN, "ParameterKmsKeyArn": KEY_ARN}
VPC = {"VpcSubnetIds": "subnet-1", "VpcSecurityGroupIds": "sg-1"}
VIA_SECRETS_MANAGER = {"kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com"}
VIA_PARAMETER_STORE = {"kms:ViaService": "ssm.eu-central-1.amazonaws.com"}


def allowed(stack: Stack, *roles: str) -> dict[str, Any]:
    """The actions of every statement of these roles, or of all, by its Sid."""
    return {statement["Sid"]: statement["Action"] for statement in stack.statements(*roles)}


def statement(stack: Stack, sid: str) -> dict[str, Any]:
    """The one statement of this name, in whatever policy."""
    [found] = [each for each in everywhere(stack) if each.get("Sid") == sid]
    return found


def everywhere(stack: Stack) -> Iterator[dict[str, Any]]:
    """Every statement of the stack: of roles, and of policies that are resources."""
    yield from stack.statements()
    for properties in stack.resources.values():
        for name in ("PolicyDocument", "KeyPolicy", "AssumeRolePolicyDocument"):
            yield from properties.get(name, {}).get("Statement", [])


def test_the_roles_may_do_exactly_this() -> None:
    assert allowed(Stack(ONE)) == {
        "ReadCredentials": "secretsmanager:GetSecretValue",
        "KeepTokenStatusAndLease": ["ssm:GetParameters", "ssm:PutParameter"],
        "WriteLogs": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "KeepFailedRuns": "sqs:SendMessage",
        "InvokeFunction": "lambda:InvokeFunction",
        "KeepUndelivered": "sqs:SendMessage",
    }


def test_for_many_rotations_the_role_may_read_their_documents_besides() -> None:
    more = allowed(Stack(MANY)).keys() - allowed(Stack(ONE)).keys()
    assert more == {"ReadRotations", "LeaveRotationsAsTheyAre"}
    assert statement(Stack(MANY), "ReadRotations")["Resource"] == f"{PARAMETERS}/rotator/rotations"


@pytest.mark.parametrize(
    ("sid", "action"),
    [("LeaveRotationsAsTheyAre", "ssm:PutParameter"), ("LeaveRotationsAlone", "ssm:GetParameter*")],
    ids=["the function", "consumers"],
)
def test_nobody_may_touch_the_documents_even_where_the_prefixes_overlap(sid: str, action: str) -> None:
    overlapping = Stack({**MANY, "ParameterPrefix": "/rotator"})
    found = statement(overlapping, sid)
    assert (found["Effect"], found["Action"]) == ("Deny", action)
    assert found["Resource"] == f"{PARAMETERS}/rotator/rotations/*"


def test_nobody_may_tag_delete_or_list_anything() -> None:
    everything = Stack({**MANY, **KEYS, **VPC})
    actions = json.dumps([each["Action"] for each in everything.statements()])
    assert not any(
        word in actions for word in ("AddTags", "ssm:Delete", "List", "iam:", "secretsmanager:Put")
    )


@pytest.mark.parametrize(
    "given", [ONE, {**ONE, **KEYS}, MAX_NAMED_FAILURES], ids=["no key", "keys", "targets"]
)
def test_for_one_rotation_no_statement_allows_more_than_it_names(given: dict[str, str]) -> None:
    for each in Stack(given).statements():
        assert each["Effect"] == "Allow"
        assert "*" not in json.dumps([each["Action"], each["Resource"]]), each["Sid"]
        assert not each.keys() & {"NotAction", "NotResource"}


def test_for_many_rotations_a_wildcard_stands_only_behind_a_prefix() -> None:
    for each in Stack({**MANY, **KEYS}).statements():
        if each["Effect"] == "Deny":
            continue
        text = json.dumps([each["Action"], each["Resource"]])
        assert (
            text.replace(f"{SECRETS}:healthwise/*", "").replace(f"{PARAMETERS}/healthwise/*", "").count("*")
            == 0
        )


def test_no_action_is_allowed_on_everything() -> None:
    assert [each["Sid"] for each in Stack({**MANY, **KEYS}).statements() if each["Resource"] == "*"] == []


def test_one_rotation_has_one_secret_and_three_parameters() -> None:
    assert statement(Stack(ONE), "ReadCredentials")["Resource"] == SECRET_ARN
    names = [f"{PARAMETERS}/healthwise/token{part}" for part in ("", "/status", "/lease")]
    assert statement(Stack(ONE), "KeepTokenStatusAndLease")["Resource"] == names


def test_many_rotations_have_what_is_below_their_prefixes() -> None:
    assert statement(Stack(MANY), "ReadCredentials")["Resource"] == f"{SECRETS}:healthwise/*"
    assert statement(Stack(MANY), "KeepTokenStatusAndLease")["Resource"] == [f"{PARAMETERS}/healthwise/*"]


def test_without_keys_of_ours_no_key_may_be_used() -> None:
    assert "kms:" not in json.dumps(list(everywhere(Stack(ONE))) + list(everywhere(Stack(MANY))))


@pytest.mark.parametrize(
    ("sid", "given", "actions", "condition"),
    [
        pytest.param(
            "DecryptCredentials",
            {**ONE, "SecretKmsKeyArn": KEY_ARN},
            "kms:Decrypt",
            {
                "StringEquals": VIA_SECRETS_MANAGER,
                "StringLike": {"kms:EncryptionContext:SecretARN": SECRET_ARN},
            },
            id="the secret's",
        ),
        pytest.param(
            "EncryptToken",
            {**ONE, "ParameterKmsKeyArn": KEY_ARN},
            ["kms:Encrypt", "kms:GenerateDataKey"],
            {
                "StringEquals": VIA_PARAMETER_STORE,
                "StringLike": {"kms:EncryptionContext:PARAMETER_ARN": f"{PARAMETERS}/healthwise/token"},
            },
            id="the token's",
        ),
        pytest.param(
            "DecryptToken",
            {**ONE, "ParameterKmsKeyArn": KEY_ARN},
            "kms:Decrypt",
            {
                "StringEquals": VIA_PARAMETER_STORE,
                "StringLike": {"kms:EncryptionContext:PARAMETER_ARN": f"{PARAMETERS}/healthwise/token"},
            },
            id="the consumers'",
        ),
        pytest.param(
            "DecryptCredentials",
            {**MANY, "SecretKmsKeyArn": KEY_ARN},
            "kms:Decrypt",
            {
                "StringEquals": VIA_SECRETS_MANAGER,
                "StringLike": {"kms:EncryptionContext:SecretARN": f"{SECRETS}:healthwise/*"},
            },
            id="many secrets'",
        ),
        pytest.param(
            "EncryptToken",
            {**MANY, "ParameterKmsKeyArn": KEY_ARN},
            ["kms:Encrypt", "kms:GenerateDataKey"],
            {
                "StringEquals": VIA_PARAMETER_STORE,
                "StringLike": {"kms:EncryptionContext:PARAMETER_ARN": f"{PARAMETERS}/healthwise/*"},
            },
            id="many tokens'",
        ),
        pytest.param(
            "DecryptToken",
            {**MANY, "ParameterKmsKeyArn": KEY_ARN},
            "kms:Decrypt",
            {
                "StringEquals": VIA_PARAMETER_STORE,
                "StringLike": {"kms:EncryptionContext:PARAMETER_ARN": f"{PARAMETERS}/healthwise/*"},
            },
            id="many tokens' consumers'",
        ),
    ],
)
def test_a_key_may_be_used_only_through_its_service_and_for_its_purpose(
    sid: str, given: dict[str, str], actions: str | list[str], condition: dict[str, Any]
) -> None:
    found = statement(Stack(given), sid)
    assert (found["Action"], found["Resource"]) == (actions, KEY_ARN)
    assert found["Condition"] == condition


@pytest.mark.parametrize("wildcard", ["*", "?"])
def test_the_name_of_one_secret_or_parameter_is_compared_as_it_is(wildcard: str) -> None:
    """StringLike compares with what has no wildcard in it as StringEquals does."""
    assert takes("SecretArn", SECRET_ARN)
    assert not takes("SecretArn", SECRET_ARN.replace("client", f"cl{wildcard}nt"))
    assert takes("ParameterName", "/healthwise/token")
    assert not takes("ParameterName", f"/healthwise/t{wildcard}ken")


@pytest.mark.parametrize("of", [ONE, MANY], ids=["one", "many"])
def test_a_key_that_the_stack_creates_may_be_used_in_the_same_way(of: dict[str, str]) -> None:
    given, created = Stack({**of, "ParameterKmsKeyArn": KEY_ARN}), Stack({**of, "CreateKey": "true"})
    for sid in ("EncryptToken", "DecryptToken"):
        assert statement(created, sid) == {**statement(given, sid), "Resource": "<Key.Arn>"}


def test_its_key_serves_parameter_store_its_log_and_its_alarms_and_nobody_else() -> None:
    policy = Stack({**ONE, "CreateKey": "true"}).resources["Key"]["KeyPolicy"]["Statement"]
    uses = {each["Sid"]: each for each in policy if "Decrypt" in json.dumps(each["Action"])}
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    log = f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:/rotator/rotator"
    assert {each["Effect"] for each in policy} == {"Allow"}
    assert {sid: (each["Principal"], each["Condition"]) for sid, each in uses.items()} == {
        "UsedThroughParameterStoreOnly": (root, {"StringEquals": VIA_PARAMETER_STORE}),
        "UsedByItsLog": (
            {"Service": "logs.eu-central-1.amazonaws.com"},
            {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": log}},
        ),
        "UsedByItsAlarms": (
            {"Service": "cloudwatch.amazonaws.com"},
            {"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnEquals": {"aws:SourceArn": ALARMS}},
        ),
    }


def test_whoever_administers_the_key_cannot_read_with_it_and_can_always_change_its_policy() -> None:
    policy = Stack({**ONE, "CreateKey": "true"}).resources["Key"]["KeyPolicy"]["Statement"]
    [administration] = [each for each in policy if each["Sid"] == "AdministeredByTheAccount"]
    assert "kms:PutKeyPolicy" in administration["Action"]  # or KMS refuses the policy as a lockout
    assert not any(
        word in json.dumps(administration["Action"]) for word in ("crypt", "DataKey", "kms:*", "Grant")
    )


def test_the_log_and_the_alarms_that_the_keys_policy_names_are_the_stacks() -> None:
    stack = Stack({**ONE, "CreateKey": "true"})
    assert stack.resources["LogGroup"]["LogGroupName"] == "/rotator/rotator"
    names = [p["AlarmName"] for p in stack.resources.values() if "AlarmName" in p]
    assert [name.rpartition(":")[2] for name in ALARMS] == names


@pytest.mark.parametrize(("role", "service"), [("Role", "lambda"), ("ScheduleRole", "scheduler")])
def test_each_role_is_for_one_service(role: str, service: str) -> None:
    [trust] = Stack(ONE).resources[role]["AssumeRolePolicyDocument"]["Statement"]
    assert (trust["Effect"], trust["Action"]) == ("Allow", "sts:AssumeRole")
    assert trust["Principal"] == {"Service": f"{service}.amazonaws.com"}


def test_the_schedulers_role_is_for_schedules_of_this_account_that_invoke_this_function() -> None:
    stack = Stack(ONE)
    [trust] = stack.resources["ScheduleRole"]["AssumeRolePolicyDocument"]["Statement"]
    group = f"arn:aws:scheduler:eu-central-1:{ACCOUNT}:schedule-group/default"
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": group}}
    assert "GroupName" not in stack.resources["Schedule"]
    resources = {each["Sid"]: each["Resource"] for each in stack.statements("ScheduleRole")}
    assert resources == {"InvokeFunction": "<Function.Arn>", "KeepUndelivered": "<DeadLetterQueue.Arn>"}


def test_consumers_may_read_token_and_status_and_nothing_else() -> None:
    [reading] = Stack(ONE).resources["ConsumerPolicy"]["PolicyDocument"]["Statement"]
    assert reading["Action"] == ["ssm:GetParameter", "ssm:GetParameters"]
    assert reading["Resource"] == [f"{PARAMETERS}/healthwise/token", f"{PARAMETERS}/healthwise/token/status"]
    many = Stack(MANY).resources["ConsumerPolicy"]["PolicyDocument"]["Statement"]
    assert [each["Resource"] for each in many if each["Effect"] == "Allow"] == [
        [f"{PARAMETERS}/healthwise/*"]
    ]


def test_the_network_is_lambdas_business_and_not_the_codes() -> None:
    assert "ec2:" not in json.dumps(list(everywhere(Stack(ONE))))
    stack = Stack({**ONE, **VPC})
    managing = statement(stack, "ManageNetworkInterfaces")
    assert (managing["Effect"], managing["Resource"]) == ("Allow", "*")
    kept_out = statement(stack, "LeaveTheNetworkToLambda")
    assert (kept_out["Effect"], kept_out["Action"], kept_out["Resource"]) == ("Deny", "ec2:*", "*")
    assert kept_out["Condition"] == {"ArnEquals": {"lambda:SourceFunctionArn": "<Function.Arn>"}}
    assert stack.resources["NoNetworkInterfacesByCode"]["Roles"] == ["<Role>"]


def test_a_function_that_is_told_lets_this_rule_in_and_nobody_else() -> None:
    assert Stack(MAX_NAMED_FAILURES).resources["TokenChangedInvokes"] == {
        "FunctionName": MAX_NAMED_FAILURES["ChangeFunctionArn"],
        "Action": "lambda:InvokeFunction",
        "Principal": "events.amazonaws.com",
        "SourceArn": "<TokenChanged.Arn>",
    }


def test_a_queue_that_is_told_keeps_its_own_policy() -> None:
    policies = [p["Queues"] for p in Stack(MAX_NAMED_FAILURES).resources.values() if "Queues" in p]
    assert policies == [["<DeadLetterQueue>", "<FailedRuns>"]]


def test_the_rule_may_start_the_redeployment_which_may_update_the_one_service() -> None:
    stack = Stack(MAX_NAMED_FAILURES)
    assert allowed(stack).keys() - allowed(Stack(ONE)).keys() == {"StartRedeployment", "RedeployService"}
    [starting] = stack.statements("TokenChangedRole")
    assert (starting["Action"], starting["Resource"]) == ("states:StartExecution", "<Redeploy>")
    [updating] = stack.statements("RedeployRole")
    service = f"arn:aws:ecs:eu-central-1:{ACCOUNT}:service/web/api"
    assert (updating["Action"], updating["Resource"]) == ("ecs:UpdateService", service)


@pytest.mark.parametrize(
    ("role", "service", "of", "name", "source"),
    [
        ("TokenChangedRole", "events", "TokenChanged", "Name", "events:eu-central-1:{}:rule/{}"),
        ("RedeployRole", "states", "Redeploy", "StateMachineName", "states:eu-central-1:{}:stateMachine:{}"),
    ],
    ids=["the rule's", "the state machine's"],
)
def test_a_role_of_the_redeployment_is_for_one_service_on_behalf_of_one_resource(
    role: str, service: str, of: str, name: str, source: str
) -> None:
    """The account is in the ARN, so that another's rule or machine cannot be the confused deputy's principal.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    resources = Stack(MAX_NAMED_FAILURES).resources
    [trust] = resources[role]["AssumeRolePolicyDocument"]["Statement"]
    assert (trust["Effect"], trust["Action"]) == ("Allow", "sts:AssumeRole")
    assert trust["Principal"] == {"Service": f"{service}.amazonaws.com"}
    arn = "arn:aws:" + source.format(ACCOUNT, resources[of][name])
    assert trust["Condition"] == {"StringEquals": {"aws:SourceArn": arn}}
    assert resources[of].get("RoleArn", f"<{role}.Arn>") == f"<{role}.Arn>"


def test_only_its_alarms_may_publish_to_the_topic() -> None:
    stack = Stack({**ONE, "AlarmEmail": "on-call@example.com"})
    [publishing] = stack.resources["AlarmTopicPolicy"]["PolicyDocument"]["Statement"]
    alarms = [f"<{name}.Arn>" for name, each in stack.resources.items() if "AlarmName" in each]
    assert publishing["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert (publishing["Action"], publishing["Resource"]) == ("sns:Publish", "<AlarmTopic>")
    assert publishing["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnEquals": {"aws:SourceArn": alarms},
    }


def test_a_topic_is_encrypted_with_a_key_that_alarms_may_use_or_with_none() -> None:
    plain = Stack({**ONE, "AlarmEmail": "on-call@example.com"}).resources["AlarmTopic"]
    keyed = Stack({**ONE, "AlarmEmail": "on-call@example.com", "CreateKey": "true"}).resources["AlarmTopic"]
    assert "KmsMasterKeyId" not in plain
    assert keyed["KmsMasterKeyId"] == "<Key>"


def test_queues_are_encrypted_and_refuse_plain_connections() -> None:
    stack = Stack(ONE)
    queues = ["DeadLetterQueue", "FailedRuns"]
    assert all(stack.resources[queue]["SqsManagedSseEnabled"] for queue in queues)
    assert stack.resources["QueuePolicy"]["Queues"] == [f"<{queue}>" for queue in queues]
    [refusal] = stack.resources["QueuePolicy"]["PolicyDocument"]["Statement"]
    assert (refusal["Effect"], refusal["Principal"], refusal["Action"]) == ("Deny", "*", "sqs:*")
    assert refusal["Resource"] == [f"<{queue}.Arn>" for queue in queues]
    assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
