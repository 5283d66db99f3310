"""Who may do what: every statement of every policy in the template, read as AWS reads it.

The embedded AWS enforces actions and resources (tests/e2e/test_least_privilege.py). Conditions, key
policies, and what AWS's services do under the roles, it does not: these are read here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from template import DOCUMENT, Stack, takes

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


def test_roles_allow_exactly_the_expected_actions() -> None:
    assert allowed(Stack(ONE)) == {
        "ReadCredentials": "secretsmanager:GetSecretValue",
        "KeepTokenStatusAndLease": ["ssm:GetParameters", "ssm:PutParameter"],
        "WriteLogs": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "KeepFailedRuns": "sqs:SendMessage",
        "InvokeFunction": "lambda:InvokeFunction",
        "KeepUndelivered": "sqs:SendMessage",
    }


@pytest.mark.parametrize("of", [ONE, MANY], ids=["one", "many"])
def test_key_and_certificates_add_one_action_on_one_resource(of: dict[str, str]) -> None:
    stack = Stack({**of, "SigningKeyArn": KEY_ARN, "CaParameterName": "/authorities"})
    more = allowed(stack).keys() - allowed(Stack(of)).keys()
    assert more == {"SignAssertions", "ReadCertificates"}
    signing, reading = statement(stack, "SignAssertions"), statement(stack, "ReadCertificates")
    assert (signing["Effect"], signing["Action"], signing["Resource"]) == ("Allow", "kms:Sign", KEY_ARN)
    assert (reading["Action"], reading["Resource"]) == ("ssm:GetParameters", f"{PARAMETERS}/authorities")


def test_fleet_role_may_also_read_rotation_documents() -> None:
    more = allowed(Stack(MANY)).keys() - allowed(Stack(ONE)).keys()
    assert more == {"ReadRotations", "LeaveRotationsAsTheyAre"}
    assert statement(Stack(MANY), "ReadRotations")["Resource"] == f"{PARAMETERS}/rotator/rotations"


@pytest.mark.parametrize(
    ("sid", "action"),
    [("LeaveRotationsAsTheyAre", "ssm:PutParameter"), ("LeaveRotationsAlone", "ssm:GetParameter*")],
    ids=["the function", "consumers"],
)
def test_overlapping_prefixes_deny_access_to_documents(sid: str, action: str) -> None:
    overlapping = Stack({**MANY, "ParameterPrefix": "/rotator"})
    found = statement(overlapping, sid)
    assert (found["Effect"], found["Action"]) == ("Deny", action)
    assert found["Resource"] == f"{PARAMETERS}/rotator/rotations/*"


REPLICAS = {"ReplicaRegions": "eu-west-1,us-west-2"}
IN_REPLICA_REGIONS = {"aws:RequestedRegion": ["eu-west-1", "us-west-2"]}
MULTI_REGION_KEY = {"ParameterKmsKeyArn": f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/mrk-1234abcd"}
ANYWHERE = f"arn:aws:ssm:*:{ACCOUNT}:parameter"


@pytest.mark.parametrize("of", [ONE, MANY], ids=["one", "many"])
def test_replicas_add_only_their_own_permissions(of: dict[str, str]) -> None:
    more = allowed(Stack({**of, **REPLICAS})).keys() - allowed(Stack(of)).keys()
    assert more == {"KeepReplicas"}
    with_a_key = allowed(Stack({**of, **REPLICAS, **MULTI_REGION_KEY})).keys()
    without_replicas = allowed(Stack({**of, **MULTI_REGION_KEY})).keys()
    assert with_a_key - without_replicas == {"KeepReplicas", "DecryptTokenForReplicas", "EncryptReplicas"}


@pytest.mark.parametrize(
    ("sid", "actions"),
    [
        ("KeepReplicas", ["ssm:GetParameters", "ssm:PutParameter"]),
        ("ReadReplicas", ["ssm:GetParameter", "ssm:GetParameters"]),
    ],
)
@pytest.mark.parametrize(
    ("of", "names"), [(ONE, ("/healthwise/token", "/healthwise/token/status")), (MANY, ("/healthwise/*",))]
)
def test_replicas_are_allowed_in_their_regions_alone(
    of: dict[str, str], names: tuple[str, ...], sid: str, actions: list[str]
) -> None:
    found = statement(Stack({**of, **REPLICAS}), sid)
    assert (found["Effect"], found["Action"]) == ("Allow", actions)
    assert found["Resource"] == [f"{ANYWHERE}{name}" for name in names]
    assert found["Condition"] == {"StringEquals": IN_REPLICA_REGIONS}


@pytest.mark.parametrize(
    ("sid", "actions"),
    [("EncryptReplicas", ["kms:Encrypt", "kms:GenerateDataKey"]), ("DecryptReplicas", "kms:Decrypt")],
)
@pytest.mark.parametrize(("of", "name"), [(ONE, "/healthwise/token"), (MANY, "/healthwise/*")])
def test_replica_key_is_used_by_its_id_through_parameter_store(
    of: dict[str, str], name: str, sid: str, actions: object
) -> None:
    found = statement(Stack({**of, **REPLICAS, **MULTI_REGION_KEY}), sid)
    assert found["Action"] == actions
    assert found["Resource"] == f"arn:aws:kms:*:{ACCOUNT}:key/mrk-1234abcd"
    assert found["Condition"] == {
        "StringEquals": IN_REPLICA_REGIONS,
        "StringLike": {
            "kms:ViaService": "ssm.*.amazonaws.com",
            "kms:EncryptionContext:PARAMETER_ARN": f"{ANYWHERE}{name}",
        },
    }


def test_function_decrypts_a_token_only_where_it_has_replicas() -> None:
    assert "DecryptTokenForReplicas" not in allowed(Stack({**ONE, **MULTI_REGION_KEY}))
    found = statement(Stack({**ONE, **REPLICAS, **MULTI_REGION_KEY}), "DecryptTokenForReplicas")
    assert (found["Action"], found["Resource"]) == ("kms:Decrypt", MULTI_REGION_KEY["ParameterKmsKeyArn"])
    assert found["Condition"] == {
        "StringEquals": VIA_PARAMETER_STORE,
        "StringLike": {"kms:EncryptionContext:PARAMETER_ARN": f"{PARAMETERS}/healthwise/token"},
    }


def test_no_statement_allows_tagging_deleting_or_listing() -> None:
    everything = Stack({**MANY, **KEYS, **VPC})
    actions = json.dumps([each["Action"] for each in everything.statements()])
    assert not any(
        word in actions for word in ("AddTags", "ssm:Delete", "List", "iam:", "secretsmanager:Put")
    )


@pytest.mark.parametrize(
    "given", [ONE, {**ONE, **KEYS}, MAX_NAMED_FAILURES], ids=["no key", "keys", "targets"]
)
def test_single_rotation_statements_have_no_wildcards(given: dict[str, str]) -> None:
    for each in Stack(given).statements():
        assert each["Effect"] == "Allow"
        assert "*" not in json.dumps([each["Action"], each["Resource"]]), each["Sid"]
        assert not each.keys() & {"NotAction", "NotResource"}


def test_fleet_wildcards_only_follow_a_prefix() -> None:
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


def test_single_rotation_allows_one_secret_and_three_parameters() -> None:
    assert statement(Stack(ONE), "ReadCredentials")["Resource"] == SECRET_ARN
    names = [f"{PARAMETERS}/healthwise/token{part}" for part in ("", "/status", "/lease")]
    assert statement(Stack(ONE), "KeepTokenStatusAndLease")["Resource"] == names


def test_fleet_allows_everything_below_its_prefixes() -> None:
    assert statement(Stack(MANY), "ReadCredentials")["Resource"] == f"{SECRETS}:healthwise/*"
    assert statement(Stack(MANY), "KeepTokenStatusAndLease")["Resource"] == [f"{PARAMETERS}/healthwise/*"]


def test_no_kms_permission_without_a_configured_key() -> None:
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
def test_key_use_is_limited_to_its_service_and_purpose(
    sid: str, given: dict[str, str], actions: str | list[str], condition: dict[str, Any]
) -> None:
    found = statement(Stack(given), sid)
    assert (found["Action"], found["Resource"]) == (actions, KEY_ARN)
    assert found["Condition"] == condition


@pytest.mark.parametrize("wildcard", ["*", "?"])
def test_wildcards_in_secret_or_parameter_names_are_refused(wildcard: str) -> None:
    """StringLike compares with what has no wildcard in it as StringEquals does."""
    assert takes("SecretArn", SECRET_ARN)
    assert not takes("SecretArn", SECRET_ARN.replace("client", f"cl{wildcard}nt"))
    assert takes("ParameterName", "/healthwise/token")
    assert not takes("ParameterName", f"/healthwise/t{wildcard}ken")


@pytest.mark.parametrize("of", [ONE, MANY], ids=["one", "many"])
def test_created_key_has_the_same_permissions_as_a_given_key(of: dict[str, str]) -> None:
    given, created = Stack({**of, "ParameterKmsKeyArn": KEY_ARN}), Stack({**of, "CreateKey": "true"})
    for sid in ("EncryptToken", "DecryptToken"):
        assert statement(created, sid) == {**statement(given, sid), "Resource": "<Key.Arn>"}


def test_created_key_serves_only_parameters_log_and_alarms() -> None:
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


def test_key_administrators_may_change_policy_but_not_decrypt() -> None:
    policy = Stack({**ONE, "CreateKey": "true"}).resources["Key"]["KeyPolicy"]["Statement"]
    [administration] = [each for each in policy if each["Sid"] == "AdministeredByTheAccount"]
    assert "kms:PutKeyPolicy" in administration["Action"]  # or KMS refuses the policy as a lockout
    assert not any(
        word in json.dumps(administration["Action"]) for word in ("crypt", "DataKey", "kms:*", "Grant")
    )


def test_key_policy_names_the_log_and_alarms_of_the_stack() -> None:
    stack = Stack({**ONE, "CreateKey": "true"})
    assert stack.resources["LogGroup"]["LogGroupName"] == "/rotator/rotator"
    names = [p["AlarmName"] for p in stack.resources.values() if "AlarmName" in p]
    assert [name.rpartition(":")[2] for name in ALARMS] == names


@pytest.mark.parametrize(("role", "service"), [("Role", "lambda"), ("GroupedScheduleRole", "scheduler")])
def test_each_role_is_for_one_service(role: str, service: str) -> None:
    [trust] = Stack(ONE).resources[role]["AssumeRolePolicyDocument"]["Statement"]
    assert (trust["Effect"], trust["Action"]) == ("Allow", "sts:AssumeRole")
    assert trust["Principal"] == {"Service": f"{service}.amazonaws.com"}


def roles(stack: Stack) -> list[dict[str, Any]]:
    """The properties of every role of the stack."""
    types = {name: resource["Type"] for name, resource in DOCUMENT["Resources"].items()}
    return [found for name, found in stack.resources.items() if types[name] == "AWS::IAM::Role"]


def test_boundary_and_path_apply_to_every_role() -> None:
    boundary = "arn:aws:iam::123456789012:policy/boundaries/teams"
    given = {"PermissionsBoundaryArn": boundary, "RolePath": "/teams/payments/"}
    found = roles(Stack({**ONE, "RedeployService": "web/api", **given}))
    assert [(role["PermissionsBoundary"], role["Path"]) for role in found] == [
        (boundary, "/teams/payments/")
    ] * 4


def test_roles_have_no_boundary_by_default() -> None:
    """They have no path either: IAM's own is "/", and an update that adds one replaces a role."""
    found = roles(Stack({**ONE, "RedeployService": "web/api"}))
    assert [("PermissionsBoundary" in role, "Path" in role) for role in found] == [(False, False)] * 4


