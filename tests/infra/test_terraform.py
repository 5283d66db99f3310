"""The Terraform module: it says what the template says, and deploys what the template describes.

The tests of a deployment run in their order, as a file's always do: they share one stack and its end.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import deployed_stack
import template
from conftest import CHECKOUT
from deployed_stack import CLIENT_ID, Deployed
from deployment_guide import block
from fake_ports import CANARY_SECRET
from infra.terraform import generate
from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.deployment import TEMPLATE
from terraform_cli import Terraform, find_terraform, messages, provider_installation

MODULE = CHECKOUT / "infra" / "terraform"
VARIABLES = (MODULE / "variables.tf").read_text()
OF_TERRAFORM = {generate.snake_case(name): name for name in template.PARAMETERS if name != "CodeKey"}
"""The template's parameters by their variables. The module names the zip's key itself."""

_BLOCK = re.compile(r'^variable "(\w+)" \{\n((?:  .*\n|\n)*)\}$', re.MULTILINE)
BLOCKS = dict(_BLOCK.findall(VARIABLES))

NUMBERS = ("-1", "0", "0.09", "0.1", "0.667", "1", "5", "7", "9", "10", "15.5", "128", "900", "901", "10001")
TEXTS = (
    *(
        "",
        " ",
        "x",
        "a b",
        "a\nb",
        "/",
        "//",
        "/a",
        "/a/",
        "/aws/a",
        "/SSM/a",
        "/awsome",
        "/a" * 14,
        "/a" * 15,
    ),
    *(
        "{}",
        "{",
        '{"a": "b"}',
        "${a}",
        "60",
        "059",
        "9999999",
        "10000000",
        "a,b",
        "a, b",
        "a,,b",
        'a"b',
        "a\\b",
    ),
    *("https://a", "https://a b", "https://u@a", "http://a", "http://localhost:80/a", "http://127.0.0.1/a"),
    *("http://proxy:3128", "a.example.com", "on-call@example.com", "on-call@example", "web/api", "web/api/c"),
    *(
        "subnet-0a",
        "subnet-0a,subnet-0b",
        "sg-0a",
        "sg-0a,",
        "a/",
        "a/b/",
        "/teams/payments/",
        "bucket",
        "Bucket",
    ),
    "arn:aws:secretsmanager:eu-central-1:123456789012:secret:healthwise/client-AbCdEf",
    "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "arn:aws:sns:eu-central-1:123456789012:on-call",
    "arn:aws:sqs:eu-central-1:123456789012:changes",
    "arn:aws:lambda:eu-central-1:123456789012:function:reload:live",
    "arn:aws:iam::aws:policy/a",
    *("/" + "a" * length for length in (127, 879, 880, 939, 940, 966, 967)),
)


def attribute(name: str, key: str) -> Any:
    """What a variable's block says of an attribute."""
    found = re.search(rf"^  {key} += (.+)$", BLOCKS[name], re.MULTILINE)
    if not found:
        return None
    return found[1] if key == "type" else json.loads(found[1].replace("$${", "${"))


def test_generated_files_are_those_of_the_template() -> None:
    for name, content in generate.files(TEMPLATE.read_text()).items():
        assert (MODULE / name).read_text() == content, "run: python -m infra.terraform.generate"


def test_variables_are_the_templates_parameters() -> None:
    assert list(BLOCKS) == list(OF_TERRAFORM)
    for name, parameter in OF_TERRAFORM.items():
        rules = template.PARAMETERS[parameter]
        default, kind = attribute(name, "default"), attribute(name, "type")
        assert kind == (
            "number"
            if rules["Type"] == "Number"
            else "bool"
            if "true" in rules.get("AllowedValues", [])
            else "string"
        )
        as_cloudformation_has_it = json.dumps(default) if kind == "bool" else default
        assert as_cloudformation_has_it == rules.get("Default"), name
        assert attribute(name, "description")


