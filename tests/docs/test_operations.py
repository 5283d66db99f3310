"""The guides tell the truth: runbooks, permissions, parameters, costs and what is not verified."""

from __future__ import annotations

import re

import pytest

import guides
from conftest import CHECKOUT
from infra import smoke
from rotator import errors
from rotator.renewal.status import StatusNotWritten
from template import DOCUMENT, PARAMETERS, Stack

GUIDES = "".join(each.read_text() for each in guides.GUIDES)
MAKEFILE = (CHECKOUT / "Makefile").read_text()
EVERYTHING = [
    Stack(
        {"SecretArn": "arn:x", "SecretKmsKeyArn": "arn:k", "CreateKey": "true", "AlarmEmail": "a@b.example"}
    ),
    Stack({"RotationsPath": "/x", "VpcSubnetIds": "subnet-1", "VpcSecurityGroupIds": "sg-1"}),
    Stack({"SecretArn": "arn:x", "RedeployService": "web/api"}),
    Stack({"SecretArn": "arn:x", "SigningKeyArn": "arn:k", "CaParameterName": "/x"}),
    Stack({"RotationsPath": "/x", "Workers": "2"}),
]


@pytest.mark.parametrize(
    "alarm", [n for n, r in DOCUMENT["Resources"].items() if r["Type"] == "AWS::CloudWatch::Alarm"]
)
def test_each_alarm_links_to_a_complete_runbook(alarm: str) -> None:
    properties = EVERYTHING[0].resources[alarm]
    link = re.search(r"Runbook: (\S+)/([a-z-]+)\.md$", properties["AlarmDescription"])
    assert link
    assert properties["AlarmName"] == f"rotator-{link[2]}"
    runbook = (CHECKOUT / link[1] / f"{link[2]}.md").read_text()
    assert "**Consumers now:**" in runbook
    assert re.search(r"^Over when ", runbook, re.MULTILINE)


def test_every_kind_of_error_has_its_line_in_the_runbook() -> None:
    reported = set(
        re.findall(
            r"`(\w+)`",
            "".join(re.findall(r"^\|(.+?)\|", guides.text("runbooks/failing-late.md"), re.MULTILINE)),
        )
    )
    kinds = {
        k.__name__
        for k in (*vars(errors).values(), StatusNotWritten)
        if isinstance(k, type)
        and issubclass(k, errors.RotatorError)
        and not issubclass(k, errors.TokenUnavailable | errors.CommandNotRun)  # nothing of a run's
    }
    assert kinds - reported == {"TokenRequestError"}


def test_every_policy_statement_is_listed_in_the_guide() -> None:
    stated = set()
    for stack in EVERYTHING:
        stated |= {each["Sid"] for each in stack.statements()}
        for properties in stack.resources.values():
            for name in ("PolicyDocument", "KeyPolicy"):
                stated |= {each["Sid"] for each in properties.get(name, {}).get("Statement", [])}
    table = "".join(
        re.findall(
            r"^\|(.+?)\|",
            guides.section(guides.text("permissions.md"), "What it may do, and why"),
            re.MULTILINE,
        )
    )
    assert set(re.findall(r"`(\w+)`", table)) == stated


def test_guide_gives_only_parameters_of_the_template() -> None:
    given = set(
        re.findall(
            r"`([A-Z][A-Za-z]+)(?:=[\w.]+)?`",
            "".join(
                re.findall(
                    r"^\|.+$",
                    guides.section(guides.text("configuration.md"), "Parameters of the stack"),
                    re.MULTILINE,
                )
            ),
        )
    )
    given |= set(re.findall(r'SET="(\w+)=', GUIDES))
    assert given
    assert given - PARAMETERS.keys() == {"ConsumerPolicyArn"} & given


def test_every_make_target_that_is_named_exists() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z]+)\b", GUIDES, re.MULTILINE))
    assert {"deploy", "undeploy", "rotate", "logs", "smoke"} <= named
    assert named <= set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def test_cost_table_matches_alarms_and_runs() -> None:
    costs = guides.text("costs.md")
    alarms = sum(r["Type"] == "AWS::CloudWatch::Alarm" for r in DOCUMENT["Resources"].values())
    assert re.search(rf"\b{alarms} . \$0\.10", costs)
    assert f"{12 * 24 * 30:,} runs" in costs
    parts = [float(amount) for amount in re.findall(r"\| (\d+\.\d\d) \|$", costs, re.MULTILINE)]
    assert round(sum(parts)) == 7
    assert round(sum(parts) - 1) == 6


def test_unverified_list_matches_the_smoke_checks() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` \| (.+?) \|$", guides.text("verification.md"), re.MULTILINE)
    assert listed == [(check.id, check.expected) for check in smoke.CHECKS]
