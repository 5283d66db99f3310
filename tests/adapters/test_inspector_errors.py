"""The inspector if AWS answers page by page, refuses or fails, and the content of its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.stub import Stubber

from fake_ports import CANARY_SECRET, START, rotation
from leak_check import foreign, reported
from rotator.adapters.operator.inspector import AwsInspector
from rotator.adapters.runtime import aws_client
from rotator.adapters.runtime.aws_client import AwsError
from rotator.config.deployment import EventSourceMapping
from rotator.errors import RotatorError, SettingsError

STATUS = {"StackStatus": "CREATE_COMPLETE", "CreationTime": START}


class Scripted:
    """An inspector on stubbed clients: each service has its script."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._stubs: dict[str, Stubber] = {}
        self._clients: dict[str, Any] = {}
        self.inspector = AwsInspector(lambda service, _config=None: self._clients[service])

    def __getitem__(self, service: str) -> Stubber:
        if service not in self._stubs:
            self._clients[service] = aws_client.client(service)
            self._stubs[service] = self._stack.enter_context(Stubber(self._clients[service]))
        return self._stubs[service]

    def ended(self) -> None:
        for stub in self._stubs.values():
            stub.assert_no_pending_responses()


@pytest.fixture
def scripted(access_key: None) -> Iterator[Scripted]:
    with ExitStack() as stack:
        scripted = Scripted(stack)
        yield scripted
        scripted.ended()


def test_stacks_are_read_page_by_page(scripted: Scripted) -> None:
    pages: list[dict[str, Any]] = [
        {"Stacks": [{"StackName": "one", **STATUS}], "NextToken": "more"},
        {"Stacks": [], "NextToken": "and more"},
        {
            "Stacks": [
                {
                    "StackName": "two",
                    "Outputs": [{"OutputKey": "ScheduleName", "OutputValue": "run"}],
                    **STATUS,
                }
            ]
        },
    ]
    for page, asked in zip(pages, ({}, {"NextToken": "more"}, {"NextToken": "and more"}), strict=True):
        scripted["cloudformation"].add_response("describe_stacks", page, asked)
    stacks = scripted.inspector.stacks()
    assert [(stack.name, stack.outputs) for stack in stacks] == [
        ("one", {}),
        ("two", {"ScheduleName": "run"}),
    ]


def test_newest_log_event_is_found_across_unordered_pages(scripted: Scripted) -> None:
    asked = {"logGroupName": "/log", "filterPattern": '"run ended"', "startTime": 1795500000000}
    since = datetime.fromtimestamp(1795500000, UTC)
    pages: list[dict[str, Any]] = [
        {"events": [{"timestamp": 1795500009000, "message": "newest"}], "nextToken": "more"},
        {"events": [{"timestamp": 1795500001000, "message": "older"}], "nextToken": "and more"},
        {"events": []},
    ]
    for page, token in zip(pages, ({}, {"nextToken": "more"}, {"nextToken": "and more"}), strict=True):
        scripted["logs"].add_response("filter_log_events", page, {**asked, **token})
    event = scripted.inspector.last_event("/log", "run ended", since)
    assert event
    assert (event.message, event.at) == ("newest", since + timedelta(seconds=9))


def test_event_source_mapping_is_searched_on_every_page(scripted: Scripted) -> None:
    def mapping(queue: str, **more: Any) -> dict[str, Any]:
        return {
            "UUID": f"the mapping of {queue}".ljust(36),
            "State": "Enabled",
            "EventSourceArn": f"arn:aws:sqs:r:1:{queue}",
            **more,
        }

    pages: list[dict[str, Any]] = [
        {"EventSourceMappings": [mapping("another-work"), mapping("workers")], "NextMarker": "more"},
        {"EventSourceMappings": [mapping("work", ScalingConfig={"MaximumConcurrency": 5})]},
    ]
    for page, asked in zip(pages, ({}, {"Marker": "more"}), strict=True):
        scripted["lambda"].add_response("list_event_source_mappings", page, {"FunctionName": "f", **asked})
    found = scripted.inspector.event_source_mapping("f", "https://sqs.r.amazonaws.com/1/work")
    assert found == EventSourceMapping(
        id="the mapping of work".ljust(36), state="Enabled", maximum_concurrency=5
    )


def test_pending_and_deleted_subscriptions_are_not_confirmed(scripted: Scripted) -> None:
    """https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html."""

    def answer(*arns: str, **more: str) -> dict[str, Any]:
        return {"Subscriptions": [{"SubscriptionArn": arn, "Protocol": "email"} for arn in arns], **more}

    topic = "arn:aws:sns:us-east-1:1:on-call"
    pages = [answer("PendingConfirmation", NextToken="more"), answer("Deleted", f"{topic}:a-uuid")]
    for page, token in zip(pages, ({}, {"NextToken": "more"}), strict=True):
        scripted["sns"].add_response("list_subscriptions_by_topic", page, {"TopicArn": topic, **token})
    found = scripted.inspector.subscriptions(topic)
    assert found == [False, False, True]


def test_versions_are_read_page_by_page_and_not_decrypted(scripted: Scripted) -> None:
    asked = {"Name": "/healthwise/token", "WithDecryption": False}
    pages: list[dict[str, Any]] = [
        {"Parameters": [{"Version": 7, "Labels": ["live", "old"]}], "NextToken": "more"},
        {"Parameters": [{"Version": 8}]},
    ]
    for page, token in zip(pages, ({}, {"NextToken": "more"}), strict=True):
        scripted["ssm"].add_response("get_parameter_history", page, {**asked, **token})
    assert scripted.inspector.versions("/healthwise/token") == {7: ["live", "old"], 8: []}


