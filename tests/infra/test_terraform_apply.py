"""The guide's Terraform configuration, as printed, from ``init`` to ``destroy`` on the embedded AWS.

One worker runs all of these in their order, as it does every file: they share one stack and its end.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest

import deployed_stack
from conftest import CHECKOUT
from deployed_stack import Deployed
from deployment_guide import block
from fake_ports import CANARY_SECRET
from rotator.devstack.aws_emulators import client_environment
from terraform_cli import Terraform, find_terraform, messages, provider_installation


@dataclass(frozen=True)
class Operator:
    """A team that deploys as the guide says, with its own provider and settings."""

    terraform: Terraform
    deployed: Deployed
    zip_file: Path

    def give(self, zip_file: Path, digest: str = "") -> None:
        """Give the zip, and its hash unless another one is given; Terraform merges an override file."""
        settings = {
            "zip_file": str(zip_file),
            "zip_sha256": digest or sha256(zip_file.read_bytes()).hexdigest(),
            "token_endpoint": f"{self.deployed.authorization_api}/oauth2/token",
            "schedule_minutes": 60,
        }
        given = "".join(f"  {name} = {json.dumps(value)}\n" for name, value in settings.items())
        (self.terraform.folder / "override.tf").write_text(f'module "rotator" {{\n{given}}}\n')

    @property
    def outputs(self) -> dict[str, str]:
        return self.deployed.account.outputs("rotator")

    def parameter(self, name: str) -> str:
        ssm = self.deployed.account.client("ssm")
        return str(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])


@pytest.fixture(scope="module")
def operator(
    tmp_path_factory: pytest.TempPathFactory, function_zip: Path, clean_environment: Mapping[str, str]
) -> Iterator[Operator]:
    find_terraform()
    folder = tmp_path_factory.mktemp("terraform")
    environ = {
        **clean_environment,
        "TF_CLI_CONFIG_FILE": str(provider_installation(folder)),
        "HOME": str(folder),
    }
    (folder / "main.tf").write_text(block("hcl"))
    (folder / "provider.tf").write_text('provider "aws" {\n  s3_use_path_style = true\n}\n')
    (folder / "rotator").symlink_to(CHECKOUT)
    with deployed_stack.running(tmp_path_factory.mktemp("aws"), function_zip) as deployed:
        prepare(deployed)
        environ |= client_environment(deployed.account.endpoint)
        operator = Operator(Terraform(folder, environ), deployed, function_zip)
        operator.give(function_zip)
        operator.terraform.succeed("init")
        with operator.terraform.with_running_provider() as terraform:
            yield replace(operator, terraform=terraform)


def prepare(deployed: Deployed) -> None:
    """Create the bucket and the consumers' role that the guide has; the secret is there."""
    deployed.account.client("s3").create_bucket(Bucket="my-bucket")
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "ecs-tasks.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    deployed.account.client("iam").create_role(RoleName="my-service", AssumeRolePolicyDocument=policy)


@pytest.fixture(scope="module")
def applied(operator: Operator) -> Operator:
    operator.give(operator.zip_file)
    operator.terraform.succeed("apply", "-auto-approve")
    return operator


def test_other_zip_than_the_hash_names_fails_the_plan(operator: Operator) -> None:
    operator.give(operator.zip_file, "0" * 64)
    done = operator.terraform.run("plan", "-json")
    assert done.returncode == 1
    [refused] = [each["diagnostic"] for each in messages(done) if each["@level"] == "error"]
    assert refused["summary"] == "Resource precondition failed"
    assert sha256(operator.zip_file.read_bytes()).hexdigest() in refused["detail"]


def test_apply_creates_the_stack_with_the_zips_code(applied: Operator) -> None:
    lambda_ = applied.deployed.account.client("lambda")
    found = lambda_.get_function_configuration(FunctionName=applied.outputs["FunctionName"])
    assert found["CodeSize"] == applied.zip_file.stat().st_size
    iam = applied.deployed.account.client("iam")
    [attached] = iam.list_attached_role_policies(RoleName="my-service")["AttachedPolicies"]
    assert attached["PolicyArn"] == applied.outputs["ConsumerPolicyArn"]


def test_first_scheduled_run_writes_the_token(applied: Operator) -> None:
    summary = applied.deployed.account.invoke(applied.outputs["FunctionName"], {})
    assert summary["rotated"] == 1
    assert applied.parameter("/healthwise/token")


def test_second_plan_is_empty(applied: Operator) -> None:
    done = applied.terraform.run("plan", "-detailed-exitcode", "-json")
    assert done.returncode == 0, "2 if something would change"
    assert [each for each in messages(done) if each["@level"] != "info"] == []


def test_state_has_no_secret_and_no_token(applied: Operator) -> None:
    state = (applied.terraform.folder / "terraform.tfstate").read_text()
    assert applied.deployed.secret_arn in state
    assert CANARY_SECRET not in state
    assert applied.parameter("/healthwise/token") not in state


def test_new_zip_changes_only_object_and_stack(applied: Operator, tmp_path: Path) -> None:
    other = Path(shutil.copy(applied.zip_file, tmp_path / "other.zip"))
    with zipfile.ZipFile(other, "a") as archive:
        archive.writestr("VERSION", "2")
    applied.give(other)
    done = applied.terraform.run("plan", "-json")
    assert done.returncode == 0, done.stdout
    changes = [each["change"] for each in messages(done) if each["type"] == "planned_change"]
    assert {each["resource"]["addr"]: each["action"] for each in changes} == {
        "module.rotator.aws_s3_object.code": "replace",
        "module.rotator.aws_cloudformation_stack.rotator": "update",
        "module.rotator.data.aws_lambda_function.deployed": "read",
    }


def test_replaced_function_code_is_a_warning(applied: Operator, tmp_path: Path) -> None:
    planted = tmp_path / "planted.zip"
    with zipfile.ZipFile(planted, "w") as archive:
        archive.writestr("rotator/handler.py", "def lambda_handler(*_): return {}")
    name = applied.outputs["FunctionName"]
    lambda_ = applied.deployed.account.client("lambda")
    lambda_.update_function_code(FunctionName=name, ZipFile=planted.read_bytes())
    applied.give(applied.zip_file)
    done = applied.terraform.run("plan", "-json", "-refresh=false")
    [warning] = [each["diagnostic"] for each in messages(done) if each["@level"] == "warn"]
    assert done.returncode == 0
    assert name in warning["detail"]


def test_destroy_leaves_token_and_secret(applied: Operator) -> None:
    token = applied.parameter("/healthwise/token")
    applied.terraform.succeed("destroy", "-auto-approve")
    account = applied.deployed.account
    assert account.client("s3").list_objects_v2(Bucket="my-bucket")["KeyCount"] == 0
    assert account.client("lambda").list_functions()["Functions"] == []
    assert applied.parameter("/healthwise/token") == token
    secret = account.client("secretsmanager").get_secret_value(SecretId=applied.deployed.secret_arn)
    assert CANARY_SECRET in secret["SecretString"]
