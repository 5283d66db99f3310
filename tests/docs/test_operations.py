"""The guides are true: runbooks, permissions, parameters, costs and the unverified behaviour."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import guides
from conftest import CHECKOUT
from infra.smoke import __main__ as smoke
from rotator import errors
from rotator.renewal.status import StatusNotWritten
from template import DOCUMENT, PARAMETERS, Stack

GUIDES = "".join(each.read_text() for each in guides.GUIDES)
CONFIGURATION = guides.text("configuration.md")
WORD = re.compile(r"(?:^|\s)(\w+)=")
MAKEFILE = (CHECKOUT / "Makefile").read_text()
PARTS = ("Symptom", "Impact now", "First three commands", "Causes and fixes", "When it clears")
KEY = "arn:aws:kms:eu-central-1:123456789012:key/mrk-1234abcd"
EVERYTHING = [
    Stack(
        {"SecretArn": "arn:x", "SecretKmsKeyArn": "arn:k", "CreateKey": "true", "AlarmEmail": "a@b.example"}
    ),
    Stack({"RotationsPath": "/x", "VpcSubnetIds": "subnet-1", "VpcSecurityGroupIds": "sg-1"}),
    Stack({"SecretArn": "arn:x", "RedeployService": "web/api"}),
    Stack({"SecretArn": "arn:x", "SigningKeyArn": "arn:k", "CaParameterName": "/x"}),
    Stack({"RotationsPath": "/x", "Workers": "2"}),
    Stack({"SecretArn": "arn:x", "ParameterKmsKeyArn": KEY, "ReplicaRegions": "eu-west-1"}),
]


@pytest.mark.parametrize(
    "alarm", [n for n, r in DOCUMENT["Resources"].items() if r["Type"] == "AWS::CloudWatch::Alarm"]
)
def test_each_alarm_links_to_a_complete_runbook(alarm: str) -> None:
    properties = next(stack.resources[alarm] for stack in EVERYTHING if alarm in stack.resources)
    link = re.search(r"Runbook: (\S+)/([a-z-]+)\.md$", properties["AlarmDescription"])
    assert link
    assert properties["AlarmName"] == f"rotator-{link[2]}"
    runbook = (CHECKOUT / link[1] / f"{link[2]}.md").read_text()
    assert guides.FOLDER / "runbooks" / f"{link[2]}.md" in guides.RUNBOOKS
    assert all(guides.section(runbook, part).strip() for part in PARTS)


@pytest.mark.parametrize("runbook", guides.RUNBOOKS, ids=lambda each: str(each.stem))
def test_runbook_has_the_five_parts_in_order(runbook: Path) -> None:
    text = runbook.read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == list(PARTS)
    [commands] = guides.blocks(guides.section(text, "First three commands"), "sh")
    assert len(commands.replace("\\\n", "").splitlines()) == 3


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
            guides.section(guides.text("permissions.md"), "Permissions of the stack"),
            re.MULTILINE,
        )
    )
    assert set(re.findall(r"`(\w+)`", table)) == stated


def test_guide_gives_only_parameters_of_the_template() -> None:
    given = {name for words in re.findall(r'SET="(.*?)"', GUIDES, re.DOTALL) for name in WORD.findall(words)}
    spans = re.findall(r"`([A-Z][a-z]\w+=[^`]*)`", guides.section(CONFIGURATION, "Parameters of the stack"))
    given |= set(WORD.findall(" ".join(spans)))
    assert given
    assert given - PARAMETERS.keys() == set()


def test_every_parameter_of_the_template_is_in_the_guide() -> None:
    cells = re.findall(
        r"^\| (`[A-Z].+?) \|", guides.section(CONFIGURATION, "Parameters of the stack"), re.MULTILINE
    )
    own = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    settings = re.findall(r"^\| `ROTATOR_([A-Z_]+)` \|", CONFIGURATION, re.MULTILINE)
    assert own <= PARAMETERS.keys()
    named_alike = {"".join(word.capitalize() for word in name.split("_")) for name in settings}
    assert own | named_alike >= PARAMETERS.keys()


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_guide_gives_the_default_of_each_parameter(name: str) -> None:
    cells = re.findall(
        rf"^\| [^|]*`{name}`[^|]* \| (.+?) \|",
        guides.section(CONFIGURATION, "Parameters of the stack"),
        re.MULTILINE,
    )
    for cell in cells[:1]:
        shown = {"none": "", "required": None}.get(cell, cell.strip("`"))
        assert shown == (None if "Default" not in PARAMETERS[name] else str(PARAMETERS[name]["Default"]))


def test_every_make_target_that_is_named_exists() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z]+)\b", GUIDES, re.MULTILINE))
    assert {"deploy", "undeploy", "rotate", "logs", "smoke"} <= named
    assert named <= set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def test_cost_table_matches_alarms_and_runs() -> None:
    costs = guides.text("costs.md")
    kinds = {name: resource["Type"] for name, resource in DOCUMENT["Resources"].items()}
    alarms = sum(kinds[name] == "AWS::CloudWatch::Alarm" for name in Stack({"SecretArn": "arn:x"}).resources)
    assert re.search(rf"\b{alarms} . \$0\.10", costs)
    assert f"{12 * 24 * 30:,} runs" in costs
    parts = [float(amount) for amount in re.findall(r"\| (\d+\.\d\d) \|$", costs, re.MULTILINE)]
    assert round(sum(parts)) == 7
    assert round(sum(parts) - 1) == 6


def test_unverified_list_matches_the_smoke_checks() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` \| (.+?) \|$", guides.text("verification.md"), re.MULTILINE)
    assert listed == [(check.id, check.expected) for check in smoke.CHECKS]
