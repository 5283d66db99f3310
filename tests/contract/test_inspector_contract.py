"""The behaviour that the doctor needs of AWS: the fake and the adapters have it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from typing import Any, Protocol
from zipfile import ZipFile

import pytest
from botocore.session import get_session

from fake_ports import CANARY_TOKEN, Clock, FakeInspector, rotation
from rotator.adapters.operator.inspector import AwsInspector
from rotator.adapters.runtime import aws_client
from rotator.config.deployment import (
    EventSourceMapping,
    Inspector,
    Key,
    LogEvent,
    Schedule,
    Stack,
)
from rotator.devstack.aws_emulators import ACCOUNT, ADMINISTRATOR, client_environment
from rotator.devstack.deployment import Account
from rotator.errors import RotatorError
from rotator.oauth.dates import http_date
from rotator.renewal.models import Rotation

NOW = datetime.now(UTC).replace(microsecond=0)
TARGET = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:ticked"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:on-call"
ENABLED = Key(state="Enabled", usage="ENCRYPT_DECRYPT", spec="SYMMETRIC_DEFAULT")


class Backend(Protocol):
    """AWS with an inspector, and how things come to be there."""

    @property
    def inspector(self) -> Inspector: ...

    def add_key(self, key: Key) -> str: ...

    def add_stack(self, stack: Stack) -> None: ...

    def add_schedule(self, name: str, group: str, schedule: Schedule) -> None: ...

    def add_log(self, name: str, *events: LogEvent) -> None: ...

    def add_queue(self, *messages: str) -> str: ...

    def add_taker(self, function: str, queue: str, maximum_concurrency: int) -> EventSourceMapping: ...

    def add_topic(self, *endpoints: str) -> str: ...

    def add_parameters(self, rotation: Rotation) -> Callable[[], object]: ...

    def add_versions(self, name: str, *labels: str) -> None: ...

    def deny(self, action: str, method: str) -> None: ...


@dataclass
class FakeWorld:
    inspector: FakeInspector = field(default_factory=lambda: FakeInspector(Clock(NOW)))

    def add_key(self, key: Key) -> str:
        self.inspector.keys["a-key"] = key
        return "a-key"

    def add_stack(self, stack: Stack) -> None:
        self.inspector.all_stacks.append(stack)

    def add_schedule(self, name: str, group: str, schedule: Schedule) -> None:
        self.inspector.schedules[group, name] = schedule

    def add_log(self, name: str, *events: LogEvent) -> None:
        self.inspector.logs[name] = list(events)

    def add_queue(self, *messages: str) -> str:
        url = f"https://sqs/1/{unique('queue')}"
        self.inspector.queues[url] = len(messages)
        return url

    def add_taker(self, function: str, queue: str, maximum_concurrency: int) -> EventSourceMapping:
        event_source_mapping = EventSourceMapping(
            id="an-id", state="Disabled", maximum_concurrency=maximum_concurrency
        )
        self.inspector.takers[function, queue] = event_source_mapping
        return event_source_mapping

    def add_topic(self, *endpoints: str) -> str:
        topic = f"arn:aws:sns:us-east-1:{ACCOUNT}:{unique('topic')}"
        self.inspector.topics[topic] = [True for _ in endpoints]
        return topic

    def add_parameters(self, rotation: Rotation) -> Callable[[], object]:
        return lambda: None

    def add_versions(self, name: str, *labels: str) -> None:
        self.inspector.kept_versions[name] = {
            number: (label,) if label else () for number, label in enumerate(labels, start=1)
        }

    def deny(self, action: str, method: str) -> None:
        self.inspector.fails[method] = RotatorError("AccessDenied", advice=f"allow {action}")


@dataclass
class AwsWorld:
    account: Account
    become: Callable[[Mapping[str, str]], None]

    def __post_init__(self) -> None:
        self.inspector: Inspector = AwsInspector()

    def add_key(self, key: Key) -> str:
        kms = self.account.client("kms")
        made: str = kms.create_key(KeySpec=key.spec, KeyUsage=key.usage)["KeyMetadata"]["KeyId"]
        if key.state == "Disabled":
            kms.disable_key(KeyId=made)
        return made

    def add_stack(self, stack: Stack) -> None:
        made = {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "x"}}
        outputs = {name: {"Value": value} for name, value in stack.outputs.items()}
        cloudformation = self.account.client("cloudformation")
        template = json.dumps({"Resources": {"Parameter": made}, "Outputs": outputs})
        cloudformation.create_stack(StackName=stack.name, TemplateBody=template)
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=stack.name, WaiterConfig={"Delay": 1}
        )

    def add_schedule(self, name: str, group: str, schedule: Schedule) -> None:
        scheduler = self.account.client("scheduler")
        scheduler.create_schedule_group(Name=group)
        scheduler.create_schedule(
            Name=name,
            GroupName=group,
            ScheduleExpression=schedule.expression,
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": schedule.target, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/run"},
            State="ENABLED" if schedule.enabled else "DISABLED",
        )

    def add_log(self, name: str, *events: LogEvent) -> None:
        logs = self.account.client("logs")
        logs.create_log_group(logGroupName=name)
        logs.create_log_stream(logGroupName=name, logStreamName="stream")
        reported = [{"timestamp": int(e.at.timestamp() * 1000), "message": e.message} for e in events]
        logs.put_log_events(logGroupName=name, logStreamName="stream", logEvents=reported)

    def add_queue(self, *messages: str) -> str:
        sqs = self.account.client("sqs")
        url = str(sqs.create_queue(QueueName=unique("queue"))["QueueUrl"])
        for message in messages:
            sqs.send_message(QueueUrl=url, MessageBody=message)
        return url

    def add_taker(self, function: str, queue: str, maximum_concurrency: int) -> EventSourceMapping:
        """A mapping that is turned off, to a function that does nothing."""
        client, code = self.account.client("lambda"), BytesIO()
        with ZipFile(code, "w") as archive:
            archive.writestr("index.py", "")
        client.create_function(
            FunctionName=function,
            Runtime="python3.13",
            Role=self._role({"Service": "lambda.amazonaws.com"})[1],
            Handler="index.handler",
            Code={"ZipFile": code.getvalue()},
        )
        made = client.create_event_source_mapping(
            FunctionName=function,
            EventSourceArn=f"arn:aws:sqs:us-east-1:{ACCOUNT}:{queue.rpartition('/')[2]}",
            ScalingConfig={"MaximumConcurrency": maximum_concurrency},
            Enabled=False,
        )
        return EventSourceMapping(id=made["UUID"], state="Disabled", maximum_concurrency=maximum_concurrency)

    def add_topic(self, *endpoints: str) -> str:
        """A topic with queues, which need not confirm."""
        sns = self.account.client("sns")
        topic = str(sns.create_topic(Name=unique("topic"))["TopicArn"])
        for endpoint in endpoints:
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=endpoint)
        return topic

    def add_parameters(self, rotation: Rotation) -> Callable[[], object]:
        ssm = self.account.client("ssm")
        ssm.put_parameter(Name=rotation.parameter_name, Value=CANARY_TOKEN, Type="SecureString")
        ssm.put_parameter(Name=rotation.status_name, Value="{}", Type="String")
        names = [rotation.parameter_name, rotation.status_name]
        return lambda: ssm.get_parameters(Names=names, WithDecryption=True)["Parameters"]

    def add_versions(self, name: str, *labels: str) -> None:
        ssm = self.account.client("ssm")
        for number, label in enumerate(labels, start=1):
            ssm.put_parameter(Name=name, Value=CANARY_TOKEN, Type="SecureString", Overwrite=True)
            if label:
                ssm.label_parameter_version(Name=name, ParameterVersion=number, Labels=[label])

    def deny(self, action: str, method: str) -> None:
        """Look on as a role that may do everything but this."""
        iam, (role, arn) = self.account.client("iam"), self._role({"AWS": ACCOUNT})
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        denied = {"Effect": "Deny", "Action": action, "Resource": "*"}
        iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=_policy(everything, denied))
        session = self.account.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        self.become(
            {
                "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
                "AWS_SESSION_TOKEN": session["SessionToken"],
            }
        )
        self.inspector = AwsInspector()

    def _role(self, principal: dict[str, str]) -> tuple[str, str]:
        """Create a role that this principal may be; return its name and ARN."""
        trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        iam, name = self.account.client("iam"), unique("role")
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))
        return name, made["Role"]["Arn"]


def _policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def unique(name: str) -> str:
    """A name that no other test uses: they share one account."""
    return f"{name}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def aws_world(ministack_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> AwsWorld:
    def become(credentials: Mapping[str, str]) -> None:
        for name, value in client_environment(ministack_endpoint, credentials).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(aws_client, "session", cache(get_session))

    become(ADMINISTRATOR)
    return AwsWorld(Account(ministack_endpoint, ADMINISTRATOR), become)


@pytest.fixture(params=["fake", "aws"])
def world(request: pytest.FixtureRequest) -> Backend:
    if request.param == "fake":
        return FakeWorld()
    chosen: Backend = request.getfixturevalue("aws_world")
    return chosen


def test_identity_has_account_arn_and_region(world: Backend) -> None:
    caller = world.inspector.identity()
    assert len(caller.account) == 12
    assert f"::{caller.account}:" in caller.arn
    assert caller.region == "us-east-1"


def test_aws_date_is_the_current_time(world: Backend) -> None:
    time = http_date(world.inspector.aws_date() or "")
    assert time
    minutes = timedelta(minutes=10)
    assert NOW - minutes < time < datetime.now(UTC) + minutes  # the fake's time is NOW


def test_aws_date_is_available_with_unknown_credentials(aws_world: AwsWorld) -> None:
    aws_world.become({"AWS_ACCESS_KEY_ID": "AKIANOBODY", "AWS_SECRET_ACCESS_KEY": "nothing"})
    inspector = AwsInspector()
    with pytest.raises(RotatorError, match="InvalidClientTokenId"):
        inspector.identity()
    assert http_date(inspector.aws_date() or "")


def test_aws_date_is_available_without_credentials(
    aws_world: AwsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ADMINISTRATOR:
        monkeypatch.delenv(name)
    inspector = AwsInspector()
    with pytest.raises(RotatorError, match="NoCredentials"):
        inspector.identity()
    assert http_date(inspector.aws_date() or "")


def test_write_permission_check_passes_and_writes_nothing(world: Backend) -> None:
    inspected = rotation(parameter_name=f"/{unique('inspected')}/token")
    stored = world.add_parameters(inspected)
    before = stored()
    world.inspector.may_write(inspected, inspected.parameter_name)
    world.inspector.may_write(inspected, inspected.status_name)
    assert stored() == before


def test_versions_of_a_parameter_have_their_labels(world: Backend) -> None:
    name = f"/{unique('versions')}"
    world.add_versions(name, "", "live", "")
    found = {number: tuple(labels) for number, labels in world.inspector.versions(name).items()}
    assert found == {1: (), 2: ("live",), 3: ()}


@pytest.mark.parametrize(
    "key",
    [
        ENABLED,
        Key(state="Disabled", usage="ENCRYPT_DECRYPT", spec="SYMMETRIC_DEFAULT"),
        Key(state="Enabled", usage="SIGN_VERIFY", spec="RSA_2048"),
    ],
)
def test_a_key_is_described(world: Backend, key: Key) -> None:
    assert world.inspector.key(world.add_key(key)) == key


def test_missing_key_stack_and_schedule_are_none(world: Backend) -> None:
    inspector, nothing = world.inspector, unique("nothing")
    assert inspector.key(f"alias/{nothing}") is None
    assert inspector.stack(nothing) is None
    assert inspector.schedule(nothing, "default") is None


def test_stack_is_found_by_name_and_in_the_list(world: Backend) -> None:
    stack = Stack(name=unique("stack"), outputs={"ParameterName": "/a/token", "ScheduleName": "run"})
    other = Stack(name=unique("other"), outputs={})
    for each in (stack, other):
        world.add_stack(each)
    assert world.inspector.stack(stack.name) == stack
    stacks = world.inspector.stacks()
    assert stack in stacks
    assert other in stacks


@pytest.mark.parametrize("enabled", [True, False])
def test_a_schedule_is_described(world: Backend, enabled: bool) -> None:
    schedule = Schedule(enabled=enabled, expression="rate(5 minutes)", target=TARGET)
    name, group = unique("schedule"), unique("group")
    world.add_schedule(name, group, schedule)
    assert world.inspector.schedule(name, group) == schedule
    assert world.inspector.schedule(name, "default") is None


def test_newest_event_with_the_given_text_is_found(world: Backend) -> None:
    log, at = unique("/log"), [NOW - timedelta(minutes=minutes) for minutes in (9, 6, 3, 1)]
    events = [
        LogEvent(at=at[0], message="run ended: first"),
        LogEvent(at=at[1], message="INFO run ended: second"),
        LogEvent(at=at[2], message='{"message": "run ended: third"}'),
        LogEvent(at=at[3], message="something else ended"),
    ]
    world.add_log(log, *events)
    inspector = world.inspector
    assert inspector.last_event(log, "run ended", NOW - timedelta(minutes=30)) == events[2]
    assert inspector.last_event(log, "run ended", at[2] + timedelta(seconds=1)) is None


def test_queue_messages_are_counted_and_missing_queue_is_none(world: Backend) -> None:
    empty, full = world.add_queue(), world.add_queue("one", "two")
    gone = full.rpartition("/")[0] + "/gone"
    assert [world.inspector.messages(queue) for queue in (empty, full, gone)] == [0, 2, None]


def test_event_source_mapping_is_found_by_function_and_queue(world: Backend) -> None:
    queue, other = world.add_queue(), world.add_queue()
    event_source_mapping = world.add_taker("worker", queue, maximum_concurrency=3)
    assert world.inspector.event_source_mapping("worker", queue) == event_source_mapping
    assert world.inspector.event_source_mapping("worker", other) is None
    assert world.inspector.event_source_mapping("another", queue) is None


def test_subscriptions_of_a_topic_are_listed(world: Backend) -> None:
    queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:on-call"
    assert world.inspector.subscriptions(world.add_topic()) == []
    assert world.inspector.subscriptions(world.add_topic(queue)) == [True]


@pytest.mark.parametrize(
    ("action", "method", "look"),
    [
        ("ssm:PutParameter", "may_write_token", lambda i: i.may_write(rotation(), rotation().parameter_name)),
        ("ssm:PutParameter", "may_write_status", lambda i: i.may_write(rotation(), rotation().status_name)),
        ("kms:DescribeKey", "key", lambda i: i.key("alias/aws/ssm")),
        ("cloudformation:DescribeStacks", "stack", lambda i: i.stack("rotator")),
        ("cloudformation:DescribeStacks", "stacks", lambda i: i.stacks()),
        ("scheduler:GetSchedule", "schedule", lambda i: i.schedule("run", "default")),
        ("sqs:GetQueueAttributes", "messages", lambda i: i.messages("https://sqs/1/work")),
        (
            "lambda:ListEventSourceMappings",
            "taker",
            lambda i: i.event_source_mapping("worker", "https://sqs/1/work"),
        ),
        ("sns:ListSubscriptionsByTopic", "subscriptions", lambda i: i.subscriptions(TOPIC)),
        ("logs:FilterLogEvents", "last_event", lambda i: i.last_event("/log", "run ended", NOW)),
    ],
)
def test_denied_call_names_the_missing_permission(
    world: Backend, action: str, method: str, look: Callable[[Inspector], object]
) -> None:
    world.deny(action, method)
    with pytest.raises(RotatorError, match=r"AccessDenied|AuthorizationError") as caught:
        look(world.inspector)
    assert action in caught.value.advice
