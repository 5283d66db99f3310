"""Stacks of version 0.1 upgraded by `make deploy` and removed by `make undeploy`, with the real AWS CLI.

The embedded AWS (MiniStack 1.5.33) updates every type of resource that the template has, replaces one where a
property changes that is create-only in AWS, and runs the function under its updated role. What it cannot do:

- An update of a function applies neither ReservedConcurrentExecutions nor VpcConfig.
- A stack gives its roles no PermissionsBoundary, and an update adds none.
- A schedule whose GroupName changes is created in the new group, and stays in the old one, too. The template
  avoids such an update: since version 0.1, the schedule has another logical id.
- A schedule invokes its target whatever the trust policy of its role says.
- A subscription counts as confirmed at once. In AWS, the new one waits until its mail is confirmed.

tests/infra/test_upgrade_from_0_1.py compares the templates for what AWS would replace.
"""

from __future__ import annotations

import io
import json
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import CHECKOUT
from deployed_stack import SECRET_NAME, Deployed
from infra import command, deploy, function_code, stacks, undeploy
from rotator.consumer import TokenSource
from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.deployment import BUCKET, Account

OLD_TEMPLATE = CHECKOUT / "tests" / "infra" / "stack_of_0_1.yaml"
OLD_CODE_KEY = "rotator-0.1.zip"
OLD_TOKEN = "token-that-version-0.1-wrote"
WORKER_TIMEOUT_SECONDS = 60


def status_of_0_1() -> str:
    """Return the status that version 0.1 wrote for a due token of version 1, with the lease of its run."""
    now = datetime.now(UTC)
    issued, renew, expires = (
        (now + timedelta(hours=hours)).isoformat(timespec="seconds").replace("+00:00", "Z")
        for hours in (-20, -4, 4)
    )
    return json.dumps(
        {
            "schema": 1,
            "parameter_version": 1,
            "issued_at": issued,
            "expires_at": expires,
            "renew_at": renew,
            "scope": "*",
            "token_type": "Bearer",
            "token_sha256": "0" * 64,
            "secret_version_id": "a-version",
            "rotator_version": "0.1.0",
            "claimed_by": "a-run",
            "claimed_until": issued,
        }
    )


@dataclass(frozen=True)
class Operator:
    """Who deploys from a checkout of today into an account, where stacks of version 0.1 run."""

    account: Account
    environ: Mapping[str, str]

    def create_0_1(self, name: str, parameters: Mapping[str, str]) -> dict[str, str]:
        """Create a stack as version 0.1 did, and return its outputs."""
        given = {"CodeBucket": BUCKET, "CodeKey": OLD_CODE_KEY, **parameters}
        cloudformation = self.account.client("cloudformation")
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=OLD_TEMPLATE.read_text(),
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in given.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        waiter = cloudformation.get_waiter("stack_create_complete")
        waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        return self.account.outputs(name)

    def deploy(self, **variables: str) -> int:
        return command.run("deploy", lambda: deploy.deploy({**self.environ, "BUCKET": BUCKET, **variables}))

    def undeploy(self, stack: str) -> int:
        return command.run("undeploy", lambda: undeploy.undeploy({**self.environ, "STACK": stack}))

    def parameters(self, stack: str) -> dict[str, str]:
        """A stack's parameters, without the place of its code."""
        (found,) = self.account.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        pairs = {each["ParameterKey"]: each["ParameterValue"] for each in found["Parameters"]}
        return {name: value for name, value in pairs.items() if not name.startswith("Code")}

    def write_token(self, name: str, **key: str) -> None:
        """Write a token and its status as version 0.1 did."""
        ssm = self.account.client("ssm")
        ssm.put_parameter(Name=name, Value=OLD_TOKEN, Type="SecureString", **key)
        ssm.put_parameter(Name=f"{name}/status", Value=status_of_0_1(), Type="String")

    def read(self, *names: str) -> dict[str, tuple[int, str]]:
        """The versions and values of those parameters that are there."""
        found = self.account.client("ssm").get_parameters(Names=list(names), WithDecryption=True)
        return {each["Name"]: (each["Version"], each["Value"]) for each in found["Parameters"]}

    def secret(self) -> str:
        return str(
            self.account.client("secretsmanager").get_secret_value(SecretId=SECRET_NAME)["SecretString"]
        )

    def run_schedule(self, outputs: Mapping[str, str]) -> Any:
        """Do what the stack's one schedule does, and return the run's summary."""
        scheduler = self.account.client("scheduler")
        group = outputs["ScheduleGroupName"]
        (name,) = (each["Name"] for each in scheduler.list_schedules(GroupName=group)["Schedules"])
        target = scheduler.get_schedule(GroupName=group, Name=name)["Target"]
        assert target["Arn"].endswith(f":{outputs['FunctionName']}")
        return self.account.invoke(outputs["FunctionName"], json.loads(target["Input"]))


