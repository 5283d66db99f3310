"""The template: its valid values, the function's variables, and how runs start, are kept and logged."""

from __future__ import annotations

import importlib
import json

import botocore.session
import pytest

from infra import function_environment, stacks
from rotator.config import environment as environment_settings
from rotator.config import rotation_documents, validators
from rotator.config.environment import Settings, read_environment
from rotator.devstack.deployment import TEMPLATE
from rotator.oauth.models import SigningAlgorithm
from rotator.renewal.models import Rotation
from rotator.renewal.policy import RUN_BUDGET_SECONDS
from template import DOCUMENT, PARAMETERS, Stack, takes

SECRET_ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:healthwise/client-AbCdEf"
KEY_ARN = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CREATED_KEY_ARN = KEY_ARN.replace("1234abcd", "cccccccc")
REQUIRED = {"CodeBucket": "code", "CodeKey": "rotator.zip", "SecretArn": SECRET_ARN}
MANY = {
    "CodeBucket": "code",
    "CodeKey": "rotator.zip",
    "RotationsPath": "/rotator/rotations",
    "SecretPrefix": "healthwise/",
    "ParameterPrefix": "/healthwise",
    "AllowedHosts": "auth.healthwise.net",
}
PROPERTIES = Stack(REQUIRED).resources
REPLACE_A_MANAGED_POLICY = {"Description", "ManagedPolicyName", "Path"}
BOTOCORE = botocore.session.Session()


def environment(stack: Stack) -> dict[str, str]:
    """The function's environment, with a key's ARN where the stack's own key stands."""
    variables = stack.resources["Function"]["Environment"]["Variables"]
    return {
        name: CREATED_KEY_ARN if value == "<Key.Arn>" else str(value) for name, value in variables.items()
    }


def test_description_identifies_a_stack_without_outputs() -> None:
    assert DOCUMENT["Description"].startswith(stacks.DESCRIPTION)


def test_function_runs_an_existing_handler_on_python_3_13_arm64() -> None:
    function = PROPERTIES["Function"]
    module, _, name = function["Handler"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))
    assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])


def test_function_environment_has_exactly_the_settings() -> None:
    needs_path = {"rotations_path", "queue_url", "workers"}
    keys = (
        rotation_documents.ROTATION_SETTINGS.keys() - {"name"}
        | environment_settings._RUN_SETTINGS.keys() - needs_path
    )
    assert environment(Stack(REQUIRED)).keys() == {environment_settings.PREFIX + key.upper() for key in keys}


def test_fleet_environment_has_the_run_and_shared_settings() -> None:
    reported = environment(Stack({**MANY, "Workers": "2"}))
    assert reported.keys() == {
        environment_settings.PREFIX + key.upper()
        for key in environment_settings._RUN_SETTINGS.keys() | environment_settings._DOCUMENT_DEFAULTS
    }
    assert reported.keys() - environment(Stack(MANY)).keys() == {"ROTATOR_QUEUE_URL", "ROTATOR_WORKERS"}
    reported["ROTATOR_QUEUE_URL"] = "https://sqs.eu-central-1.amazonaws.com/123456789012/work"
    found = read_environment(reported)
    assert (found.rotation, found.rotations_path) == (None, "/rotator/rotations")
    assert found.allowed_hosts == {"auth.healthwise.net"}


def test_default_stack_gives_the_default_settings() -> None:
    rotation = Rotation(name="default", secret_id=SECRET_ARN, parameter_name="/healthwise/token")
    assert read_environment(environment(Stack(REQUIRED))) == Settings(rotation=rotation)


@pytest.mark.parametrize("of", [REQUIRED, MANY], ids=["one", "many"])
def test_replica_regions_reach_the_function(of: dict[str, str]) -> None:
    found = read_environment(environment(Stack({**of, "ReplicaRegions": "eu-west-1,us-west-2"})))
    assert found.replica_regions == ("eu-west-1", "us-west-2")


