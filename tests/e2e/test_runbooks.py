"""Each runbook on a deployed stack: its cause, its first three commands, its fix, and what that changes.

The commands are run as they are printed. The embedded AWS has no CloudTrail, and evaluates no alarm of
missing data: tests/infra/test_alarms.py does.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

import embedded_metrics
import guides
from conftest import CHECKOUT
from consumer_stack import Gateway
from deployed_stack import SECRET_NAME, Deployed
from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.http_server import serving

STACK = "rotator"
REPLICA_REGION = "eu-west-1"
NOT_EMBEDDED = "aws cloudtrail "
"""What the embedded AWS does not have."""


@dataclass(frozen=True)
class OnCall:
    """A person with a terminal who follows the runbooks of a stack."""

    deployed: Deployed
    outputs: dict[str, str]
    environment: Mapping[str, str]

    def run(self, command: str) -> str:
        """Run a command as it is printed, and return its output; a check that fails has the exit code 1."""
        logs = f"{sys.executable} -m infra.logs"  # the checkout may have no .venv
        here = re.sub(r"^make logs (STACK=\w+)$", rf"\1 {logs}", command)
        here = re.sub(r"^\.venv/bin/rotator ", "rotator ", here)
        here = here.replace("aws sqs", 'aws --endpoint-url "$AWS_ENDPOINT_URL" sqs')  # or CLI 1 calls AWS
        here = here.replace("--function ...", f"--function {self.outputs['FunctionName']}")
        done = subprocess.run(
            ["sh", "-c", here],
            env=dict(self.environment),
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def first_three(self, runbook: str) -> str:
        """Run the first three commands of a runbook, and return what they print."""
        commands = self.commands(runbook, "First three commands")
        assert len(commands) == 3
        return "\n".join(self.run(each) for each in commands if not each.startswith(NOT_EMBEDDED))

    def commands(self, runbook: str, part: str) -> list[str]:
        """Return the commands in the blocks of a runbook's part."""
        return guides.commands_of(guides.section(guides.text(f"runbooks/{runbook}.md"), part))

    def metrics(self, since: float) -> dict[str, float]:
        """Return the metrics that the function has reported since a time."""
        printed = "\n".join(self.deployed.account.log_lines(self.outputs["LogGroupName"], since=since))
        return {
            name: value for each in embedded_metrics.read(printed) for name, value in each.metrics.items()
        }

    def threshold(self, alarm: str) -> float:
        """Return the threshold of one of the stack's alarms."""
        cloudwatch = self.deployed.account.client("cloudwatch")
        [found] = cloudwatch.describe_alarms(AlarmNames=[f"{STACK}-{alarm}"])["MetricAlarms"]
        return float(found["Threshold"])


@pytest.fixture(scope="module")
def on_call(deployed: Deployed, clean_environment: Mapping[str, str]) -> OnCall:
    settings = {"AlarmEmail": "on-call@example.com", "ReplicaRegions": REPLICA_REGION}
    parameters = {**deployed.one, **settings}
    outputs = deployed.account.create_stack(parameters, stack=STACK)
    variables = {
        "ALARM_TOPIC_ARN": outputs["AlarmTopicArn"],
        "DEAD_LETTER_QUEUE_URL": outputs["DeadLetterQueueUrl"],
    }
    environment = {**clean_environment, **client_environment(deployed.account.endpoint), **variables}
    return OnCall(deployed, outputs, environment)


@pytest.fixture
def wrong_secret(on_call: OnCall) -> Iterator[str]:
    """Give the secret a wrong form; yields the right one."""
    secrets = on_call.deployed.account.client("secretsmanager")
    good = secrets.get_secret_value(SecretId=SECRET_NAME)["SecretString"]
    secrets.put_secret_value(SecretId=SECRET_NAME, SecretString="{}")
    try:
        yield good
    finally:
        secrets.put_secret_value(SecretId=SECRET_NAME, SecretString=good)


def test_failing_renewals_are_found_and_clear_after_the_fix(on_call: OnCall, wrong_secret: str) -> None:
    begin = time.time()
    on_call.deployed.force(on_call.outputs)
    reported = on_call.metrics(begin)
    assert reported["FailedLate"] >= on_call.threshold("failing-late")
    assert reported["TokenSecondsRemaining"] < on_call.threshold("token-ends-soon")
    for runbook in ("token-ends-soon", "failing-late"):
        printed = on_call.first_three(runbook)
        assert "missing" in printed
        assert "✗ secret" in printed
        assert "rotation default: failed" in printed
    secrets, begin = on_call.deployed.account.client("secretsmanager"), time.time()
    secrets.put_secret_value(SecretId=SECRET_NAME, SecretString=wrong_secret)
    on_call.run("rotator rotate --function ...")
    reported = on_call.metrics(begin)
    assert reported["FailedLate"] < on_call.threshold("failing-late")
    assert reported["TokenSecondsRemaining"] > on_call.threshold("token-ends-soon")


