"""What the guides and the template's descriptions say about AWS where no emulator can show it."""

from __future__ import annotations

import pytest

from cloudwatch_alarms import Alarm
from conftest import CHECKOUT
from template import DOCUMENT, PARAMETERS, Stack

GUIDES = CHECKOUT / "infra" / "docs"
UNDELIVERED = (GUIDES / "runbooks" / "undelivered.md").read_text()
COSTS = (GUIDES / "costs.md").read_text()

SERVICES = {"secretsmanager": "Secrets Manager", "ssm": "SSM", "sqs": "SQS", "kms": "KMS"}
BY_LAMBDA = {"WriteLogs", "KeepFailedRuns", "ManageNetworkInterfaces"}
"""The permissions that Lambda uses by its own network."""


def called(given: dict[str, str]) -> set[str]:
    """The services that the function of a stack calls itself: with a key, others call KMS for it."""
    found = set()
    for statement in Stack(given).statements("Role"):
        if statement["Sid"] not in BY_LAMBDA and "kms:ViaService" not in str(statement.get("Condition")):
            actions = statement["Action"]
            found |= {each.partition(":")[0] for each in ([actions] if isinstance(actions, str) else actions)}
    return found


@pytest.mark.parametrize(
    ("given", "services"),
    [
        pytest.param(
            {"SecretArn": "arn:x", "CreateKey": "true", "SecretKmsKeyArn": "arn:k"}, set(), id="one"
        ),
        pytest.param({"RotationsPath": "/x", "Workers": "2"}, {"sqs"}, id="workers"),
        pytest.param({"SecretArn": "arn:x", "SigningKeyArn": "arn:k"}, {"kms"}, id="a signing key"),
    ],
)
def test_vpc_parameter_names_the_services_called(given: dict[str, str], services: set[str]) -> None:
    assert called(given) == {"secretsmanager", "ssm"} | services
    description = PARAMETERS["VpcSubnetIds"]["Description"]
    assert all(SERVICES[each] in description for each in called(given))
    assert "to SQS with Workers; to KMS with SigningKeyArn only" in description


def test_throttled_runs_are_in_the_runbook_of_token_ends_soon() -> None:
    """Scheduler invokes asynchronously: the schedule's own dead-letter queue never has them."""
    runbook = (GUIDES / "runbooks" / "token-ends-soon.md").read_text()
    body = Stack({"SecretArn": "arn:x"}).resources["Dashboard"]["DashboardBody"]
    for label in ("runs throttled", "runs that never started"):
        assert f'"{label}"' in runbook
        assert f'"label": "{label}"' in body
    assert "`EventAgeExceeded`" in runbook
    assert "`FailedRunsQueueUrl`" in runbook
    assert "Throttl" not in UNDELIVERED


def test_late_metric_is_in_the_runbook_of_undelivered() -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-monitoring-using-cloudwatch.html."""
    assert "15 minutes" in UNDELIVERED


def test_two_alarms_become_ok_before_any_data() -> None:
    """So they send a mail right after the first deployment; a third one does with its first data."""
    resources = DOCUMENT["Resources"]
    found = Stack({"SecretArn": "arn:x", "AlarmEmail": "on-call@example.com"}).resources
    alarms = {
        name for name, each in resources.items() if each["Type"] == "AWS::CloudWatch::Alarm"
    } & found.keys()
    assert {name: Alarm(found[name]).state([], 3000) for name in alarms} == {
        "TokenEndsSoon": "ALARM",
        "FailingLate": "INSUFFICIENT_DATA",
        "Undelivered": "OK",
        "WritesThrottled": "OK",
    }
    assert all(found[name]["OKActions"] for name in alarms)


def test_costs_have_key_rotation_and_advanced_reads() -> None:
    rows = [line.strip("| ").split(" | ") for line in COSTS.splitlines() if "|" in line]
    costs = {name: (arithmetic, float(dollars)) for name, arithmetic, dollars in rows[2:]}
    [(key, of_the_key)] = [found for name, found in costs.items() if name.startswith("key")]
    [(advanced, of_advanced)] = [found for name, found in costs.items() if name.startswith("advanced token")]
    assert of_the_key == 1
    assert all(dollars in key for dollars in ("$2", "$3")), "from the second and the third year on"
    reads = 2 * 12 * 24 * 30
    assert f"{reads // 2:,}" in advanced
    assert of_advanced == round(0.05 + reads * 0.05 / 10_000, 2)
    whole = sum(dollars for _, dollars in costs.values()) - of_the_key - of_advanced
    assert f"About ${whole:.0f} a month, ${whole + of_the_key:.0f} with a key" in COSTS