@pytest.mark.parametrize("of", [REQUIRED, MANY], ids=["one", "many"])
def test_created_or_given_key_is_set_as_kms_key_id(of: dict[str, str]) -> None:
    created = environment(Stack({**of, "CreateKey": "true"}))
    given = environment(Stack({**of, "ParameterKmsKeyArn": KEY_ARN}))
    assert (created["ROTATOR_KMS_KEY_ID"], given["ROTATOR_KMS_KEY_ID"]) == (CREATED_KEY_ARN, KEY_ARN)
    assert environment(Stack(of))["ROTATOR_KMS_KEY_ID"] == ""


GOOD = [
    ("SecretArn", SECRET_ARN),
    ("SecretArn", SECRET_ARN.replace("arn:aws:", "arn:aws-us-gov:")),
    ("SecretKmsKeyArn", KEY_ARN),
    ("ParameterKmsKeyArn", KEY_ARN),
    ("ParameterName", "/token"),
    ("ParameterName", "/a" * 14),
    ("TokenEndpoint", "https://auth.example.com:8443/oauth2/token?tenant=a"),
    ("TokenEndpoint", "http://127.0.0.1:8080/oauth2/token"),
    ("ReplicaRegions", ""),
    ("ReplicaRegions", "eu-west-1"),
    ("ReplicaRegions", "eu-west-1,us-gov-west-1,ap-southeast-2,il-central-1,us-iso-east-1"),
    ("Scope", ""),
    ("Scope", "content.api search.api"),
    ("TokenRequestParams", '{"expiration": "86400"}'),
    ("GrantType", "urn:ietf:params:oauth:grant-type:token-exchange"),
    ("TokenRequestHeaders", '{"X-Tenant": "a"}'),
    ("SecretMembers", '{"client_secret": "oauth.clientSecret"}'),
    ("SecretParams", '{"password": "api_password"}'),
    ("SecretHeaders", '{"Ocp-Apim-Subscription-Key": "subscription_key"}'),
    ("ResponseMembers", '{"access_token": "tokenData.access_token"}'),
    ("AcceptedTokenTypes", "session, urn:x:token"),
    ("Lifetime", "3600"),
    ("FallbackLifetime", "60"),
    ("FallbackLifetime", "86400"),
    ("VerifyUrl", "https://content.healthwise.net/topics"),
    ("AllowedHosts", "auth.healthwise.net, auth.example.com"),
    ("SigningKeyArn", KEY_ARN),
    ("KeyId", "key-1"),
    ("KeyId", "x5t#S256=2jmj7l5rSw0yVb_vlWAYkK_YBwk"),
    ("AssertionAudience", "https://auth.example.com/oauth2/default"),
    ("AssertionAudience", "http://idp.internal:18080/realms/x?a=b"),
    ("CaParameterName", "/healthwise/authorities"),
    ("HttpsProxy", "http://proxy.example.com:3128"),
    ("NoProxy", ".amazonaws.com, 169.254.169.254, 10.0.0.0/8"),
    ("RunbookUrl", "https://wiki.example.com/rotator/runbooks"),
    ("AlarmEmail", "on-call@example.com"),
    ("AlarmTopicArn", "arn:aws:sns:eu-central-1:123456789012:on-call"),
    ("ChangeFunctionArn", "arn:aws:lambda:eu-central-1:123456789012:function:reload"),
    ("ChangeFunctionArn", "arn:aws-cn:lambda:cn-north-1:123456789012:function:reload:live"),
    ("ChangeQueueArn", "arn:aws:sqs:eu-central-1:123456789012:token-changes"),
    ("RedeployService", "web/api_2"),
    ("ReservedConcurrency", "1"),
    ("VpcSubnetIds", "subnet-0a1b2c3d,subnet-0a1b2c3d4e5f67890"),
    ("VpcSecurityGroupIds", "sg-0a1b2c3d"),
    ("LogKmsKeyArn", KEY_ARN),
    *((name, str(rules["MinValue"])) for name, rules in PARAMETERS.items() if "MinValue" in rules),
    *((name, str(rules["MaxValue"])) for name, rules in PARAMETERS.items() if "MaxValue" in rules),
    *((name, str(value)) for name, rules in PARAMETERS.items() for value in rules.get("AllowedValues", [])),
]
BAD = [
    ("CodeBucket", "No_Bucket"),
    ("CodeKey", ""),
    ("SecretArn", "healthwise/client"),
    ("SecretArn", SECRET_ARN.replace("123456789012", "12345")),
    ("SecretArn", SECRET_ARN.replace("AbCdEf", "*")),
    ("SecretArn", SECRET_ARN.removesuffix("-AbCdEf")),
    ("SecretKmsKeyArn", "alias/mine"),
    ("ParameterKmsKeyArn", KEY_ARN.replace("kms", "s3")),
    ("ParameterKmsKeyArn", KEY_ARN.replace("key/", "key/*")),
    ("ParameterName", "token"),
    ("ParameterName", "/healthwise/token/"),
    ("ParameterName", "/healthwise/*"),
    ("ParameterName", "/a" * 15),
    ("ParameterName", "/" + "a" * 940),
    ("RotationsPath", "/" + "a" * 880),
    ("CaParameterName", "/" + "a" * 967),
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
    ("GrantType", "two words"),
    ("GrantType", ""),
    ("TokenRequestFormat", "xml"),
    ("TokenRequestHeaders", "X-Tenant: a"),
    ("ClientIdInBody", "yes"),
    ("SecretMembers", "oauth"),
    ("SecretParams", "[]"),
    ("SecretHeaders", "api_key"),
    ("ResponseMembers", "data.token"),
    ("AcceptedTokenTypes", "a b"),
    ("AcceptedTokenTypes", "a,"),
    ("Lifetime", "59"),
    ("ClientAuthentication", "none"),
    ("BasicEncoding", "base64"),
    ("SigningKeyArn", "alias/client"),
    ("SigningKeyArn", KEY_ARN.replace("key/", "key/*")),
    ("SigningAlgorithm", "none"),
    ("KeyId", "two words"),
    ("KeyId", "x" * 257),
    ("AssertionAudience", "auth.example.com"),
    ("AssertionAudience", "https://"),
    ("AssertionAudience", "https://auth.example.com/#x"),
    ("CaParameterName", "authorities"),
    ("CaParameterName", "/healthwise/*"),
    ("HttpsProxy", "proxy.example.com:3128"),
    ("HttpsProxy", "http://user:password@proxy.example.com:3128"),
    ("NoProxy", "http://a b"),
    ("SecretRollover", "off"),
    ("FallbackLifetime", "0"),
    ("FallbackLifetime", "59"),
    ("FallbackLifetime", "99999999"),
    ("VerifyUrl", "http://content.healthwise.net/topics"),
    ("AllowedHosts", "https://auth.healthwise.net/"),
    ("AllowedHosts", "auth.healthwise.net:443"),
    ("AllowedHosts", ","),
    ("AllowedHosts", "auth.healthwise.net auth.example.com"),
    ("ScheduleMinutes", "0"),
    ("ScheduleMinutes", "7"),
    ("ScheduleMinutes", "1441"),
    ("ScheduleMinutes", "rate(5 minutes)"),
    ("RenewAt", "0"),
    ("RenewAt", "1"),
    ("RenewAt", "66%"),
    ("ConsumerCacheSeconds", "-1"),
    ("Workers", "1"),
    ("Workers", "101"),
    ("WritesPerSecond", "0"),
    ("ConsumerCacheSeconds", "86400"),
    ("TimeoutSeconds", "901"),
    ("MemoryMegabytes", "64"),
    ("LogLevel", "TRACE"),
    ("LogRetentionDays", "2"),
    ("LogKmsKeyArn", "alias/logs"),
    ("CreateKey", "yes"),
    ("ReplicaRegions", "Ireland"),
    ("ReplicaRegions", "eu-west-1, us-east-1"),
    ("ReplicaRegions", "eu-west-1,"),
    ("ReplicaRegions", "eu-west-*"),
    ("ReplicaRegions", "eu-west-1,us-east-1,us-west-2,eu-north-1,sa-east-1,ap-south-1"),
    ("RotationsPath", "rotations"),
    ("RotationsPath", "/rotations/"),
    ("RotationsPath", "/rotations/*"),
    ("RotationsPath", "/aws/rotations"),
    ("SecretPrefix", "healthwise"),
    ("SecretPrefix", "*"),
    ("SecretPrefix", "/"),
    ("ParameterPrefix", "/"),
    ("ParameterPrefix", "/healthwise/"),
    ("ParameterPrefix", "/healthwise*"),
    ("ParameterPrefix", "/ssm"),
    ("TokenLifetime", "86400"),
    ("ScheduleState", "PAUSED"),
    ("ReservedConcurrency", "0"),
    ("ReservedConcurrency", "all"),
    ("VpcSubnetIds", "subnet-0a1b2c3d, subnet-0a1b2c3e"),
    ("VpcSecurityGroupIds", "default"),
    ("AlarmTopicArn", "on-call"),
    ("AlarmTopicArn", "arn:aws:sqs:eu-central-1:123456789012:on-call"),
    ("AlarmEmail", "on-call"),
    ("ChangeFunctionArn", "reload"),
    ("ChangeFunctionArn", "arn:aws:lambda:eu-central-1:123456789012:function:*"),
    ("ChangeFunctionArn", "arn:aws:lambda:eu-central-1:123456789012:layer:reload"),
    ("ChangeQueueArn", "https://sqs.eu-central-1.amazonaws.com/123456789012/token-changes"),
    ("ChangeQueueArn", "arn:aws:sqs:eu-central-1:123456789012:token-changes.fifo"),
    ("ChangeQueueArn", "arn:aws:sqs:eu-central-1:123456789012:*"),
    ("RedeployService", "api"),
    ("RedeployService", "web/*"),
    ("RedeployService", "web/api/more"),
    ("RedeployService", "arn:aws:ecs:eu-central-1:123456789012:service/web/api"),
    ("RunbookUrl", ""),
    ("RunbookUrl", "https://wiki.example.com/#rotator"),
]


