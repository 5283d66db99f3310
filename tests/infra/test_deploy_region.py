"""Before it creates anything, `make deploy` compares the Region of every ARN with that of the stack."""

from __future__ import annotations

import pytest

from infra import deploy_request
from infra.aws_cli import Cli
from infra.command import Problem
from template import PARAMETERS

GLOBAL = {"PermissionsBoundaryArn"}
"""IAM has no Regions."""

REGIONAL = sorted(name for name in PARAMETERS if name.endswith("Arn") and name not in GLOBAL)


def check(name: str, partition: str, region: str) -> None:
    arn = f"arn:{partition}:service:{region}:123456789012:name"
    deploy_request.check_targets("rotator", {name: arn}, "eu-central-1", "123456789012")
    deploy_request.check_regions({name: arn}, "eu-central-1")


@pytest.mark.parametrize("name", REGIONAL)
def test_arn_of_another_region_or_partition_is_refused(name: str) -> None:
    check(name, "aws", "eu-central-1")
    for partition, region in (
        ("aws", "us-east-1"),
        ("aws-cn", "cn-north-1"),
        ("aws-us-gov", "us-gov-west-1"),
    ):
        with pytest.raises(Problem, match=f"{name} is in {region}"):
            check(name, partition, region)


def test_credentials_of_the_environment_are_not_shown() -> None:
    assert "canary" not in repr(Cli(environ={"AWS_SECRET_ACCESS_KEY": "canary"}))
