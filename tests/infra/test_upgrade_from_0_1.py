"""An upgrade of a stack of version 0.1 keeps parameters and resources; tests/e2e/test_upgrade.py runs one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import template
from template import DOCUMENT, PARAMETERS, Stack, takes

OLD = template.read(Path(__file__).with_name("stack_of_0_1.yaml"))

ONE = {
    "SecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:healthwise/client-AbCdEf",
    "CodeBucket": "code",
    "CodeKey": "rotator.zip",
}
MULTIPLE = {
    "RotationsPath": "/rotator/rotations",
    "SecretPrefix": "healthwise/",
    "ParameterPrefix": "/healthwise",
    "AllowedHosts": "auth.healthwise.net",
}
TARGETS = {
    "ChangeFunctionArn": "arn:aws:lambda:eu-central-1:123456789012:function:reload",
    "ChangeQueueArn": "arn:aws:sqs:eu-central-1:123456789012:token-changes",
    "RedeployService": "web/api",
}
OPTIONS = {
    "CreateKey": "true",
    "AlarmEmail": "on-call@example.com",
    "VpcSubnetIds": "subnet-1",
    "VpcSecurityGroupIds": "sg-1",
}
STACKS = {
    "one rotation": ONE,
    "one rotation with every option": {**ONE, **TARGETS, **OPTIONS},
    "multiple rotations": {**ONE, "SecretArn": "", **MULTIPLE},
    "workers with every option": {**ONE, "SecretArn": "", **MULTIPLE, "Workers": "3", **TARGETS, **OPTIONS},
}

REPLACED = {
    "Schedule": "An update cannot move a schedule to another group; GroupedSchedule takes its place.",
    "ScheduleRole": "GroupedScheduleRole takes its place: a changed trust may not be seen at once.",
}
"""The resources of version 0.1 that an upgrade deletes, and why that loses nothing."""

NARROWED = {
    "ParameterName": "AWS refuses a longer name: its ARN and /status count.",
    "RotationsPath": "Documents have a name below it, of up to 65 characters.",
}
"""The parameters that take less than in version 0.1, and why."""


def upgraded(given: Mapping[str, str]) -> tuple[Stack, Stack]:
    """A stack of version 0.1 before and after the upgrade: its parameters keep their values, defaults too."""
    before = Stack(given, OLD)
    return before, Stack(before.parameters)


def create_only(resource_type: str) -> list[list[str]]:
    """The paths of the properties whose change replaces a resource.

    https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
    """
    # It imports sympy, which takes longer than all of this file.
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]

    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource_type).schema
    pointers = schema.get("createOnlyProperties", []) + schema.get("conditionalCreateOnlyProperties", [])
    return [pointer.removeprefix("/properties/").split("/") for pointer in pointers]


def value_at(properties: Any, path: list[str]) -> Any:
    """A property's value, None if there is none."""
    for name in path:
        properties = properties.get(name) if isinstance(properties, dict) else None
    return properties


def test_schemas_have_the_create_only_properties() -> None:
    assert ["Path"] in create_only("AWS::IAM::Role")
    assert ["LogGroupName"] in create_only("AWS::Logs::LogGroup")


def test_upgrade_keeps_every_parameter_of_0_1() -> None:
    assert OLD["Parameters"].keys() <= PARAMETERS.keys()
    assert all("Default" in PARAMETERS[name] for name in PARAMETERS.keys() - OLD["Parameters"].keys())


@pytest.mark.parametrize("name", OLD["Parameters"])
def test_upgrade_accepts_every_value_of_0_1(name: str) -> None:
    old, new = OLD["Parameters"][name], PARAMETERS[name]
    assert new["Type"] == old["Type"]
    assert ("AllowedValues" in new) == ("AllowedValues" in old)
    assert all(takes(name, str(value)) for value in old.get("AllowedValues", []))
    assert new.get("AllowedPattern") == old.get("AllowedPattern")
    for least in ("MinValue", "MinLength"):
        assert new.get(least, -math.inf) <= old.get(least, -math.inf)
    assert new.get("MaxValue", math.inf) >= old.get("MaxValue", math.inf)
    is_narrowed = new.get("MaxLength", 4096) < old.get("MaxLength", 4096)
    assert is_narrowed == (name in NARROWED)


@pytest.mark.parametrize("given", STACKS.values(), ids=STACKS)
def test_upgrade_keeps_every_resource(given: Mapping[str, str]) -> None:
    before, after = upgraded(given)
    assert after.refused == []
    assert before.resources.keys() - after.resources.keys() == REPLACED.keys()
    for name in before.resources.keys() & after.resources.keys():
        assert DOCUMENT["Resources"][name]["Type"] == OLD["Resources"][name]["Type"]


@pytest.mark.parametrize("given", STACKS.values(), ids=STACKS)
def test_upgrade_replaces_no_kept_resource(given: Mapping[str, str]) -> None:
    """A role of another name would be unknown to the policies of other keys, a policy would be in use."""
    before, after = upgraded(given)
    for name in before.resources.keys() - REPLACED.keys():
        for path in create_only(OLD["Resources"][name]["Type"]):
            was, becomes = (value_at(stack.resources[name], path) for stack in (before, after))
            assert becomes == was, f"{name}: a change of {'.'.join(path)} replaces it"


@pytest.mark.parametrize("name", sorted(OLD["Resources"].keys() - REPLACED.keys()))
def test_upgrade_deletes_no_more_than_0_1(name: str) -> None:
    old, new = OLD["Resources"][name], DOCUMENT["Resources"][name]
    for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
        assert new.get(policy) == old.get(policy)


def test_schedule_of_0_1_keeps_its_role_until_it_is_deleted() -> None:
    """IAM is eventually consistent, and Scheduler checks the trust of a role when a schedule is created."""
    _, after = upgraded({"SecretArn": "arn:x"})
    assert after.resources["GroupedSchedule"]["Target"]["RoleArn"] == "<GroupedScheduleRole.Arn>"


def test_upgrade_keeps_the_outputs_that_others_use() -> None:
    for given in STACKS.values():
        before, after = upgraded(given)
        assert before.outputs.keys() <= after.outputs.keys()
        for name in ("FunctionName", "FunctionRoleArn", "ConsumerPolicyArn", "LogGroupName"):
            assert after.outputs[name] == before.outputs[name]