SIGNED = {"ClientAuthentication": "private_key_jwt", "SigningKeyArn": KEY_ARN}
NEEDED: dict[str, dict[str, str]] = {
    "private_key_jwt": SIGNED,
    **dict.fromkeys(("SigningKeyArn", "KeyId", "AssertionAudience"), SIGNED),
    **{
        algorithm: {"ClientAuthentication": "client_secret_jwt"} if algorithm.is_symmetric else SIGNED
        for algorithm in SigningAlgorithm
    },
}
"""What goes with a parameter or a value: the template's rules refuse it alone."""


@pytest.mark.parametrize(("parameter", "value"), GOOD)
def test_values_the_template_accepts_are_valid_settings(parameter: str, value: str) -> None:
    assert takes(parameter, value)
    needed = {**NEEDED.get(parameter, {}), **NEEDED.get(value, {})}
    assert read_environment(environment(Stack({**REQUIRED, **needed, parameter: value}))).rotation


@pytest.mark.parametrize("of", [REQUIRED, MANY], ids=["one", "many"])
def test_function_behind_a_proxy_has_its_address(of: dict[str, str]) -> None:
    given = {**of, "HttpsProxy": "http://proxy.example.com:3128", "NoProxy": ".amazonaws.com"}
    more = environment(Stack(given)).items() - environment(Stack(of)).items()
    assert dict(more) == {"HTTPS_PROXY": "http://proxy.example.com:3128", "NO_PROXY": ".amazonaws.com"}


