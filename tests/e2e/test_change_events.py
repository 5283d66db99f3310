"""A stack with change events: events that match its rule reach the function, the queue and the service.

The embedded Parameter Store sends no events, and only AWS may use the source ``aws.ssm``, there as on AWS.
So the deployed rule is made to listen to another source, and an event of the documented shape comes from it.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from deployed_stack import Deployed
from infra.smoke import __main__ as smoke
from infra.smoke import change_events
from rotator.devstack.aws_emulators import ACCOUNT, client_environment
from rotator.devstack.deployment import Account

STACK = "notified"
SOURCE = "notified.ssm"
RULE = f"{STACK}-token-changed"
CODE = "def handler(event, context):\n    print('notified of ' + event['detail']['name'])\n"
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Targets:
    """A function, a queue and a service of the user's, the targets of the events."""

    account: Account
    function: str
    queue: str

    @property
    def queue_arn(self) -> str:
        names = {"QueueUrl": self.queue, "AttributeNames": ["QueueArn"]}
        return str(self.account.client("sqs").get_queue_attributes(**names)["Attributes"]["QueueArn"])

    @property
    def parameters(self) -> dict[str, str]:
        return {
            "ChangeFunctionArn": self.function,
            "ChangeQueueArn": self.queue_arn,
            "RedeployService": "web/api",
        }

    def messages(self) -> list[Any]:
        """The events that the queue has taken since one looked."""
        answer = self.account.client("sqs").receive_message(
            QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=1
        )
        return [json.loads(each["Body"]) for each in answer.get("Messages", [])]

    def reported(self) -> list[str]:
        """Return the lines of all events that the function received."""
        return [
            line for line in self.account.log_lines("/aws/lambda/reload") if line.startswith("notified of ")
        ]

    def deployment(self) -> str:
        """The service's newest deployment."""
        found = self.account.client("ecs").describe_services(cluster="web", services=["api"])["services"]
        return str(found[0]["deployments"][0]["id"])


@pytest.fixture(scope="module")
def targets(deployed: Deployed) -> Targets:
    account, package = deployed.account, io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("reload.py", CODE)
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    role = account.client("iam").create_role(
        RoleName="reload",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    function = account.client("lambda").create_function(
        FunctionName="reload",
        Runtime="python3.13",
        Role=role["Role"]["Arn"],
        Handler="reload.handler",
        Code={"ZipFile": package.getvalue()},
    )
    account.client("logs").create_log_group(logGroupName="/aws/lambda/reload")
    ecs = account.client("ecs")
    ecs.create_cluster(clusterName="web")
    container = {"name": "api", "image": "api", "memory": 64}
    ecs.register_task_definition(family="api", containerDefinitions=[container])
    ecs.create_service(cluster="web", serviceName="api", taskDefinition="api", desiredCount=0)
    queue = account.client("sqs").create_queue(QueueName="token-changes")["QueueUrl"]
    return Targets(account, function["FunctionArn"], queue)


@pytest.fixture(scope="module")
def stack(deployed: Deployed, targets: Targets) -> Iterator[Account]:
    """The stack with every target, whose rule listens to a source that a test may be."""
    account = deployed.account
    account.create_stack({**deployed.one, **targets.parameters}, stack=STACK)
    events = account.client("events")
    pattern = json.loads(events.describe_rule(Name=RULE)["EventPattern"])
    assert pattern["source"] == ["aws.ssm"]
    events.put_rule(Name=RULE, EventPattern=json.dumps({**pattern, "source": [SOURCE]}))
    yield account
    events.put_rule(Name=RULE, EventPattern=json.dumps(pattern))


def happen(account: Account, name: str, kind: str = "SecureString") -> None:
    """Send an event as Parameter Store does after a write."""
    detail = {"operation": "Update", "name": name, "type": kind, "description": "Sample Parameter"}
    resource = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter{name}"
    entry = {"Source": SOURCE, "DetailType": "Parameter Store Change", "Resources": [resource]}
    answer = account.client("events").put_events(Entries=[{**entry, "Detail": json.dumps(detail)}])
    assert answer["FailedEntryCount"] == 0


def until(found: Callable[[], Any]) -> Any:
    """What is found in the end; whatever there is by then, if that is nothing."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while not (what := found()) and time.monotonic() < end:
        time.sleep(0.2)
    return what


def test_only_token_writes_reach_every_target(stack: Account, targets: Targets) -> None:
    before = targets.deployment()
    happen(stack, "/healthwise/token/status", "String")
    happen(stack, "/healthwise/tokens")
    assert targets.messages() == []
    assert (targets.reported(), targets.deployment()) == ([], before)
    happen(stack, "/healthwise/token")
    [event] = until(targets.messages)
    assert (event["detail-type"], event["detail"]["name"]) == ("Parameter Store Change", "/healthwise/token")
    assert until(targets.reported) == ["notified of /healthwise/token"]
    assert until(lambda: targets.deployment() != before)


def test_target_function_policy_allows_the_rule(stack: Account, targets: Targets) -> None:
    policy = json.loads(stack.client("lambda").get_policy(FunctionName=targets.function)["Policy"])
    [statement] = policy["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert f"rule/{RULE}" in json.dumps(statement["Condition"])


def test_only_parameter_store_may_send_its_change_events(stack: Account) -> None:
    entry = {"Source": "aws.ssm", "DetailType": "Parameter Store Change", "Detail": "{}"}
    [answer] = stack.client("events").put_events(Entries=[entry])["Entries"]
    assert answer["ErrorCode"] == "NotAuthorizedForSourceException"


def test_smoke_check_reports_missing_events_and_cleans_up(
    stack: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in client_environment(stack.endpoint).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(change_events, "LONGEST_WAIT_SECONDS", -1.0)
    monkeypatch.setattr(change_events, "LONG_POLL_SECONDS", 0)

    def everything() -> Any:
        rules = stack.client("events").list_rules()["Rules"]
        parameters = stack.client("ssm").describe_parameters()["Parameters"]
        queues = stack.client("sqs").list_queues()["QueueUrls"]
        return [sorted(r["Name"] for r in rules), sorted(p["Name"] for p in parameters), sorted(queues)]

    before = everything()
    others = ",".join(
        check.id for check in smoke.CHECKS if check.id not in ("change-events", "redeploy-role")
    )
    assert smoke.main([f"--account={ACCOUNT}", f"--stack={STACK}", f"--skip={others}"]) == 1
    _, events, role = capsys.readouterr().out.splitlines()
    assert events.startswith("✗ change-events: ")
    assert "found: no event arrived" in events
    assert role.startswith("✓ redeploy-role: ")
    assert everything() == before