def test_sns_denial_names_the_missing_permission(scripted: Scripted) -> None:
    scripted["sns"].add_client_error("list_subscriptions_by_topic", "AuthorizationError")
    with pytest.raises(RotatorError) as caught:
        scripted.inspector.subscriptions("arn:aws:sns:us-east-1:1:on-call")
    assert "sns:ListSubscriptionsByTopic" in caught.value.advice


def test_missing_topic_or_log_group_advises_to_create_it(scripted: Scripted) -> None:
    scripted["sns"].add_client_error("list_subscriptions_by_topic", "NotFound")
    with pytest.raises(RotatorError, match="of the topic on-call could not be read: NotFound") as topic:
        scripted.inspector.subscriptions("arn:aws:sns:us-east-1:1:on-call")
    scripted["logs"].add_client_error("filter_log_events", "ResourceNotFoundException")
    with pytest.raises(RotatorError, match="the log /rotator/web could not be read") as log:
        scripted.inspector.last_event("/rotator/web", "run ended", START)
    for caught in (topic, log):
        assert caught.value.advice.startswith("it does not exist in this account and Region: create it, or")


@pytest.mark.parametrize("code", ["AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"])
def test_missing_queue_has_no_message_count(scripted: Scripted, code: str) -> None:
    scripted["sqs"].add_client_error("get_queue_attributes", code)
    assert scripted.inspector.messages("https://sqs/1/work") is None


@pytest.mark.parametrize(
    "code", ["ParameterAlreadyExists", "ParameterPatternMismatchException", "TooManyUpdates"]
)
def test_refusal_past_authorization_proves_write_permission(scripted: Scripted, code: str) -> None:
    asked = {"Name": "/healthwise/token", "Type": "SecureString", "Tier": "Standard", "KeyId": "alias/mine"}
    never_stored = {"Value": "a token", "AllowedPattern": "^$", "Overwrite": False}
    scripted["ssm"].add_client_error("put_parameter", code, expected_params={**asked, **never_stored})
    scripted.inspector.may_write(
        rotation(kms_key_id="alias/mine", tier="Standard"), rotation().parameter_name
    )


def test_status_permission_check_sends_a_plain_string(scripted: Scripted) -> None:
    asked = {"Name": "/healthwise/token/status", "Type": "String"}
    never_stored = {"Value": "a token", "AllowedPattern": "^$", "Overwrite": False}
    scripted["ssm"].add_client_error(
        "put_parameter", "ParameterAlreadyExists", expected_params={**asked, **never_stored}
    )
    scripted.inspector.may_write(rotation(), rotation().status_name)


Look = Callable[[AwsInspector], object]
LOOKS: dict[str, tuple[str, str, Look]] = {
    "identity": ("sts", "get_caller_identity", lambda i: i.identity()),
    "token": ("ssm", "put_parameter", lambda i: i.may_write(rotation(), rotation().parameter_name)),
    "status": ("ssm", "put_parameter", lambda i: i.may_write(rotation(), rotation().status_name)),
    "versions": ("ssm", "get_parameter_history", lambda i: i.versions("/healthwise/token")),
    "key": ("kms", "describe_key", lambda i: i.key("alias/mine")),
    "stack": ("cloudformation", "describe_stacks", lambda i: i.stack("rotator")),
    "stacks": ("cloudformation", "describe_stacks", lambda i: i.stacks()),
    "schedule": ("scheduler", "get_schedule", lambda i: i.schedule("run", "default")),
    "queue": ("sqs", "get_queue_attributes", lambda i: i.messages("https://sqs/1/work")),
    "taker": (
        "lambda",
        "list_event_source_mappings",
        lambda i: i.event_source_mapping("rotator", "https://sqs/1/work"),
    ),
    "log": ("logs", "filter_log_events", lambda i: i.last_event("/log", "run ended", START)),
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("AccessDeniedException", "allow this caller"),
        ("ThrottlingException", "request rate"),
        ("ExpiredTokenException", "renew the AWS credentials"),
        ("SomethingNew", "look up this error code in AWS's documentation"),
    ],
)
def test_error_has_code_and_advice_but_no_aws_message(
    scripted: Scripted, look: str, code: str, advice: str
) -> None:
    service, operation, act = LOOKS[look]
    assert scripted["ssm"], "the identity takes its Region from there"
    scripted[service].add_client_error(operation, code, f"no {CANARY_SECRET}", 400)
    with pytest.raises(RotatorError) as caught:
        act(scripted.inspector)
    assert caught.value.problem.endswith(code)
    assert advice in caught.value.advice
    assert CANARY_SECRET not in reported(caught.value)
    assert foreign(caught.value, RotatorError, AwsError) == []


def test_aws_date_fails_when_aws_is_unreachable(access_key: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    quick = Config(retries={"total_max_attempts": 1})
    inspector = AwsInspector(
        lambda service, _config=None: aws_client.client(service, aws_client.CONFIG.merge(quick))
    )
    with pytest.raises(RotatorError, match="the time of AWS could not be read: Unreachable"):
        inspector.aws_date()


def test_missing_region_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="no AWS Region is set"):
        AwsInspector().identity()
