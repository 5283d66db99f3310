"""The port Inspector on AWS: the caller's identity, and the parts of a deployment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore import UNSIGNED
from botocore.config import Config

from rotator.adapters.operator import aws_lookup
from rotator.adapters.runtime import aws_client, aws_errors, sqs
from rotator.adapters.runtime.aws_client import AwsError
from rotator.config.deployment import (
    EventSourceMapping,
    Identity,
    Key,
    LogEvent,
    ParameterVersion,
    Schedule,
    Stack,
    Subscription,
)
from rotator.renewal.models import Rotation

_MAY_WRITE = frozenset({"ParameterAlreadyExists", "ParameterPatternMismatchException", "TooManyUpdates"})
"""The answers of PutParameter, without Overwrite, to a caller who may write an existing parameter."""

_REFUSED_ANYWAY: dict[str, Any] = {"Value": "a token", "AllowedPattern": "^$", "Overwrite": False}
"""A value that its own pattern forbids, so that no parameter is created if it was deleted in the meantime."""


class AwsInspector:
    """The port Inspector on AWS. ``client`` creates a client of a service, with an optional Config."""

    def __init__(self, client: Callable[..., Any] = aws_client.client) -> None:
        self._client = cache(client)

    def identity(self) -> Identity:
        """GetCallerIdentity, which no policy can deny; SSM, not STS, needs the Region."""
        region = self._client("ssm").meta.region_name
        get = self._client("sts").get_caller_identity
        identity = aws_lookup.look_up(
            get,
            "the caller's identity",
            "sts:GetCallerIdentity",
            read=lambda answer: Identity(account=answer["Account"], arn=answer["Arn"], region=region),
        )
        assert identity  # noqa: S101 - every caller has one
        return identity

    def aws_date(self) -> str | None:
        """GetCallerIdentity without a signature: AWS's refusal has a date even if clock or key are wrong."""
        dates: list[str | None] = []

        def remember(http_response: Any, **_: Any) -> None:
            dates.append(http_response.headers.get("Date"))

        sts = self._client("sts", aws_client.CONFIG.merge(Config(signature_version=UNSIGNED)))
        sts.meta.events.register("after-call", remember)
        try:
            aws_client.call(sts.get_caller_identity, read=lambda answer: answer["Account"])
        except AwsError as error:
            if not dates or error.code == aws_errors.NOT_AN_ANSWER:
                raise aws_lookup.failed(error, "the time of AWS", "sts:GetCallerIdentity") from error
        return dates[-1] if dates else None

    def may_write_token(self, rotation: Rotation) -> None:
        """PutParameter of the token without Overwrite, which AWS refuses after it checked the permission."""
        key = {"KeyId": rotation.kms_key_id} if rotation.kms_key_id else {}
        self._may_write(rotation.parameter_name, Type="SecureString", Tier=rotation.tier, **key)

    def may_write_status(self, rotation: Rotation) -> None:
        """PutParameter of the status without Overwrite."""
        self._may_write(rotation.status_name, Type="String")

    def may_write_lease(self, rotation: Rotation) -> None:
        """PutParameter of the lease without Overwrite."""
        self._may_write(rotation.lease_name, Type="String")

    def versions(self, name: str) -> Sequence[ParameterVersion]:
        """GetParameterHistory, page by page; no value is decrypted."""
        return aws_lookup.look_up_pages(
            self._client("ssm").get_parameter_history,
            "NextToken",
            f"the versions of {name}",
            "ssm:GetParameterHistory",
            read=lambda answer: map(_version, answer["Parameters"]),
            Name=name,
            WithDecryption=False,
        )

    def key(self, key_id: str) -> Key | None:
        """DescribeKey."""
        return aws_lookup.look_up(
            self._client("kms").describe_key,
            f"the key {key_id}",
            "kms:DescribeKey",
            read=lambda answer: _key(answer["KeyMetadata"]),
            missing={"NotFoundException"},
            KeyId=key_id,
        )

    def stack(self, name: str) -> Stack | None:
        """DescribeStacks of one stack; CloudFormation answers ValidationError if there is none."""
        return aws_lookup.look_up(
            self._client("cloudformation").describe_stacks,
            f"the stack {name}",
            "cloudformation:DescribeStacks",
            read=lambda answer: _stack(answer["Stacks"][0]),
            missing={"ValidationError"},
            StackName=name,
        )

    def stacks(self) -> Sequence[Stack]:
        """DescribeStacks, page by page."""
        return aws_lookup.look_up_pages(
            self._client("cloudformation").describe_stacks,
            "NextToken",
            "the stacks",
            "cloudformation:DescribeStacks",
            read=lambda answer: map(_stack, answer["Stacks"]),
        )

    def schedule(self, name: str, group: str) -> Schedule | None:
        """GetSchedule of a schedule in a group."""
        return aws_lookup.look_up(
            self._client("scheduler").get_schedule,
            f"the schedule {name}",
            "scheduler:GetSchedule",
            read=_schedule,
            missing={"ResourceNotFoundException"},
            Name=name,
            GroupName=group,
        )

    def messages(self, queue_url: str) -> int | None:
        """GetQueueAttributes; the number is approximate."""
        return aws_lookup.look_up(
            self._client("sqs").get_queue_attributes,
            f"the queue {_name(queue_url)}",
            "sqs:GetQueueAttributes",
            read=lambda answer: int(answer["Attributes"]["ApproximateNumberOfMessages"]),
            missing=sqs.GONE,
            QueueUrl=queue_url,
            AttributeNames=["ApproximateNumberOfMessages"],
        )

    def event_source_mapping(self, function: str, queue_url: str) -> EventSourceMapping | None:
        """ListEventSourceMappings, page by page."""
        mappings = aws_lookup.look_up_pages(
            self._client("lambda").list_event_source_mappings,
            "NextMarker",
            f"the event source mappings of the function {function}",
            "lambda:ListEventSourceMappings",
            read=lambda answer: _mappings(answer, _name(queue_url)),
            marker="Marker",
            FunctionName=function,
        )
        return mappings[0] if mappings else None

    def subscriptions(self, topic_arn: str) -> Sequence[Subscription]:
        """ListSubscriptionsByTopic, page by page."""
        return aws_lookup.look_up_pages(
            self._client("sns").list_subscriptions_by_topic,
            "NextToken",
            f"the subscriptions of the topic {topic_arn.rpartition(':')[2]}",
            "sns:ListSubscriptionsByTopic",
            read=lambda answer: map(_subscription, answer["Subscriptions"]),
            TopicArn=topic_arn,
        )

    def last_event(self, log_group: str, words: str, since: datetime) -> LogEvent | None:
        """FilterLogEvents, page by page; its times are milliseconds since 1970."""
        events = aws_lookup.look_up_pages(
            self._client("logs").filter_log_events,
            "nextToken",
            f"the log {log_group}",
            "logs:FilterLogEvents",
            read=lambda answer: map(_log_event, answer["events"]),
            logGroupName=log_group,
            filterPattern=f'"{words}"',
            startTime=int(since.timestamp() * 1000),
        )
        return max(events, key=lambda event: event.at, default=None)

    def _may_write(self, name: str, **parameters: Any) -> None:
        put = self._client("ssm").put_parameter
        try:
            aws_client.call(
                put, read=lambda answer: int(answer["Version"]), Name=name, **_REFUSED_ANYWAY, **parameters
            )
        except AwsError as error:
            if error.code in _MAY_WRITE:
                return
            raise aws_lookup.failed(
                error, f"the parameter {name}", "ssm:PutParameter", "may not be written"
            ) from error


