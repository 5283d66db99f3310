"""The template: what it grants, what it tells the function, and which values it takes."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from rotator import settings
from rotator.local.deployment import TEMPLATE
from rotator.model import Rotation
from rotator.settings import Settings, read_environment

SECRET_ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:healthwise/client-AbCdEf"
KEY_ARN = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
REQUIRED = {"CodeBucket": "code", "CodeKey": "rotator.zip", "SecretArn": SECRET_ARN}


class Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML with CloudFormation's short forms, read as the long ones."""

    def long_form(self, tag: str, node: Any) -> dict[str, Any]:
        is_scalar = isinstance(node, yaml.ScalarNode)
        value = self.construct_scalar(node) if is_scalar else self.construct_sequence(node, deep=True)
        return {"Ref" if tag == "Ref" else f"Fn::{tag}": value}


Loader.add_multi_constructor("!", Loader.long_form)

DOCUMENT = yaml.load(TEMPLATE.read_text(), Loader)
PARAMETERS: dict[str, dict[str, Any]] = DOCUMENT["Parameters"]
PROPERTIES = {name: resource["Properties"] for name, resource in DOCUMENT["Resources"].items()}


def environment(**chosen: str) -> dict[str, str]:
    """The function's environment in a stack with these parameters, its defaults otherwise."""
    defaults = {name: str(rules["Default"]) for name, rules in PARAMETERS.items() if "Default" in rules}
    given = {**defaults, **REQUIRED, **chosen}

    def resolved(value: Mapping[str, str]) -> str:
        text = value.get("Fn::Sub") or f"${{{value['Ref']}}}"
        return re.sub(r"\$\{(\w+)}", lambda name: given[name[1]], text)

    variables = PROPERTIES["Function"]["Environment"]["Variables"]
    return {name: resolved(value) for name, value in variables.items()}


def takes(parameter: str, value: str) -> bool:
    """Whether CloudFormation takes the value for the parameter."""
    rules = PARAMETERS[parameter]
    if "AllowedValues" in rules:
        return value in map(str, rules["AllowedValues"])
    if rules["Type"] == "Number":
        return bool(rules["MinValue"] <= float(value) <= rules["MaxValue"])
    size_is_right = rules.get("MinLength", 0) <= len(value) <= rules.get("MaxLength", 4096)
    return size_is_right and re.fullmatch(rules.get("AllowedPattern", "(?s:.*)"), value) is not None


