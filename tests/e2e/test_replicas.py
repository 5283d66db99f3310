"""Replicas on the embedded AWS, which separates Regions, under the stack's own roles."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from command_line import Shell
from deployed_stack import SECRET_NAME, Deployed
from rotator.consumer import TokenSource
from rotator.devstack.aws_emulators import ACCOUNT, REGION, client_environment
from rotator.devstack.deployment import Account

NAME = "/healthwise/token"
IRELAND, OREGON, TOKYO = "eu-west-1", "us-west-2", "ap-northeast-1"
REGIONS = (REGION, IRELAND, OREGON)
REPLICAS = {"ReplicaRegions": f"{IRELAND},{OREGON}"}
SCHEDULED_EVENT = {"source": "aws.scheduler", "detail-type": "Scheduled Event"}


def stored(account: Account, region: str, name: str = NAME) -> str | None:
    """Return the token in a Region, None if there is none."""
    found = account.client("ssm", region=region).get_parameters(Names=[name], WithDecryption=True)
    return next((each["Value"] for each in found["Parameters"]), None)


def status(account: Account, region: str) -> Any:
    ssm = account.client("ssm", region=region)
    return json.loads(ssm.get_parameter(Name=f"{NAME}/status")["Parameter"]["Value"])


def arn(region: str, name: str = NAME) -> str:
    return f"arn:aws:ssm:{region}:{ACCOUNT}:parameter{name}"


@contextmanager
def without(account: Account, outputs: dict[str, str], region: str) -> Iterator[None]:
    """Remove a replica Region from the permissions of the function while the body runs."""
    iam, role = account.client("iam"), outputs["FunctionRoleArn"].rpartition("/")[2]
    document = iam.get_role_policy(RoleName=role, PolicyName="rotate")["PolicyDocument"]
    changed = json.loads(json.dumps(document))
    [found] = [each for each in changed["Statement"] if each["Sid"] == "KeepReplicas"]
    found["Condition"]["StringEquals"]["aws:RequestedRegion"].remove(region)
    iam.put_role_policy(RoleName=role, PolicyName="rotate", PolicyDocument=json.dumps(changed))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName="rotate", PolicyDocument=json.dumps(document))


@pytest.fixture(scope="module")
def stack(deployed: Deployed) -> dict[str, str]:
    return deployed.account.create_stack({**deployed.one, **REPLICAS})


@pytest.fixture(scope="module")
def summary(deployed: Deployed, stack: dict[str, str]) -> Any:
    """The summary of the first renewal."""
    return deployed.force(stack)


def test_renewal_stores_the_same_token_in_three_regions(deployed: Deployed, summary: Any) -> None:
    assert (summary["rotated"], summary.get("warnings")) == (1, None)
    tokens = {stored(deployed.account, region) for region in REGIONS}
    assert len(tokens) == 1
    assert tokens != {None}
    assert stored(deployed.account, TOKYO) is None
    assert stored(deployed.account, IRELAND, f"{NAME}/lease") is None


@pytest.mark.usefixtures("summary")
def test_failing_region_is_a_warning_and_the_next_run_writes_it(
    deployed: Deployed, stack: dict[str, str]
) -> None:
    account, before = deployed.account, stored(deployed.account, IRELAND)
    with without(account, stack, IRELAND):
        summary = deployed.force(stack)
        assert (summary["rotated"], summary["failed"]) == (1, 0)
        assert summary["rotations"][0]["replicas_behind"] == [IRELAND]
        [warning] = summary["warnings"]
        assert warning.startswith(f"rotation default: its replica in {IRELAND} could not be updated: ")
        assert warning.endswith("allow this caller ssm:GetParameters on the parameters")
        assert stored(account, REGION) == stored(account, OREGON) != before
        assert stored(account, IRELAND) == before
        still = account.invoke(stack["FunctionName"], SCHEDULED_EVENT)
        assert (still["fresh"], still["rotations"][0]["replicas_behind"]) == (1, [IRELAND])
    mended = account.invoke(stack["FunctionName"], SCHEDULED_EVENT)
    assert (mended["fresh"], mended["rotated"], mended.get("warnings")) == (1, 0, None)
    assert len({stored(account, region) for region in REGIONS}) == 1
    for region in REGIONS:
        found = account.client("ssm", region=region).get_parameter(Name=NAME)["Parameter"]
        assert found["Version"] == status(account, region)["parameter_version"]


@pytest.mark.usefixtures("summary")
def test_string_of_the_name_is_not_overwritten(deployed: Deployed, stack: dict[str, str]) -> None:
    ssm = deployed.account.client("ssm", region=OREGON)
    ssm.delete_parameter(Name=NAME)
    ssm.put_parameter(Name=NAME, Value="of another program", Type="String")
    summary = deployed.force(stack)
    assert summary["rotations"][0]["replicas_behind"] == [OREGON]
    assert (
        f"the parameter {NAME} is a String, not a SecureString; delete this parameter"
        in summary["warnings"][0]
    )
    assert stored(deployed.account, OREGON) == "of another program"
    assert stored(deployed.account, IRELAND) == stored(deployed.account, REGION)
    ssm.delete_parameter(Name=NAME)
    assert deployed.account.invoke(stack["FunctionName"], SCHEDULED_EVENT).get("warnings") is None
    assert stored(deployed.account, OREGON) == stored(deployed.account, REGION)


@pytest.fixture
def shell(
    deployed: Deployed, stack: dict[str, str], summary: Any, clean_environment: Mapping[str, str]
) -> Shell:
    """The shell of an operator."""
    environment = client_environment(deployed.account.endpoint)
    return Shell({**clean_environment, **environment, "COLUMNS": "200"}, deployed.account)


def test_status_of_a_stack_shows_its_replicas(shell: Shell) -> None:
    done = shell.run("status", "--stack", "rotator", "--json")
    [line] = json.loads(done.stdout)["rotations"]
    found = [(each["region"], each["state"], each["behind"]) for each in line["replicas"]]
    assert found == [(IRELAND, "in sync", False), (OREGON, "in sync", False)]
    assert all(each["seconds_remaining"] > 80_000 for each in line["replicas"])
    assert done.returncode == 0


def test_doctor_of_a_stack_checks_its_replicas(shell: Shell) -> None:
    done = shell.run("doctor", "--stack", "rotator", "--no-token", "--json")
    checks = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
    for region in (IRELAND, OREGON):
        assert checks[f"replica {region}"]["state"] == "ok"
        assert "is the home Region's current token and valid for 23 h" in checks[f"replica {region}"]["found"]


def test_token_command_reads_an_arn_in_its_region(shell: Shell) -> None:
    done = shell.run("token", arn(OREGON))
    assert (done.stdout, done.stderr) == (f"{stored(shell.account, OREGON)}\n", "")
    missing = shell.run("token", arn(TOKYO), AWS_DEFAULT_REGION="", AWS_REGION="")
    assert missing.stderr.startswith(f"rotator: there is no parameter {arn(TOKYO)}; check its name, the acc")
    refused = shell.run("token", arn("cn-north-1").replace("arn:aws:", "arn:aws-cn:"))
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "is of the partition aws-cn, but this caller's Region is us-east-1" in refused.stderr


@pytest.mark.usefixtures("summary")
def test_consumer_policy_covers_replicas_and_no_other_region(
    deployed: Deployed, stack: dict[str, str]
) -> None:
    role = deployed.account.assume_consumer_role(stack["ConsumerPolicyArn"])
    for region in REGIONS:
        source = TokenSource(arn(region), client=role.client("ssm", region=region))
        assert source.token() == stored(deployed.account, region)
        assert source.seconds_left() > 80_000, "by the status there"
    for region, name in ((TOKYO, NAME), (IRELAND, "/other/token")):
        with pytest.raises(ClientError, match="AccessDenied"):
            role.client("ssm", region=region).get_parameters(Names=[name])


def test_rotations_of_documents_are_copied(deployed: Deployed) -> None:
    names = [f"/healthwise/{each}/token" for each in "abc"]
    for name in names:
        document = {
            "secret_id": SECRET_NAME,
            "parameter_name": name,
            "token_endpoint": f"{deployed.authorization_api}/oauth2/token",
        }
        deployed.account.client("ssm").put_parameter(
            Name=f"/rotator/rotations/{name.split('/')[2]}", Value=json.dumps(document), Type="String"
        )
    outputs = deployed.account.create_stack({**deployed.multiple, **REPLICAS}, stack="many")
    first = deployed.account.invoke(outputs["FunctionName"], SCHEDULED_EVENT)
    assert (first["rotated"], first.get("warnings")) == (3, None)
    for name in names:
        tokens = {stored(deployed.account, region, name) for region in REGIONS}
        assert len(tokens) == 1
        assert tokens != {None}