@pytest.fixture(scope="module")
def operator(
    deployed: Deployed,
    function_zip: Path,
    tmp_path_factory: pytest.TempPathFactory,
    clean_environment: Mapping[str, str],
) -> Iterator[Operator]:
    old = io.BytesIO()
    with zipfile.ZipFile(old, "w") as archive:
        archive.writestr("rotator/handler.py", "def lambda_handler(event, context): return 'version 0.1'")
    deployed.account.client("s3").put_object(Bucket=BUCKET, Key=OLD_CODE_KEY, Body=old.getvalue())
    built = Path(shutil.copy(function_zip, tmp_path_factory.mktemp("built")))
    environ = {**clean_environment, **client_environment(deployed.account.endpoint)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(function_code, "built", lambda: built)
        patch.setattr(stacks, "POLL_SECONDS", 0.2)
        yield Operator(deployed.account, environ)


STACK = "one"
TOKEN = "/healthwise/token"
ITS_PARAMETERS = (TOKEN, f"{TOKEN}/status")


@dataclass(frozen=True)
class Upgraded:
    """What there was before the upgrade of a stack, and its outputs after it."""

    operator: Operator
    old: dict[str, str]
    outputs: dict[str, str]
    old_parameters: dict[str, str]
    consumer: Account
    left_alone: bool
    """Whether the upgrade left token, status and secret as they were."""


@pytest.fixture(scope="module")
def upgraded(deployed: Deployed, operator: Operator) -> Upgraded:
    """A stack with a key, a topic and a consumer, upgraded with the required variables and no SET."""
    given = {**deployed.one, "CreateKey": "true", "AlarmEmail": "on-call@example.com", "RenewAt": "0.5"}
    old = operator.create_0_1(STACK, given)
    operator.write_token(TOKEN, KeyId=old["KeyArn"])
    consumer = operator.account.assume_consumer_role(old["ConsumerPolicyArn"])
    parameters = operator.parameters(STACK)
    stored = operator.read(*ITS_PARAMETERS), operator.secret()
    assert operator.deploy(STACK=STACK, SECRET=SECRET_NAME, PARAMETER=TOKEN) == 0
    left_alone = (operator.read(*ITS_PARAMETERS), operator.secret()) == stored
    return Upgraded(operator, old, operator.account.outputs(STACK), parameters, consumer, left_alone)


def test_upgrade_leaves_token_status_and_secret(upgraded: Upgraded) -> None:
    assert upgraded.left_alone


def test_upgrade_keeps_names_and_arns(upgraded: Upgraded) -> None:
    """Others name them: key policies the role, consumers' roles the policy."""
    assert upgraded.outputs.keys() == upgraded.old.keys() | {"ScheduleGroupName"}
    changed = {name for name, value in upgraded.old.items() if upgraded.outputs[name] != value}
    assert changed == {"ScheduleName"}


def test_upgrade_keeps_parameters_that_are_not_given(upgraded: Upgraded) -> None:
    after = upgraded.operator.parameters(STACK)
    assert after.items() >= upgraded.old_parameters.items()


def test_upgrade_leaves_one_schedule_and_one_subscription(upgraded: Upgraded) -> None:
    account = upgraded.operator.account
    groups = {each["GroupName"] for each in account.client("scheduler").list_schedules()["Schedules"]}
    assert groups == {upgraded.outputs["ScheduleGroupName"]}
    listing = account.client("sns").list_subscriptions_by_topic(TopicArn=upgraded.outputs["AlarmTopicArn"])
    assert [each["Endpoint"] for each in listing["Subscriptions"]] == ["on-call@example.com"]


def test_consumer_reads_token_and_status_of_0_1(upgraded: Upgraded) -> None:
    assert TokenSource(TOKEN, client=upgraded.consumer.client("ssm")).token() == OLD_TOKEN


def test_scheduled_run_renews_the_token_of_0_1(upgraded: Upgraded) -> None:
    assert upgraded.operator.run_schedule(upgraded.outputs)["rotated"] == 1
    stored = upgraded.operator.read(*ITS_PARAMETERS, f"{TOKEN}/lease")
    version, token = stored[TOKEN]
    status = json.loads(stored[f"{TOKEN}/status"][1])
    assert (version, status["parameter_version"], "claimed_by" in status) == (2, 2, False)
    assert f"{TOKEN}/lease" in stored
    assert TokenSource(TOKEN, client=upgraded.consumer.client("ssm")).token() == token != OLD_TOKEN


def test_undeploy_leaves_token_secret_and_key(upgraded: Upgraded) -> None:
    operator, iam = upgraded.operator, upgraded.operator.account.client("iam")
    iam.detach_role_policy(RoleName="consumer", PolicyArn=upgraded.outputs["ConsumerPolicyArn"])
    stored = operator.read(*ITS_PARAMETERS), operator.secret()
    assert operator.undeploy(STACK) == 0
    assert (operator.read(*ITS_PARAMETERS), operator.secret()) == stored
    key = operator.account.client("kms").describe_key(KeyId=upgraded.old["KeyArn"])["KeyMetadata"]
    assert key["KeyState"] == "Enabled"
    with pytest.raises(ClientError, match="ResourceNotFound"):
        operator.account.client("lambda").get_function(FunctionName=upgraded.old["FunctionName"])


FLEET = "fleet"
DOCUMENT, TENANTS_TOKEN = "/rotator/rotations/tenant", "/healthwise/tenant/token"


def test_upgraded_fleet_renews_with_workers_and_is_removed(deployed: Deployed, operator: Operator) -> None:
    endpoint = {"token_endpoint": f"{deployed.authorization_api}/oauth2/token"}
    document = json.dumps({"secret_id": SECRET_NAME, "parameter_name": TENANTS_TOKEN, **endpoint})
    operator.account.client("ssm").put_parameter(Name=DOCUMENT, Value=document, Type="String")
    operator.write_token(TENANTS_TOKEN)
    workers = {"Workers": "2", "TimeoutSeconds": "10"}
    old = operator.create_0_1(FLEET, {**deployed.multiple, **workers})
    path = deployed.multiple["RotationsPath"]

    assert operator.deploy(STACK=FLEET, SET=f"RotationsPath={path}") == 0
    outputs = operator.account.outputs(FLEET)
    assert outputs["WorkQueueUrl"] == old["WorkQueueUrl"]
    redrive = operator.account.client("sqs").get_queue_attributes(
        QueueUrl=outputs["WorkQueueUrl"], AttributeNames=["RedrivePolicy"]
    )["Attributes"]["RedrivePolicy"]
    assert json.loads(redrive)["maxReceiveCount"] == 5
    assert operator.run_schedule(outputs)["busy"] == 1
    until = time.monotonic() + WORKER_TIMEOUT_SECONDS
    while operator.read(TENANTS_TOKEN)[TENANTS_TOKEN][0] == 1:
        assert time.monotonic() < until, "no worker renewed it"
        time.sleep(0.2)

    assert operator.undeploy(FLEET) == 0
    assert operator.read(DOCUMENT, TENANTS_TOKEN).keys() == {DOCUMENT, TENANTS_TOKEN}
    assert operator.read(DOCUMENT)[DOCUMENT] == (1, document)
