"""The port Inspector on AWS: the caller's identity, and the parts of a deployment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

from botocore import UNSIGNED, xform_name
from botocore.config import Config

from rotator.adapters.runtime import aws_client, aws_errors, sqs
from rotator.adapters.runtime.aws_client import AwsError
from rotator.config.deployment import EventSourceMapping, Identity, Key, LogEvent, Schedule, Stack
from rotator.errors import RotatorError
from rotator.renewal.models import Rotation

T = TypeVar("T")


class AwsInspector:
    """The port Inspector on AWS. ``client`` creates a client of a service, with an optional Config."""

    def __init__(self, client: Callable[..., Any] = aws_client.client) -> None:
        self._client = cache(client)

    def identity(self) -> Identity:
        """GetCallerIdentity, which no policy can deny; SSM, not STS, needs the Region."""
        region = self._client("ssm").meta.region_name
        identity = self._look_up(
            "sts:GetCallerIdentity",
            "the caller's identity",
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
                raise _failed(error, "the time of AWS", "sts:GetCallerIdentity") from error
        return dates[-1] if dates else None

    def may_write(self, rotation: Rotation, name: str) -> None:
        """PutParameter without Overwrite, which AWS refuses after it checked the permission."""
        # The pattern forbids the value: no parameter is created if it was deleted in the meantime.
        write = {"Name": name, "Value": "a token", "Type": "String", "AllowedPattern": "^$"}
        if name == rotation.parameter_name:
            key = {"KeyId": rotation.kms_key_id} if rotation.kms_key_id else {}
            write |= {"Type": "SecureString", "Tier": rotation.tier, **key}
        self._look_up(
            "ssm:PutParameter",
            f"the parameter {name}",
            read=lambda answer: int(answer["Version"]),
            # The answers to a caller who may write an existing parameter.
            missing=("ParameterAlreadyExists", "ParameterPatternMismatchException", "TooManyUpdates"),
            how="may not be written",
            Overwrite=False,
            **write,
        )

    def versions(self, name: str) -> Mapping[int, Sequence[str]]:
        """GetParameterHistory; no value is decrypted."""
        versions = self._look_up(
            "ssm:GetParameterHistory",
            f"the versions of {name}",
            read=lambda answer: {
                int(each["Version"]): each.get("Labels", []) for each in answer["Parameters"]
            },
            Name=name,
            WithDecryption=False,
        )
        return versions or {}

    def key(self, key_id: str) -> Key | None:
        """DescribeKey."""

        def read(answer: Any) -> Key:
            key = answer["KeyMetadata"]
            return Key(state=key["KeyState"], usage=key["KeyUsage"], spec=key["KeySpec"])

        what = f"the key {key_id}"
        return self._look_up("kms:DescribeKey", what, read=read, missing=["NotFoundException"], KeyId=key_id)

    def stack(self, name: str) -> Stack | None:
        """DescribeStacks of one stack; CloudFormation answers ValidationError if there is none."""
        return self._look_up(
            "cloudformation:DescribeStacks",
            f"the stack {name}",
            read=lambda answer: _stack(answer["Stacks"][0]),
            missing=["ValidationError"],
            StackName=name,
        )

    def stacks(self) -> Sequence[Stack]:
        """DescribeStacks."""
        stacks = self._look_up(
            "cloudformation:DescribeStacks",
            "the stacks",
            read=lambda answer: [_stack(each) for each in answer["Stacks"]],
        )
        return stacks or []

    def schedule(self, name: str, group: str) -> Schedule | None:
        """GetSchedule of a schedule in a group."""
        return self._look_up(
            "scheduler:GetSchedule",
            f"the schedule {name}",
            read=lambda answer: Schedule(
                enabled=answer["State"] == "ENABLED",
                expression=answer["ScheduleExpression"],
                target=answer["Target"]["Arn"],
            ),
            missing=["ResourceNotFoundException"],
            Name=name,
            GroupName=group,
        )

    def messages(self, queue_url: str) -> int | None:
        """GetQueueAttributes; the number is approximate."""
        return self._look_up(
            "sqs:GetQueueAttributes",
            f"the queue {queue_url.rpartition('/')[2]}",
            read=lambda answer: int(answer["Attributes"]["ApproximateNumberOfMessages"]),
            missing=sqs.GONE,
            QueueUrl=queue_url,
            AttributeNames=["ApproximateNumberOfMessages"],
        )

    def event_source_mapping(self, function: str, queue_url: str) -> EventSourceMapping | None:
        """ListEventSourceMappings; the queue's name is the last part of its URL and of its ARN."""
        mappings = self._look_up(
            "lambda:ListEventSourceMappings",
            f"the event source mappings of the function {function}",
            read=lambda answer: [
                EventSourceMapping(
                    id=each["UUID"],
                    state=each["State"],
                    maximum_concurrency=each.get("ScalingConfig", {}).get("MaximumConcurrency"),
                )
                for each in answer["EventSourceMappings"]
                if each.get("EventSourceArn", "").rpartition(":")[2] == queue_url.rpartition("/")[2]
            ],
            FunctionName=function,
        )
        return mappings[0] if mappings else None

    def subscriptions(self, topic_arn: str) -> Sequence[bool]:
        """ListSubscriptionsByTopic; only confirmed subscriptions that exist have an ARN."""
        confirmed = self._look_up(
            "sns:ListSubscriptionsByTopic",
            f"the subscriptions of the topic {topic_arn.rpartition(':')[2]}",
            read=lambda answer: [
                each["SubscriptionArn"].startswith("arn:") for each in answer["Subscriptions"]
            ],
            TopicArn=topic_arn,
        )
        return confirmed or []

    def last_event(self, log_group: str, words: str, since: datetime) -> LogEvent | None:
        """FilterLogEvents; its times are milliseconds since 1970."""
        events = self._look_up(
            "logs:FilterLogEvents",
            f"the log {log_group}",
            read=lambda answer: [
                LogEvent(at=datetime.fromtimestamp(each["timestamp"] / 1000, UTC), message=each["message"])
                for each in answer["events"]
            ],
            logGroupName=log_group,
            filterPattern=f'"{words}"',
            startTime=int(since.timestamp() * 1000),
        )
        return max(events or [], key=lambda event: event.at, default=None)

    def _look_up(
        self,
        action: str,
        what: str,
        *,
        read: Callable[[Any], T],
        missing: Collection[str] = (),
        how: str = "could not be read",
        **parameters: Any,
    ) -> T | None:
        """Return the result of ``read`` for the answer of a call, with all its pages.

        The ``action`` names service, operation and permission. After a code in ``missing``, None is returned;
        any other error is a RotatorError that begins with ``what`` and ``how``.
        """
        service, _, operation = action.partition(":")
        client, method = self._client(service), xform_name(operation)

        def call() -> Any:
            if client.can_paginate(method):
                return client.get_paginator(method).paginate(**parameters).build_full_result()
            return getattr(client, method)(**parameters)

        try:
            return aws_client.call(call, read=read)
        except AwsError as error:
            if error.code in missing:
                return None
            raise _failed(error, what, action, how) from error


def _failed(error: AwsError, what: str, action: str, how: str = "could not be read") -> RotatorError:
    gone = (
        "it does not exist in this account and Region: create it, or deploy with the name or ARN of another"
    )
    own = {  # NotFound: no such topic; ResourceNotFoundException: no such log group or function
        **dict.fromkeys(("NotFound", "ResourceNotFoundException"), gone),
        **dict.fromkeys(aws_errors.DENIED, f"allow this caller {action}"),
    }
    return RotatorError(f"{what} {how}: {error.code}", advice=error.advice_with(own), retry=error.retry)


def _stack(found: Mapping[str, Any]) -> Stack:
    """Return a stack; AWS does not return the value of some parameters."""
    outputs, parameters = (
        {each[f"{kind}Key"]: each.get(f"{kind}Value", "") for each in found.get(f"{kind}s", ())}
        for kind in ("Output", "Parameter")
    )
    return Stack(name=found["StackName"], outputs=outputs, parameters=parameters)
