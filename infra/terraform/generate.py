"""Generate the variables and outputs of the Terraform module: ``python -m infra.terraform.generate``.

The template is the only source. Each parameter becomes a variable with its type, default, pattern and
ConstraintDescription, and each output becomes an output.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

MODULE = Path(__file__).resolve().parent
TEMPLATE = MODULE.parent / "template.yaml"

OWN_PARAMETERS = frozenset({"CodeKey"})
"""The parameters that the module sets itself. It uploads the zip and so knows the key."""

_HEADER = "# Generated from ../template.yaml: python -m infra.terraform.generate\n"

_LOOKAHEAD = re.compile(r"\(\?!((?:[^()]|\([^()]*\))*)\)")
"""A negative lookahead, which Terraform's regular expressions (RE2) do not have."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML whose short forms of intrinsic functions are left out."""


_Loader.add_multi_constructor("!", lambda *_: None)


def files(template: str) -> dict[str, str]:
    """Return the generated files' contents by their names."""
    document = yaml.load(template, _Loader)  # noqa: S506 - a SafeLoader
    parameters = {name: rules for name, rules in document["Parameters"].items() if name not in OWN_PARAMETERS}
    variables = [_variable(name, rules, parameters) for name, rules in parameters.items()]
    outputs = [_output(name, each["Description"]) for name, each in document["Outputs"].items()]
    width = max(map(len, parameters))
    entries = "".join(f"    {name:{width}} = var.{snake_case(name)}\n" for name in parameters)
    return {
        "variables.tf": "\n".join([_HEADER, *variables]),
        "parameters.tf": f"{_HEADER}\nlocals {{\n  parameters = {{\n{entries}  }}\n}}\n",
        "outputs.tf": "\n".join([_HEADER, *outputs]),
    }


def snake_case(name: str) -> str:
    """Return the name of a parameter or an output as Terraform writes names."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _variable(name: str, rules: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    variable = snake_case(name)
    # A description names the variables instead of the parameters.
    names = "|".join(each for each in parameters if "_" in snake_case(each))
    description = re.sub(rf"\b({names})\b", lambda found: snake_case(found[1]), rules["Description"])
    lines = {
        "type": _type(rules),
        "description": _string(description),
        "default": _literal(rules["Default"], rules) if "Default" in rules else "",
        "nullable": "false",
    }
    body = "".join(f"  {key:11} = {value}\n" for key, value in lines.items() if value)
    conditions, sentence = _conditions(f"var.{variable}", rules)
    if conditions:
        body += (
            f"\n  validation {{\n    condition     = {' && '.join(conditions)}\n"
            f"    error_message = {_string(f'{variable} {sentence}.')}\n  }}\n"
        )
    return f'variable "{variable}" {{\n{body}}}\n'


def _type(rules: Mapping[str, Any]) -> str:
    if {*rules.get("AllowedValues", [])} == {"false", "true"}:
        return "bool"
    return {"String": "string", "Number": "number"}[rules["Type"]]


def _conditions(variable: str, rules: Mapping[str, Any]) -> tuple[list[str], str]:
    """Return the conditions of the template's rules for a value, and a sentence that states them."""
    if _type(rules) == "bool":  # the type is enough
        return [], ""
    if "AllowedValues" in rules:
        values = rules["AllowedValues"]
        choices = ", ".join(str(value) or "empty" for value in values)
        literals = ", ".join(_literal(value, rules) for value in values)
        return [f"contains([{literals}], {variable})"], f"must be one of {choices}"
    if "MinValue" in rules:
        least, most = rules["MinValue"], rules["MaxValue"]
        return [f"{variable} >= {least}", f"{variable} <= {most}"], f"must be from {least} to {most}"
    conditions = []
    if pattern := rules.get("AllowedPattern"):  # which the whole value must match
        whole = _string(f"^(?:{_LOOKAHEAD.sub('', pattern)})$")
        conditions.append(f"can(regex({whole}, {variable}))")
        forbidden = (_string(f"^(?:{each})") for each in _LOOKAHEAD.findall(pattern))
        conditions += [f"!can(regex({each}, {variable}))" for each in forbidden]
    if "MaxLength" in rules:
        conditions.append(f"length({variable}) <= {rules['MaxLength']}")
    return conditions, rules.get("ConstraintDescription", "")


def _output(name: str, description: str) -> str:
    # An output whose condition is false does not exist in the stack; it is null here.
    value = f'lookup(aws_cloudformation_stack.rotator.outputs, "{name}", null)'
    attributes = f"  description = {_string(description)}\n  value       = {value}\n"
    return f'output "{snake_case(name)}" {{\n{attributes}}}\n'


def _literal(value: Any, rules: Mapping[str, Any]) -> str:
    return _string(value) if _type(rules) == "string" else str(value)


def _string(value: Any) -> str:
    """Return a quoted string of HCL, with template sequences escaped."""
    quoted = json.dumps(str(value), ensure_ascii=False)
    return quoted.replace("${", "$${").replace("%{", "%%{")


if __name__ == "__main__":
    for file, content in files(TEMPLATE.read_text()).items():
        (MODULE / file).write_text(content)