@pytest.mark.parametrize(
    "given",
    [
        REQUIRED,
        {**REQUIRED, "CreateKey": "true", "Scope": 'a "b" é'},
        {**REQUIRED, "HttpsProxy": "http://proxy.example.com:3128", "NoProxy": ".amazonaws.com"},
        MANY,
        {**MANY, "Workers": "2", "ParameterKmsKeyArn": KEY_ARN},
    ],
    ids=["one", "one with a key", "a proxy", "many", "workers"],
)
def test_deploy_measures_the_environment_as_lambda_does(given: dict[str, str]) -> None:
    """As JSON. It may find a little more: an ARN and a queue's address are not known before."""
    variables = environment(Stack(given))
    if "ROTATOR_QUEUE_URL" in variables:
        variables["ROTATOR_QUEUE_URL"] = f"https://sqs.eu-central-1.amazonaws.com/123456789012/{'q' * 80}"
    exactly = len(json.dumps(variables, separators=(",", ":"), ensure_ascii=False).encode())
    assert 0 <= function_environment.size(TEMPLATE.read_text(), given) - exactly <= 100


@pytest.mark.parametrize(("parameter", "value"), BAD)
def test_template_refuses_values_the_function_cannot_use(parameter: str, value: str) -> None:
    assert not takes(parameter, value)


