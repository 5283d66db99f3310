"""The template as CloudFormation reads it: patterns, rules, conditions, and the functions it uses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from rotator.devstack.deployment import TEMPLATE


class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """YAML with CloudFormation's short forms, read as the long ones."""

    def long_form(self, tag: str, node: Any) -> dict[str, Any]:
        is_scalar = isinstance(node, yaml.ScalarNode)
        value = self.construct_scalar(node) if is_scalar else self.construct_sequence(node, deep=True)
        return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _Loader.long_form)


def read(file: Path) -> dict[str, Any]:
    """A template with the long forms of CloudFormation's functions."""
    return dict(yaml.load(file.read_text(), _Loader))


DOCUMENT = read(TEMPLATE)
PARAMETERS: dict[str, dict[str, Any]] = DOCUMENT["Parameters"]

NO_VALUE = object()
PSEUDO: Mapping[str, Any] = {
    "AWS::NoValue": NO_VALUE,
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::AccountId": "123456789012",
    "AWS::StackName": "rotator",
    "AWS::URLSuffix": "amazonaws.com",
}


def takes(parameter: str, value: str) -> bool:
    """Whether CloudFormation takes the value for the parameter."""
    rules = PARAMETERS[parameter]
    if "AllowedValues" in rules:
        return value in map(str, rules["AllowedValues"])
    if rules["Type"] == "Number":
        return bool(rules["MinValue"] <= float(value) <= rules["MaxValue"])
    size_is_right = rules.get("MinLength", 0) <= len(value) <= rules.get("MaxLength", 4096)
    return size_is_right and re.fullmatch(rules.get("AllowedPattern", "(?s:.*)"), value) is not None


@dataclass(frozen=True)
class Stack:
    """A stack with these parameters and the template's defaults; a resource is ``<Name>`` in it."""

    given: Mapping[str, str] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=lambda: DOCUMENT)
    """The template, today's if none is given."""

    @cached_property
    def parameters(self) -> dict[str, str]:
        """Every parameter that has a value."""
        defaults = {
            name: str(rules["Default"])
            for name, rules in self.document["Parameters"].items()
            if "Default" in rules
        }
        return {**defaults, **self.given}

    @cached_property
    def refused(self) -> list[str]:
        """What the rules that do not hold say."""
        found = []
        for rule in self.document["Rules"].values():
            if self.resolve(rule.get("RuleCondition", {"Fn::Equals": ["", ""]})):
                found += [a["AssertDescription"] for a in rule["Assertions"] if not self.resolve(a["Assert"])]
        return found

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        """The properties of every resource that the stack has."""
        return {
            name: self.resolve(resource["Properties"])
            for name, resource in self.document["Resources"].items()
            if self.holds(resource.get("Condition"))
        }

    @cached_property
    def outputs(self) -> dict[str, Any]:
        """Its outputs."""
        outputs = self.document["Outputs"].items()
        return {n: self.resolve(o["Value"]) for n, o in outputs if self.holds(o.get("Condition"))}

    def statements(self, *roles: str) -> Iterator[dict[str, Any]]:
        """Every statement of these roles, or of all of them."""
        for name, properties in self.resources.items():
            if not roles or name in roles:
                for policy in properties.get("Policies", []):
                    yield from policy["PolicyDocument"]["Statement"]

    def holds(self, condition: str | None) -> bool:
        """Whether a condition holds; none always does."""
        return condition is None or bool(self.resolve(self.document["Conditions"][condition]))

    def resolve(self, value: Any) -> Any:
        """The value as the resource gets it."""
        if isinstance(value, list):
            return [found for found in map(self.resolve, value) if found is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Condition" and isinstance(argument, str):
                return self.holds(argument)
            if name == "Ref" or name.startswith("Fn::"):
                return getattr(self, "_" + name.removeprefix("Fn::").lower())(argument)
        resolved = {name: self.resolve(each) for name, each in value.items()}
        return {name: each for name, each in resolved.items() if each is not NO_VALUE}

    def _ref(self, name: str) -> Any:
        return PSEUDO[name] if name in PSEUDO else self.parameters.get(name, f"<{name}>")

    def _getatt(self, name: str) -> str:
        return f"<{name}>"

    def _sub(self, argument: Any) -> str:
        text, variables = argument if isinstance(argument, list) else (argument, {})
        known = {name: str(self.resolve(value)) for name, value in variables.items()}
        return re.sub(
            r"\$\{([\w:.]+)}", lambda m: known[m[1]] if m[1] in known else str(self._ref(m[1])), text
        )

    def _if(self, argument: list[Any]) -> Any:
        condition, yes, no = argument
        return self.resolve(yes if self.holds(condition) else no)

    def _equals(self, argument: list[Any]) -> bool:
        one, other = map(self.resolve, argument)
        return str(one) == str(other)

    def _not(self, argument: list[Any]) -> bool:
        return not self.resolve(argument[0])

    def _and(self, argument: list[Any]) -> bool:
        return all(map(self.resolve, argument))

    def _or(self, argument: list[Any]) -> bool:
        return any(map(self.resolve, argument))

    def _contains(self, argument: list[Any]) -> bool:
        choices, value = argument
        return self.resolve(value) in choices

    def _split(self, argument: list[Any]) -> list[str]:
        separator, text = argument
        return str(self.resolve(text)).split(separator)

    def _select(self, argument: list[Any]) -> Any:
        index, choices = argument
        return self.resolve(choices)[int(index)]

    def _findinmap(self, argument: list[Any]) -> Any:
        name, key, second = map(self.resolve, argument)
        return self.document["Mappings"][name][str(key)][second]
