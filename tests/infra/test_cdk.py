"""The recipes for CDK and SAM, as printed: CDK's runs as far as the synthesized template."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

import node_packages
import template
from conftest import CHECKOUT
from deployment_guide import block
from rotator.devstack.deployment import TEMPLATE

SAM_TEMPLATE = block("yaml")
ZIP = b"a zip"


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory, clean_environment: Mapping[str, str]) -> Path:
    """What the app synthesizes as ``cdk synth`` runs it."""
    folder = tmp_path_factory.mktemp("cdk")
    (folder / "node_modules").symlink_to(node_packages.node_modules())
    (folder / "rotator").symlink_to(CHECKOUT)
    (folder / "rotator.zip").write_bytes(ZIP)
    (folder / "app.mts").write_text(block("ts"))
    environ = {**clean_environment, "CDK_OUTDIR": str(folder / "out")}
    command = [str(node_packages.NODE), "app.mts"]
    subprocess.run(command, env=environ, cwd=folder, capture_output=True, check=True)
    return folder / "out"


@pytest.fixture(scope="module")
def synthesized(assembly: Path) -> Any:
    return json.loads((assembly / "my-app.template.json").read_text())


def nested(document: dict[str, Any]) -> Any:
    """The properties of a template's nested stack."""
    resource = document["Resources"]["Rotator"]
    assert resource["Type"] == "AWS::CloudFormation::Stack"
    return resource["Properties"]


def test_cdk_nested_stack_has_the_template_unchanged(assembly: Path, synthesized: dict[str, Any]) -> None:
    url = nested(synthesized)["TemplateURL"]["Fn::Sub"]
    file = assembly / f"asset.{url.rpartition('/')[2]}"
    assert file.read_bytes() == TEMPLATE.read_bytes()


def test_cdk_code_is_the_asset_of_the_zip(assembly: Path, synthesized: dict[str, Any]) -> None:
    key = nested(synthesized)["Parameters"]["CodeKey"]
    assert (assembly / f"asset.{key}").read_bytes() == ZIP


def test_cdk_parameters_are_valid_for_the_template(synthesized: dict[str, Any]) -> None:
    check_parameters(nested(synthesized)["Parameters"])
    for output in synthesized["Outputs"].values():
        logical, attribute = output["Value"]["Fn::GetAtt"]
        assert logical == "Rotator"
        assert attribute.removeprefix("Outputs.") in template.DOCUMENT["Outputs"]


def check_parameters(given: Mapping[str, Any]) -> None:
    """Fail if the template would refuse the values, or misses one; what a function returns may be any."""
    required = {name for name, rules in template.PARAMETERS.items() if "Default" not in rules}
    assert required <= given.keys() <= template.PARAMETERS.keys()
    assert [
        name for name, value in given.items() if isinstance(value, str) and not template.takes(name, value)
    ] == []
    literals = {name: value for name, value in given.items() if isinstance(value, str)}
    assert template.Stack({**dict.fromkeys(required, "x"), **literals}).refused == []


def lint(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "rotator").symlink_to(CHECKOUT)
    (folder / "template.yaml").write_text(text)
    command = [str(Path(sys.executable).with_name("cfn-lint")), "template.yaml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_sam_recipe_passes_cfn_lint(tmp_path: Path) -> None:
    done = lint(SAM_TEMPLATE, tmp_path)
    assert (done.returncode, done.stdout) == (0, "")


def test_sam_recipe_with_an_unknown_parameter_fails(tmp_path: Path) -> None:
    done = lint(SAM_TEMPLATE.replace("AlarmEmail:", "AlarmMail:"), tmp_path)
    assert done.returncode != 0
    assert "AlarmMail" in done.stdout


def test_sam_parameters_are_valid_for_the_template() -> None:
    document = yaml.load(SAM_TEMPLATE, template._Loader)
    check_parameters(nested(document)["Parameters"])
    for output in document["Outputs"].values():
        assert output["Value"]["Fn::GetAtt"].removeprefix("Rotator.Outputs.") in template.DOCUMENT["Outputs"]