@pytest.mark.parametrize("partition", BOTOCORE.get_available_partitions())
def test_longest_names_fit_with_their_arn_in_every_region(partition: str) -> None:
    """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html."""
    longest = {
        "ParameterName": "/status",
        "RotationsPath": "/" + "n" * 64,  # the name of a rotation
        "ParameterPrefix": "/token/status",
    }
    for region in BOTOCORE.get_available_regions("ssm", partition):
        arn = f"arn:{partition}:ssm:{region}:123456789012:parameter"
        for parameter, below in longest.items():
            assert len(arn) + PARAMETERS[parameter]["MaxLength"] + len(below) <= 1011


def test_settings_and_template_take_names_of_the_same_length() -> None:
    longest = "/" + "a" * (PARAMETERS["ParameterName"]["MaxLength"] - 1)
    assert validators.parameter_name(longest) == longest
    with pytest.raises(validators.InvalidValue):
        validators.parameter_name(longest + "a")


@pytest.mark.parametrize("parameter", [name for name, rules in PARAMETERS.items() if "Default" in rules])
def test_every_default_is_a_value_that_the_template_takes(parameter: str) -> None:
    assert takes(parameter, str(PARAMETERS[parameter]["Default"]))


@pytest.mark.parametrize(
    "parameter", [name for name, rules in PARAMETERS.items() if "AllowedPattern" in rules]
)
def test_every_pattern_has_a_constraint_description(parameter: str) -> None:
    assert PARAMETERS[parameter]["ConstraintDescription"].startswith("must be ")


def test_schedule_rate_is_singular_for_one_minute() -> None:
    rates = [
        Stack({**REQUIRED, "ScheduleMinutes": minutes}).resources["GroupedSchedule"]["ScheduleExpression"]
        for minutes in ("1", "2", "60")
    ]
    assert rates == ["rate(1 minute)", "rate(2 minutes)", "rate(60 minutes)"]


def test_a_stack_can_be_paused() -> None:
    paused = Stack({**REQUIRED, "ScheduleState": "DISABLED"}).resources["GroupedSchedule"]["State"]
    assert (PROPERTIES["GroupedSchedule"]["State"], paused) == ("ENABLED", "DISABLED")


def test_schedule_is_no_update_of_the_one_in_the_default_group() -> None:
    """CloudFormation cannot move a schedule to another group: https://github.com/aws/aws-cdk/issues/34216."""
    schedules = [n for n, r in DOCUMENT["Resources"].items() if r["Type"] == "AWS::Scheduler::Schedule"]
    assert schedules == ["GroupedSchedule"]