def test_undelivered_events_name_their_cause_and_are_purged(on_call: OnCall) -> None:
    sqs, queue = on_call.deployed.account.client("sqs"), on_call.outputs["DeadLetterQueueUrl"]
    cause = {"ERROR_CODE": {"DataType": "String", "StringValue": "AccessDeniedException"}}
    sqs.send_message(QueueUrl=queue, MessageBody="{}", MessageAttributes=cause)
    assert "AccessDeniedException" in on_call.first_three("undelivered")
    [purge] = guides.inline_commands(guides.text("runbooks/undelivered.md"), "aws sqs purge-queue")
    on_call.run(purge)
    counted = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert (counted["ApproximateNumberOfMessages"], counted["ApproximateNumberOfMessagesNotVisible"]) == (
        "0",
        "0",
    )


def test_replica_that_is_behind_is_found_and_written_again(on_call: OnCall) -> None:
    """The cause is a parameter of another program, which has the name of the token in that Region."""
    on_call.deployed.force(on_call.outputs)
    name, function = on_call.outputs["ParameterName"], on_call.outputs["FunctionName"]
    ssm = on_call.deployed.account.client("ssm", region=REPLICA_REGION)
    ssm.delete_parameter(Name=name)
    ssm.put_parameter(Name=name, Value="of another program", Type="String")
    begin = time.time()
    on_call.deployed.account.invoke(function, {})
    assert on_call.metrics(begin)["ReplicasBehind"] >= on_call.threshold("replicas-behind")
    printed = on_call.first_three("replicas-behind")
    assert f"its replica in {REPLICA_REGION} could not be updated" in printed
    assert "is a String, not a SecureString" in printed
    ssm.delete_parameter(Name=name)
    begin = time.time()
    on_call.deployed.account.invoke(function, {})
    assert "ReplicasBehind" not in on_call.metrics(begin)
    commands = on_call.commands("replicas-behind", "First three commands")
    [status] = (command for command in commands if "rotator status" in command)
    assert "in sync" in on_call.run(status)


@pytest.fixture
def gateway(on_call: OnCall) -> Iterator[Gateway]:
    """A gateway through which the function calls Parameter Store."""
    functions, name = on_call.deployed.account.client("lambda"), on_call.outputs["FunctionName"]
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    made = Gateway(on_call.deployed.account.endpoint)
    with serving(made) as url:
        changed = {**variables, "AWS_ENDPOINT_URL_SSM": url}
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": changed})
        try:
            yield made
        finally:
            functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


def test_throttled_writes_are_found_and_leave_the_token_valid(on_call: OnCall, gateway: Gateway) -> None:
    gateway.throttled["PutParameter"], begin = 2, time.time()
    on_call.deployed.force(on_call.outputs)
    assert on_call.metrics(begin)["ThrottledWrites"] >= on_call.threshold("writes-throttled")
    assert "fresh" in on_call.first_three("writes-throttled")
    begin = time.time()
    on_call.deployed.force(on_call.outputs)
    assert "ThrottledWrites" not in on_call.metrics(begin)


def test_deleted_subscription_is_found_and_made_again(on_call: OnCall) -> None:
    sns, topic = on_call.deployed.account.client("sns"), on_call.outputs["AlarmTopicArn"]
    for each in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])
    assert "✗ alarms" in on_call.first_three("alarms-notify-no-one")
    subscribe, _confirm = on_call.commands("alarms-notify-no-one", "Causes and fixes")
    on_call.run(subscribe)
    [found] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert found["Endpoint"] == "on-call@example.com"


def test_deleted_schedule_is_found_by_the_commands(on_call: OnCall) -> None:
    scheduler = on_call.deployed.account.client("scheduler")
    group, name = on_call.outputs["ScheduleGroupName"], on_call.outputs["ScheduleName"]
    scheduler.delete_schedule(GroupName=group, Name=name)
    printed = on_call.first_three("changed-by-hand")
    assert "✗ schedule" in printed
    assert json.dumps(name)[1:-1] in printed
