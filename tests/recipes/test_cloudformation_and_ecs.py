"""The template and the task definitions, as printed, taken by the embedded AWS."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumer_guide import block, blocks
from consumer_stack import Consuming
from rotator.devstack.aws_emulators import ADMINISTRATOR
from rotator.devstack.deployment import Account

TEMPLATE = block("cloudformation", "yaml")
OWN, OLD_IMAGE = map(json.loads, blocks("ecs", "json"))


def test_the_template_passes_cfn_lint(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE)
    lint = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([lint, file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture
def stack(world: Consuming) -> Iterator[dict[str, str]]:
    """The physical names in a stack of the template."""
    cloudformation = world.deployed.account.client("cloudformation")
    given = {"ParameterKey": "ConsumerPolicyArn", "ParameterValue": world.outputs["ConsumerPolicyArn"]}
    cloudformation.create_stack(
        StackName="consumer", TemplateBody=TEMPLATE, Parameters=[given], Capabilities=["CAPABILITY_IAM"]
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName="consumer", WaiterConfig={"Delay": 1})
    found = cloudformation.describe_stack_resources(StackName="consumer")["StackResources"]
    yield {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}
    cloudformation.delete_stack(StackName="consumer")
    cloudformation.get_waiter("stack_delete_complete").wait(StackName="consumer", WaiterConfig={"Delay": 1})


def test_template_function_reads_the_current_token(world: Consuming, stack: dict[str, str]) -> None:
    account = world.deployed.account
    before = account.invoke(stack["Function"], {})
    world.rotate()
    assert account.invoke(stack["Function"], {}) == before + 1


def test_template_function_needs_the_consumer_policy(world: Consuming, stack: dict[str, str]) -> None:
    account = world.deployed.account
    account.client("iam").detach_role_policy(
        RoleName=stack["Role"], PolicyArn=world.outputs["ConsumerPolicyArn"]
    )
    with pytest.raises(RuntimeError, match="AccessDenied"):
        account.invoke(stack["Function"], {})


@pytest.mark.parametrize("definition", [OWN, OLD_IMAGE], ids=lambda each: str(each["family"]))
def test_ecs_accepts_the_task_definition(definition: dict[str, Any], world: Consuming) -> None:
    """botocore refuses what the API's model does not know, and the embedded AWS a role that is not there."""
    administrator = {**ADMINISTRATOR, "AWS_ACCESS_KEY_ID": "123456789012"}  # of the account that is printed
    account = Account(world.deployed.account.endpoint, administrator)
    role = definition.get("taskRoleArn") or definition["executionRoleArn"]
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "ecs-tasks.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    account.client("iam").create_role(RoleName=role.rpartition("/")[2], AssumeRolePolicyDocument=policy)
    registered = account.client("ecs").register_task_definition(**definition)["taskDefinition"]
    [printed], [container] = definition["containerDefinitions"], registered["containerDefinitions"]
    assert {name: container[name] for name in printed} == printed


def test_task_environment_names_the_token_parameter(world: Consuming) -> None:
    [container] = OWN["containerDefinitions"]
    given = {each["name"]: each["value"] for each in container["environment"]}
    assert given["TOKEN_PARAMETER"] == world.environment["TOKEN_PARAMETER"]
    assert {*given} == {"TOKEN_PARAMETER", "TOPICS_URL", "AWS_DEFAULT_REGION"} <= {*world.environment}
    assert "executionRoleArn" not in OWN
    assert "secrets" not in container


def test_execution_role_needs_only_the_consumer_policy(world: Consuming) -> None:
    """ECS reads secrets by ssm:GetParameters under the execution role.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html
    """
    [secret] = OLD_IMAGE["containerDefinitions"][0]["secrets"]
    ssm = world.consumer.client("ssm")
    found = ssm.get_parameters(Names=[secret["valueFrom"]], WithDecryption=True)
    assert [each["Value"] for each in found["Parameters"]] == [world.token()]
    assert "taskRoleArn" not in OLD_IMAGE