def test_scheduled_event_is_retried_briefly_then_dead_lettered() -> None:
    assert PROPERTIES["GroupedSchedule"]["Target"] == {
        "Arn": "<Function.Arn>",
        "RoleArn": "<GroupedScheduleRole.Arn>",
        "Input": "{}",
        "RetryPolicy": {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 3},
        "DeadLetterConfig": {"Arn": "<DeadLetterQueue.Arn>"},
    }


def test_lambda_does_not_retry_and_keeps_failed_runs() -> None:
    invoke = PROPERTIES["NoHiddenRetries"]
    assert (invoke["FunctionName"], invoke["Qualifier"]) == ("<Function>", "$LATEST")
    assert invoke["MaximumRetryAttempts"] == 0
    assert invoke["DestinationConfig"] == {"OnFailure": {"Destination": "<FailedRuns.Arn>"}}


def test_concurrency_and_vpc_are_set_only_on_request() -> None:
    assert not PROPERTIES["Function"].keys() & {"ReservedConcurrentExecutions", "VpcConfig"}
    asked = {"ReservedConcurrency": "1", "VpcSubnetIds": "subnet-1,subnet-2", "VpcSecurityGroupIds": "sg-1"}
    function = Stack({**REQUIRED, **asked}).resources["Function"]
    assert function["ReservedConcurrentExecutions"] == "1"
    assert function["VpcConfig"] == {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}


def test_logs_are_json_in_their_own_group_with_a_retention() -> None:
    assert PROPERTIES["LogGroup"]["RetentionInDays"] == "30"
    logging = PROPERTIES["Function"]["LoggingConfig"]
    assert (logging["LogGroup"], logging["LogFormat"]) == ("<LogGroup>", "JSON")


@pytest.mark.parametrize(
    ("chosen", "key"),
    [({}, None), ({"CreateKey": "true"}, "<Key.Arn>"), ({"LogKmsKeyArn": KEY_ARN}, KEY_ARN)],
    ids=["CloudWatch's own key", "the stack's key", "a key of ours"],
)
def test_log_group_is_encrypted_with_the_chosen_key(chosen: dict[str, str], key: str | None) -> None:
    assert Stack({**REQUIRED, **chosen}).resources["LogGroup"].get("KmsKeyId") == key


def test_no_log_level_makes_lambda_drop_the_metrics() -> None:
    """They are lines without a level, which Lambda takes for INFO.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    """
    names = {level: name["Lambda"] for level, name in DOCUMENT["Mappings"]["LogLevels"].items()}
    assert names == {"DEBUG": "DEBUG", "INFO": "INFO", "WARNING": "INFO", "ERROR": "INFO"}
    assert (
        names.keys() == set(environment_settings.LOG_LEVELS) == set(PARAMETERS["LogLevel"]["AllowedValues"])
    )