@pytest.mark.parametrize(
    ("parameter", "value", "is_taken"),
    [
        ("PermissionsBoundaryArn", "arn:aws:iam::aws:policy/PowerUserAccess", True),
        ("PermissionsBoundaryArn", "arn:aws-us-gov:iam::123456789012:policy/teams/boundary", True),
        ("PermissionsBoundaryArn", "boundary", False),
        ("PermissionsBoundaryArn", "arn:aws:iam::123456789012:role/boundary", False),
        ("RolePath", "/teams/payments/", True),
        ("RolePath", "/teams", False),
        ("RolePath", "teams/", False),
        ("RolePath", "//", False),
    ],
)
def test_boundary_and_path_take_only_valid_values(parameter: str, value: str, is_taken: bool) -> None:
    assert takes(parameter, value) == is_taken


def test_schedule_role_is_limited_to_account_and_function() -> None:
    stack = Stack(ONE)
    [trust] = stack.resources["GroupedScheduleRole"]["AssumeRolePolicyDocument"]["Statement"]
    group = "<ScheduleGroup.Arn>"
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": group}}
    assert stack.resources["GroupedSchedule"]["GroupName"] == "<ScheduleGroup>"
    resources = {each["Sid"]: each["Resource"] for each in stack.statements("GroupedScheduleRole")}
    assert resources == {"InvokeFunction": "<Function.Arn>", "KeepUndelivered": "<DeadLetterQueue.Arn>"}