def statements() -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Every statement of every role, and the condition under which it exists."""
    for properties in PROPERTIES.values():
        for policy in properties.get("Policies", []):
            for entry in policy["PolicyDocument"]["Statement"]:
                if "Fn::If" in entry:
                    condition, statement, otherwise = entry["Fn::If"]
                    assert otherwise == {"Ref": "AWS::NoValue"}
                    yield condition, statement
                else:
                    yield None, entry


def test_the_function_runs_an_existing_handler_on_python_3_13_and_arm64() -> None:
    function = PROPERTIES["Function"]
    module, _, name = function["Handler"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))
    assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])


def test_no_statement_allows_more_than_it_names() -> None:
    for _, statement in statements():
        assert statement["Effect"] == "Allow"
        assert "*" not in json.dumps([statement["Action"], statement["Resource"]]), statement["Sid"]
        assert not statement.keys() & {"NotAction", "NotResource"}


def test_the_roles_may_do_exactly_this() -> None:
    allowed = {
        statement["Sid"]: statement["Action"] for condition, statement in statements() if not condition
    }
    assert allowed == {
        "ReadCredentials": "secretsmanager:GetSecretValue",
        "KeepTokenAndStatus": ["ssm:GetParameters", "ssm:PutParameter"],
        "WriteLogs": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "InvokeFunction": "lambda:InvokeFunction",
        "KeepUndelivered": "sqs:SendMessage",
    }


@pytest.mark.parametrize(
    ("condition", "parameter", "actions", "service", "context"),
    [
        (
            "HasSecretKey",
            "SecretKmsKeyArn",
            "kms:Decrypt",
            "secretsmanager",
            {"kms:EncryptionContext:SecretARN": {"Ref": "SecretArn"}},
        ),
        (
            "HasParameterKey",
            "ParameterKmsKeyArn",
            ["kms:Encrypt", "kms:GenerateDataKey"],
            "ssm",
            {
                "kms:EncryptionContext:PARAMETER_ARN": {
                    "Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}"
                    ":parameter${ParameterName}"
                }
            },
        ),
    ],
)
def test_a_key_may_be_used_only_if_there_is_one_through_its_service_and_for_its_purpose(
    condition: str, parameter: str, actions: str | list[str], service: str, context: dict[str, Any]
) -> None:
    [statement] = [statement for exists_if, statement in statements() if exists_if == condition]
    via = {"Fn::Sub": f"{service}.${{AWS::Region}}.${{AWS::URLSuffix}}"}
    assert statement["Action"] == actions
    assert statement["Resource"] == {"Ref": parameter}
    assert statement["Condition"] == {"StringEquals": {"kms:ViaService": via, **context}}
    assert DOCUMENT["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]}


def test_no_key_is_used_without_a_condition() -> None:
    assert [s["Sid"] for condition, s in statements() if not condition and "kms:" in json.dumps(s)] == []


@pytest.mark.parametrize(("role", "service"), [("Role", "lambda"), ("ScheduleRole", "scheduler")])
def test_each_role_is_for_one_service(role: str, service: str) -> None:
    [trust] = PROPERTIES[role]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": f"{service}.amazonaws.com"}


def test_the_function_is_told_every_setting_and_nothing_else() -> None:
    keys = settings._ROTATION.keys() - {"name"} | settings._RUN.keys() - {"rotations_path"}
    assert environment().keys() == {settings.PREFIX + key.upper() for key in keys}


def test_a_stack_with_the_defaults_has_the_settings_defaults() -> None:
    rotation = Rotation(name="default", secret_id=SECRET_ARN, parameter_name="/healthwise/token")
    assert read_environment(environment()) == Settings(rotation=rotation)


GOOD = [
    ("SecretArn", SECRET_ARN),
    ("SecretArn", SECRET_ARN.replace("arn:aws:", "arn:aws-us-gov:")),
    ("SecretKmsKeyArn", KEY_ARN),
    ("ParameterKmsKeyArn", KEY_ARN),
    ("ParameterName", "/token"),
    ("ParameterName", "/a" * 14),
    ("TokenEndpoint", "https://auth.example.com:8443/oauth2/token?tenant=a"),
    ("TokenEndpoint", "http://127.0.0.1:8080/oauth2/token"),
    ("Scope", ""),
    ("Scope", "content.api search.api"),
    ("TokenRequestParams", '{"expiration": "86400"}'),
    ("FallbackLifetime", "60"),
    ("FallbackLifetime", "86400"),
    ("VerifyUrl", "https://content.healthwise.net/topics"),
    ("AllowedHosts", "auth.healthwise.net, auth.example.com"),
    *((name, str(rules["MinValue"])) for name, rules in PARAMETERS.items() if "MinValue" in rules),
    *((name, str(rules["MaxValue"])) for name, rules in PARAMETERS.items() if "MaxValue" in rules),
    *((name, str(value)) for name, rules in PARAMETERS.items() for value in rules.get("AllowedValues", [])),
]
BAD = [
    ("CodeBucket", "No_Bucket"),
    ("CodeKey", ""),
    ("SecretArn", ""),
    ("SecretArn", "healthwise/client"),
    ("SecretArn", SECRET_ARN.replace("123456789012", "12345")),
    ("SecretArn", SECRET_ARN.replace("AbCdEf", "*")),
    ("SecretKmsKeyArn", "alias/mine"),
    ("ParameterKmsKeyArn", KEY_ARN.replace("kms", "s3")),
    ("ParameterKmsKeyArn", KEY_ARN.replace("key/", "key/*")),
    ("ParameterName", "token"),
    ("ParameterName", "/healthwise/token/"),
    ("ParameterName", "/healthwise/*"),
    ("ParameterName", "/a" * 15),
    ("ParameterName", "/" + "a" * 1000),
    ("ParameterName", "/aws/token"),
    ("ParameterName", "/ssm/token"),
    ("ParameterTier", "Premium"),
    ("TokenEndpoint", ""),
    ("TokenEndpoint", "http://auth.healthwise.net/oauth2/token"),
    ("TokenEndpoint", "http://127.0.0.1.example.com/oauth2/token"),
    ("TokenEndpoint", "http://localhost:80@example.com/oauth2/token"),
    ("TokenEndpoint", "https://user@auth.healthwise.net/oauth2/token"),
    ("TokenEndpoint", "https://auth.healthwise.net/oauth2/token\n"),
    ("TokenEndpoint", "https://auth.healthwise.net/oauth2/token#here"),
    ("TokenRequestParams", "expiration=86400"),
    ("ClientAuthentication", "none"),
    ("BasicEncoding", "base64"),
    ("FallbackLifetime", "0"),
    ("FallbackLifetime", "59"),
    ("FallbackLifetime", "99999999"),
    ("VerifyUrl", "http://content.healthwise.net/topics"),
    ("AllowedHosts", "https://auth.healthwise.net/"),
    ("ScheduleMinutes", "0"),
    ("ScheduleMinutes", "1441"),
    ("RenewAt", "0"),
    ("RenewAt", "1"),
    ("ConsumerCacheSeconds", "-1"),
    ("TimeoutSeconds", "901"),
    ("MemoryMegabytes", "64"),
    ("LogLevel", "TRACE"),
    ("LogRetentionDays", "2"),
]


@pytest.mark.parametrize(("parameter", "value"), GOOD)
def test_what_the_template_takes_the_function_takes(parameter: str, value: str) -> None:
    assert takes(parameter, value)
    assert read_environment(environment(**{parameter: value})).rotation


@pytest.mark.parametrize(("parameter", "value"), BAD)
def test_what_the_function_could_not_use_is_refused_before_it_is_deployed(parameter: str, value: str) -> None:
    assert not takes(parameter, value)


def test_the_schedules_rate_is_singular_for_one_minute_and_plural_for_more() -> None:
    assert PROPERTIES["Schedule"]["ScheduleExpression"] == {
        "Fn::If": ["EveryMinute", "rate(1 minute)", {"Fn::Sub": "rate(${ScheduleMinutes} minutes)"}]
    }
    assert DOCUMENT["Conditions"]["EveryMinute"] == {"Fn::Equals": [{"Ref": "ScheduleMinutes"}, 1]}


def test_a_tick_is_a_plain_event_delivered_soon_or_kept_as_undelivered() -> None:
    assert PROPERTIES["Schedule"]["Target"] == {
        "Arn": {"Fn::GetAtt": "Function.Arn"},
        "RoleArn": {"Fn::GetAtt": "ScheduleRole.Arn"},
        "Input": "{}",
        "RetryPolicy": {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 3},
        "DeadLetterConfig": {"Arn": {"Fn::GetAtt": "DeadLetterQueue.Arn"}},
    }


def test_lambda_itself_repeats_nothing() -> None:
    invoke = PROPERTIES["NoHiddenRetries"]
    assert (invoke["FunctionName"], invoke["Qualifier"]) == ({"Ref": "Function"}, "$LATEST")
    assert invoke["MaximumRetryAttempts"] == 0


def test_logs_are_json_in_a_group_of_their_own_and_end_some_day() -> None:
    assert PROPERTIES["LogGroup"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    logging = PROPERTIES["Function"]["LoggingConfig"]
    assert (logging["LogGroup"], logging["LogFormat"]) == ({"Ref": "LogGroup"}, "JSON")


def test_each_log_level_of_ours_has_lambdas_name() -> None:
    names = {level: name["Lambda"] for level, name in DOCUMENT["Mappings"]["LogLevels"].items()}
    assert names == {"DEBUG": "DEBUG", "INFO": "INFO", "WARNING": "WARN", "ERROR": "ERROR"}
    assert names.keys() == set(settings.LOG_LEVELS) == set(PARAMETERS["LogLevel"]["AllowedValues"])


def test_every_parameter_says_what_it_is_and_is_shown_in_a_group() -> None:
    groups = DOCUMENT["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(PARAMETERS)
    assert all(rules["Description"] for rules in PARAMETERS.values())


def test_the_outputs_tell_where_everything_is() -> None:
    assert {name: output["Value"] for name, output in DOCUMENT["Outputs"].items()} == {
        "FunctionName": {"Ref": "Function"},
        "FunctionRoleArn": {"Fn::GetAtt": "Role.Arn"},
        "ParameterName": {"Ref": "ParameterName"},
        "StatusParameterName": {"Fn::Sub": "${ParameterName}/status"},
        "ScheduleName": {"Ref": "Schedule"},
        "DeadLetterQueueUrl": {"Ref": "DeadLetterQueue"},
        "LogGroupName": {"Ref": "LogGroup"},
    }