def test_each_parameter_gets_its_own_variable() -> None:
    given = dict(
        re.findall(r"^    (\w+) += var\.(\w+)$", (MODULE / "parameters.tf").read_text(), re.MULTILINE)
    )
    assert given == {parameter: name for name, parameter in OF_TERRAFORM.items()}


def test_outputs_are_the_templates_outputs() -> None:
    text = (MODULE / "outputs.tf").read_text()
    found = re.findall(r'^output "(\w+)" \{\n.*\n  value +=.*outputs, "(\w+)", null\)$', text, re.MULTILINE)
    assert found == [(generate.snake_case(name), name) for name in template.DOCUMENT["Outputs"]]


def test_validations_refuse_exactly_what_the_template_refuses(tmp_path: Path) -> None:
    """Terraform's own regular expressions, on values that are right for one parameter or another."""
    allowed = {
        str(value) for rules in template.PARAMETERS.values() for value in rules.get("AllowedValues", [])
    }
    texts = sorted({*TEXTS, *allowed})
    cases = {
        name: NUMBERS if template.PARAMETERS[OF_TERRAFORM[name]]["Type"] == "Number" else texts
        for name in OF_TERRAFORM
    }
    cases = {name: values for name, values in cases.items() if attribute(name, "type") != "bool"}
    conditions = dict(
        re.findall(r'^variable "(\w+)" \{(?:\n  .*|\n)*?\n    condition +=(.*)$', VARIABLES, re.MULTILINE)
    )
    expressions = [
        expression(conditions.get(name, "true").replace(f"var.{name}", "v"), values)
        for name, values in cases.items()
    ]
    done = Terraform(tmp_path).run("console", given="\n".join(expressions))
    assert done.returncode == 0, done.stderr
    for (name, values), line in zip(cases.items(), done.stdout.splitlines(), strict=True):
        accepted = [value for value, holds in zip(values, json.loads(json.loads(line)), strict=True) if holds]
        assert accepted == [value for value in values if template.takes(OF_TERRAFORM[name], value)], name


def expression(condition: str, values: tuple[str, ...] | list[str]) -> str:
    """A line for Terraform's console: whether the condition holds for each value."""
    literals = json.dumps(json.dumps(values)).replace("${", "$${")
    return f"jsonencode([for v in jsondecode({literals}) : {condition}])"


def test_invalid_variable_is_refused_with_the_templates_sentence(tmp_path: Path) -> None:
    (tmp_path / "module").mkdir()
    shutil.copy(MODULE / "variables.tf", tmp_path / "module")
    given = (
        'code_bucket = "code"\n  parameter_name = "/aws/token"\n  schedule_minutes = 7\n  log_level = "info"'
    )
    (tmp_path / "main.tf").write_text(f'module "rotator" {{\n  source = "./module"\n  {given}\n}}\n')
    terraform = Terraform(tmp_path)
    terraform.succeed("init")
    done = terraform.run("plan", "-json")
    assert done.returncode == 1
    refused = sorted(each["diagnostic"]["detail"] for each in messages(done) if each["@level"] == "error")
    assert [text.partition("\n")[0].split(" must be ")[0] for text in refused] == [
        "log_level",
        "parameter_name",
        "schedule_minutes",
    ]
    assert template.PARAMETERS["ParameterName"]["ConstraintDescription"] in refused[1]


def test_module_is_formatted() -> None:
    assert Terraform(MODULE).run("fmt", "-check", "-diff").stdout == ""


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
        yield operator


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


def test_guide_configuration_is_valid(operator: Operator) -> None:
    operator.terraform.succeed("validate")


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
    for secret in (CANARY_SECRET, CLIENT_ID + '"', applied.parameter("/healthwise/token")):
        assert secret not in state


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
    assert not [each for each in account.client("lambda").list_functions()["Functions"]]
    assert applied.parameter("/healthwise/token") == token
    secret = account.client("secretsmanager").get_secret_value(SecretId=applied.deployed.secret_arn)
    assert CANARY_SECRET in secret["SecretString"]