def test_consumers_may_read_token_and_status_and_nothing_else() -> None:
    [reading] = Stack(ONE).resources["ConsumerPolicy"]["PolicyDocument"]["Statement"]
    assert reading["Action"] == ["ssm:GetParameter", "ssm:GetParameters"]
    assert reading["Resource"] == [f"{PARAMETERS}/healthwise/token", f"{PARAMETERS}/healthwise/token/status"]
    multiple = Stack(MANY).resources["ConsumerPolicy"]["PolicyDocument"]["Statement"]
    assert [each["Resource"] for each in multiple if each["Effect"] == "Allow"] == [
        [f"{PARAMETERS}/healthwise/*"]
    ]


def test_network_interfaces_are_managed_by_lambda_only() -> None:
    assert "ec2:" not in json.dumps(list(everywhere(Stack(ONE))))
    stack = Stack({**ONE, **VPC})
    managing = statement(stack, "ManageNetworkInterfaces")
    assert (managing["Effect"], managing["Resource"]) == ("Allow", "*")
    kept_out = statement(stack, "LeaveTheNetworkToLambda")
    assert (kept_out["Effect"], kept_out["Action"], kept_out["Resource"]) == ("Deny", "ec2:*", "*")
    assert kept_out["Condition"] == {"ArnEquals": {"lambda:SourceFunctionArn": "<Function.Arn>"}}
    assert stack.resources["NoNetworkInterfacesByCode"]["Roles"] == ["<Role>"]


