"""The Terraform module says what the template says: its variables, what they refuse, and its outputs."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import template
from conftest import CHECKOUT
from deployment_guide import block
from infra.terraform import generate
from rotator.devstack.deployment import TEMPLATE
from terraform_cli import Terraform, messages

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
        "a b",
        "a\nb",
        "a, b",
        "https://a b",
        '{"a": "b"}',
        *("/" + "a" * size for size in (127, 128)),
    ),
    *("/" + "a" * size for size in (199, 200, 399, 400, 879, 880, 899, 900, 939, 940, 966, 967)),
    *(
        "x",
        "/",
        "//",
        "/a",
        "/a/",
        "/aws/a",
        "/SSM/a",
        "/awsome",
        "{}",
        "{",
        "${a}",
        'a"b',
        "a\\b",
        "a,b",
        "a,,b",
    ),
    *(
        "https://a",
        "https://u@a",
        "http://a",
        "http://localhost:80/a",
        "http://127.0.0.1/a",
        "http://proxy:3128",
    ),
    *("a.example.com", "on-call@example.com", "on-call@example", "web/api", "web/api/c", "bucket", "Bucket"),
    *("subnet-0a", "subnet-0a,subnet-0b", "sg-0a", "sg-0a,", "a/", "a/b/", "/teams/payments/"),
    *("60", "059", "9999999", "10000000"),
    "/a" * 14,
    "/a" * 15,
    "arn:aws:secretsmanager:eu-central-1:123456789012:secret:healthwise/client-AbCdEf",
    "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "arn:aws:sns:eu-central-1:123456789012:on-call",
    "arn:aws:sqs:eu-central-1:123456789012:changes",
    "arn:aws:lambda:eu-central-1:123456789012:function:reload:live",
    "arn:aws:iam::aws:policy/a",
)
"""Values that are right for one parameter or another, or for none."""


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
    cases = {name: candidates(name) for name in BLOCKS}
    results = [f"{name} = [for v in jsondecode({hcl(cases[name])}) : {condition(name)}]" for name in cases]
    (tmp_path / "main.tf").write_text("locals {\n  found = {\n    " + "\n    ".join(results) + "\n  }\n}\n")
    done = Terraform(tmp_path).run("console", given="jsonencode(local.found)")
    assert done.returncode == 0, done.stderr
    found = json.loads(json.loads(done.stdout))
    for name, values in cases.items():
        accepted = [value for value, holds in zip(values, found[name], strict=True) if holds]
        assert accepted == [value for value in values if template.takes(OF_TERRAFORM[name], value)], name


def candidates(name: str) -> list[str]:
    """Values for a variable: right for it, right for another one, or for none."""
    if attribute(name, "type") == "bool":
        return ["true", "false"]
    allowed = [str(value) for value in template.PARAMETERS[OF_TERRAFORM[name]].get("AllowedValues", [])]
    return [*(NUMBERS if attribute(name, "type") == "number" else TEXTS), *allowed]


def hcl(values: list[str]) -> str:
    """The values as JSON in a string of HCL."""
    return json.dumps(json.dumps(values)).replace("${", "$${")


def condition(name: str) -> str:
    """The condition in a variable's validation for a value ``v``, a string; true without one."""
    found = re.search(r"^    condition +=(.*)$", BLOCKS[name], re.MULTILINE)
    value = "tonumber(v)" if attribute(name, "type") == "number" else "v"
    return re.sub(rf"\bvar\.{name}\b", value, found[1]) if found else "true"


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


def test_module_and_guide_are_formatted(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(block("hcl"))
    assert Terraform(tmp_path).run("fmt", "-check", "-diff", ".", str(MODULE)).stdout == ""
