"""From the function's log line to a notification: metrics, alarm and topic of a deployed stack.

The embedded AWS reads no metrics out of logs, so the test carries them over as CloudWatch would. It
compares a statistic with a threshold; periods and missing data are tests/infra/test_alarms.py's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

import embedded_metrics
from deployed_stack import SECRET_NAME, Deployed


@pytest.fixture(scope="module")
def outputs(deployed: Deployed) -> dict[str, str]:
    """A stack that made a topic for an address."""
    called = {"AlarmEmail": "on-call@example.com", "RunbookUrl": "https://wiki.example.com/rotator"}
    return deployed.account.create_stack({**deployed.one, **called}, stack="called")


@pytest.fixture(scope="module")
def phone(deployed: Deployed, outputs: dict[str, str]) -> Callable[[], list[dict[str, str]]]:
    """What alarms have said to a queue that listens to the stack's topic, each read once."""
    topic, sqs = outputs["AlarmTopicArn"], deployed.account.client("sqs")
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    queue = sqs.create_queue(QueueName="phone")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {"Version": "2012-10-17", "Statement": [{**allow, "Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    deployed.account.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def read() -> list[dict[str, str]]:
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(json.loads(message["Body"])["Message"]) for message in found]

    return read


def carry_over(deployed: Deployed, outputs: dict[str, str], since: float) -> dict[str, float]:
    """Give CloudWatch the metrics of the function's log since then; returns them."""
    cloudwatch = deployed.account.client("cloudwatch")
    printed = "\n".join(deployed.account.log_lines(outputs["LogGroupName"], since=since))
    reported: dict[str, float] = {}
    for each in embedded_metrics.read(printed):
        dimensions = [{"Name": name, "Value": value} for name, value in each.dimensions.items()]
        data = [{"MetricName": n, "Value": v, "Dimensions": dimensions} for n, v in each.metrics.items()]
        assert dimensions == [{"Name": "service", "Value": outputs["FunctionName"]}]
        cloudwatch.put_metric_data(Namespace="Rotator", MetricData=data)
        reported |= each.metrics
    return reported


def state(deployed: Deployed, alarm: str) -> str:
    [found] = deployed.account.client("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    return str(found["StateValue"])


def test_failed_renewal_notifies_on_call_with_a_runbook_link(
    deployed: Deployed, outputs: dict[str, str], phone: Callable[[], list[dict[str, str]]]
) -> None:
    secrets = deployed.account.client("secretsmanager")
    good = secrets.get_secret_value(SecretId=SECRET_NAME)["SecretString"]
    begin = time.time()
    secrets.put_secret_value(SecretId=SECRET_NAME, SecretString="{}")
    assert "has no client_id" in str(deployed.force(outputs))
    secrets.put_secret_value(SecretId=SECRET_NAME, SecretString=good)
    reported = carry_over(deployed, outputs, begin)
    assert (reported["FailedLate"], reported["TokenSecondsRemaining"], reported["CredentialsError"]) == (
        1,
        0,
        1,
    )
    assert state(deployed, "called-failing-late") == "ALARM"
    assert state(deployed, "called-token-ends-soon") == "ALARM"
    said = {each["AlarmName"]: each for each in phone()}
    assert said.keys() == {"called-failing-late", "called-token-ends-soon"}
    late = said["called-failing-late"]
    assert late["NewStateValue"] == "ALARM"
    assert late["AlarmDescription"].endswith("Runbook: https://wiki.example.com/rotator/failing-late.md")


def test_undelivered_event_notifies_on_call(
    deployed: Deployed, outputs: dict[str, str], phone: Callable[[], list[dict[str, str]]]
) -> None:
    name = outputs["DeadLetterQueueUrl"].rpartition("/")[2]
    deployed.account.client("cloudwatch").put_metric_data(
        Namespace="AWS/SQS",
        MetricData=[
            {
                "MetricName": "NumberOfMessagesSent",
                "Value": 1,
                "Dimensions": [{"Name": "QueueName", "Value": name}],
            }
        ],
    )
    assert [each["AlarmName"] for each in phone()] == ["called-undelivered"]


def test_renewed_token_lifetime_is_above_the_alarm_threshold(
    deployed: Deployed, outputs: dict[str, str]
) -> None:
    begin = time.time()
    assert deployed.force(outputs)["rotated"] == 1
    cloudwatch = deployed.account.client("cloudwatch")
    [alarm] = cloudwatch.describe_alarms(AlarmNames=["called-token-ends-soon"])["MetricAlarms"]
    reported = carry_over(deployed, outputs, begin)
    assert reported[alarm["MetricName"]] > alarm["Threshold"]
    assert (reported["FailedLate"], reported["TokenRequests"]) == (0, 1)
