"""Many rotations under a key that the stack creates: neither operators nor documents have to name it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from command_line import Shell
from deployed_stack import SECRET_NAME, Deployed
from rotator.devstack.aws_emulators import ADMINISTRATOR, client_environment

PREFIX = "/healthwise"


@pytest.fixture(scope="module")
def keyed(deployed: Deployed) -> dict[str, str]:
    """The outputs of a stack with its own key, whose rotations have no documents yet."""
    return deployed.account.create_stack({**deployed.multiple, "CreateKey": "true"}, stack="keyed")


@pytest.fixture
def operator(deployed: Deployed, clean_environment: Mapping[str, str]) -> Shell:
    """A shell without a setting of ours."""
    aws = client_environment(deployed.account.endpoint, ADMINISTRATOR)
    return Shell({**clean_environment, **aws, "COLUMNS": "200"}, deployed.account)


def serve(name: str, deployed: Deployed, keyed: dict[str, str], operator: Shell, *more: str) -> Any:
    """Add a rotation, have the function serve it, and return what is known of its token's parameter."""
    parameter = f"{PREFIX}/{name}/token"
    given = ("--secret-id", SECRET_NAME, "--parameter-name", parameter)
    endpoint = ("--token-endpoint", f"{deployed.authorization_api}/oauth2/token")
    added = operator.run("add", name, "--stack", "keyed", *given, *endpoint, *more)
    assert added.returncode == 0, added.stderr
    done = operator.run("rotate", name, "--function", keyed["FunctionName"], "--json")
    assert json.loads(done.stdout)["rotated"] == 1
    (found,) = deployed.account.client("ssm").describe_parameters(
        ParameterFilters=[{"Key": "Name", "Values": [parameter]}]
    )["Parameters"]
    return found


def test_stack_key_is_used_when_the_document_names_none(
    deployed: Deployed, keyed: dict[str, str], operator: Shell
) -> None:
    assert serve("tenant-a", deployed, keyed, operator)["KeyId"] == keyed["KeyArn"]
    ssm = deployed.account.client("ssm")
    document = ssm.get_parameter(Name=f"{keyed['RotationsPath']}/tenant-a")["Parameter"]["Value"]
    assert "kms_key_id" not in json.loads(document)
    examined = operator.run("doctor", "--stack", "keyed", "--no-token", "--json")
    found = {each["check"]: each["found"] for each in json.loads(examined.stdout)["checks"]}
    assert found["key"] == f"{keyed['KeyArn']} is enabled"
    consumer = deployed.account.assume_consumer_role(keyed["ConsumerPolicyArn"]).client("ssm")
    token = consumer.get_parameter(Name=f"{PREFIX}/tenant-a/token", WithDecryption=True)["Parameter"]
    assert len(token["Value"]) > 20


def test_document_key_takes_precedence_over_the_stack_key(
    deployed: Deployed, keyed: dict[str, str], operator: Shell
) -> None:
    own = ("--kms-key-id", "alias/aws/ssm")
    assert serve("tenant-b", deployed, keyed, operator, *own)["KeyId"] == "alias/aws/ssm"