def _version(found: Mapping[str, Any]) -> ParameterVersion:
    return ParameterVersion(number=int(found["Version"]), labels=tuple(found.get("Labels", ())))


def _key(found: Mapping[str, Any]) -> Key:
    return Key(state=found["KeyState"], usage=found["KeyUsage"], spec=found["KeySpec"])


def _schedule(found: Mapping[str, Any]) -> Schedule:
    return Schedule(
        enabled=found["State"] == "ENABLED",
        expression=found["ScheduleExpression"],
        target=found["Target"]["Arn"],
    )


def _mappings(answer: Mapping[str, Any], queue: str) -> Iterator[EventSourceMapping]:
    """Yield the event source mappings from the queue of this name."""
    for found in answer["EventSourceMappings"]:
        if found.get("EventSourceArn", "").rpartition(":")[2] == queue:
            maximum_concurrency = found.get("ScalingConfig", {}).get("MaximumConcurrency")
            yield EventSourceMapping(
                id=found["UUID"], state=found["State"], maximum_concurrency=maximum_concurrency
            )


def _subscription(found: Mapping[str, Any]) -> Subscription:
    """Return a subscription; AWS returns no ARN before its confirmation and after its deletion."""
    return Subscription(protocol=found["Protocol"], confirmed=found["SubscriptionArn"].startswith("arn:"))


def _log_event(found: Mapping[str, Any]) -> LogEvent:
    return LogEvent(at=datetime.fromtimestamp(found["timestamp"] / 1000, UTC), message=found["message"])


def _stack(found: Mapping[str, Any]) -> Stack:
    return Stack(
        name=found["StackName"], outputs=_named(found, "Output"), parameters=_named(found, "Parameter")
    )


def _name(queue_url: str) -> str:
    """Return the queue's name, the last part of its URL and of its ARN."""
    return queue_url.rpartition("/")[2]


def _named(stack: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Return a stack's outputs or parameters by name; AWS does not return the value of some parameters."""
    return {each[f"{kind}Key"]: each.get(f"{kind}Value", "") for each in stack.get(f"{kind}s", ())}