def test_every_parameter_has_a_description_and_a_group() -> None:
    groups = DOCUMENT["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(PARAMETERS)
    assert all(rules["Description"] for rules in PARAMETERS.values())


NAMES_OF_ITS_OWN = {
    "LogGroupName",
    "AlarmName",
    "DashboardName",
    "FunctionName",
    "Name",
    "RoleName",
    "StateMachineName",
    "TopicName",
}


def test_function_timeout_equals_the_run_budget() -> None:
    assert PROPERTIES["Function"]["Timeout"] == str(round(RUN_BUDGET_SECONDS))


def test_failed_events_are_kept_for_days_and_never_run_late() -> None:
    day = 24 * 3600
    assert PROPERTIES["NoHiddenRetries"]["MaximumEventAgeInSeconds"] == 60
    assert PROPERTIES["DeadLetterQueue"]["MessageRetentionPeriod"] == 14 * day
    assert PROPERTIES["FailedRuns"]["MessageRetentionPeriod"] == 4 * day


def test_log_levels_include_runs_that_timed_out() -> None:
    logging = PROPERTIES["Function"]["LoggingConfig"]
    assert (logging["ApplicationLogLevel"], logging["SystemLogLevel"]) == ("INFO", "INFO")


def test_two_stacks_in_one_account_share_no_name() -> None:
    everything = {**MANY, "CreateKey": "true", "AlarmEmail": "a@example.com", "RedeployService": "web/api"}
    for name, properties in Stack(everything).resources.items():
        for key in NAMES_OF_ITS_OWN & properties.keys():
            assert "rotator" in str(properties[key]) or properties[key].startswith("<"), f"{name}.{key}"


def test_no_managed_policy_is_replaced_by_an_upgrade() -> None:
    """A changed description, path or name replaces it: IAM deletes no policy that a consumer has attached.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-managedpolicy.html
    """
    text = "Lets consumers read the token of ${AWS::StackName} and its status, and nothing else."
    published = {"ConsumerPolicy": {"Description": {"Fn::Sub": text}}}
    found = {
        name: {key: value for key, value in resource["Properties"].items() if key in REPLACE_A_MANAGED_POLICY}
        for name, resource in DOCUMENT["Resources"].items()
        if resource["Type"] == "AWS::IAM::ManagedPolicy"
    }
    reason = "keep the published text: another replaces the policy, which fails while a role has it attached"
    assert found == published, reason


def test_token_and_its_key_are_kept_when_the_stack_is_deleted() -> None:
    kinds = {resource["Type"] for resource in DOCUMENT["Resources"].values()}
    assert not kinds & {"AWS::SSM::Parameter", "AWS::SecretsManager::Secret", "AWS::S3::Bucket"}
    key = DOCUMENT["Resources"]["Key"]
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_every_taggable_resource_has_tags() -> None:
    tagged = {name for name, resource in DOCUMENT["Resources"].items() if "Tags" in resource["Properties"]}
    assert tagged == {
        *("Function", "LogGroup", "Role", "ScheduleGroup", "GroupedScheduleRole"),
        *("Key", "DeadLetterQueue", "FailedRuns", "AlarmTopic"),
        *("Work", "Poisoned", "TakeWork"),
        *("TokenChanged", "TokenChangedRole", "Redeploy", "RedeployRole"),
    }


def test_template_fits_the_size_limit_of_s3() -> None:
    """1 MB in S3; no more than 51,200 bytes would fit into a request.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
    """
    assert len(TEMPLATE.read_bytes()) <= 1_000_000


def test_every_skipped_check_has_a_reason() -> None:
    skipped = [
        skip
        for resource in DOCUMENT["Resources"].values()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert skipped
    assert all(len(skip["comment"].split()) > 8 for skip in skipped)
    assert "cfn-lint" not in DOCUMENT.get("Metadata", {})


def test_default_stack_has_the_expected_outputs() -> None:
    assert Stack(REQUIRED).outputs == {
        "FunctionName": "<Function>",
        "FunctionRoleArn": "<Role.Arn>",
        "ConsumerPolicyArn": "<ConsumerPolicy>",
        "ParameterName": "/healthwise/token",
        "StatusParameterName": "/healthwise/token/status",
        "ScheduleName": "<GroupedSchedule>",
        "ScheduleGroupName": "<ScheduleGroup>",
        "DeadLetterQueueUrl": "<DeadLetterQueue>",
        "FailedRunsQueueUrl": "<FailedRuns>",
        "DashboardName": "<Dashboard>",
        "LogGroupName": "<LogGroup>",
    }


def test_optional_resources_add_their_outputs() -> None:
    some = {**MANY, "CreateKey": "true", "AlarmEmail": "a@example.com"}
    more = Stack(some).outputs.items() - Stack(REQUIRED).outputs.items()
    assert dict(more) == {
        "RotationsPath": "/rotator/rotations",
        "KeyArn": "<Key.Arn>",
        "AlarmTopicArn": "<AlarmTopic>",
    }
    assert "ParameterName" not in Stack(MANY).outputs