def test_change_function_permits_only_this_rule_to_invoke() -> None:
    assert Stack(MAX_NAMED_FAILURES).resources["TokenChangedInvokes"] == {
        "FunctionName": MAX_NAMED_FAILURES["ChangeFunctionArn"],
        "Action": "lambda:InvokeFunction",
        "Principal": "events.amazonaws.com",
        "SourceArn": "<TokenChanged.Arn>",
    }


def test_change_queue_policy_is_not_replaced() -> None:
    policies = [p["Queues"] for p in Stack(MAX_NAMED_FAILURES).resources.values() if "Queues" in p]
    assert policies == [["<DeadLetterQueue>", "<FailedRuns>"]]


def test_redeployment_may_update_only_the_given_service() -> None:
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
def test_redeployment_role_trusts_one_service_and_resource(
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


def test_only_alarms_of_the_stack_may_publish_to_the_topic() -> None:
    stack = Stack({**ONE, "AlarmEmail": "on-call@example.com"})
    [publishing] = stack.resources["AlarmTopicPolicy"]["PolicyDocument"]["Statement"]
    alarms = [f"<{name}.Arn>" for name, each in stack.resources.items() if "AlarmName" in each]
    assert publishing["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert (publishing["Action"], publishing["Resource"]) == ("sns:Publish", "<AlarmTopic>")
    assert publishing["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnEquals": {"aws:SourceArn": alarms},
    }


def test_alarm_subscription_is_a_resource_of_its_own() -> None:
    """So that it can be created again while the topic stays."""
    resources = Stack({**ONE, "AlarmEmail": "on-call@example.com"}).resources
    assert resources["AlarmSubscription"] == {
        "TopicArn": "<AlarmTopic>",
        "Protocol": "email",
        "Endpoint": "on-call@example.com",
    }
    assert "Subscription" not in resources["AlarmTopic"]
    assert "AlarmSubscription" not in Stack(ONE).resources


def test_alarm_subscription_is_deleted_with_its_topic_only() -> None:
    """SNS refuses to delete a pending one, so that the deletion of a stack must not try.

    https://docs.aws.amazon.com/sns/latest/dg/sns-delete-subscription-topic.html
    """
    subscription = DOCUMENT["Resources"]["AlarmSubscription"]
    assert (subscription["DeletionPolicy"], subscription["UpdateReplacePolicy"]) == ("Retain", "Delete")


def test_alarm_topic_is_encrypted_only_with_the_created_key() -> None:
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
