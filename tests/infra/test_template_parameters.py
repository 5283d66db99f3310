"""The template's parameters and sentences, as the operator's commands read them."""

from __future__ import annotations

import pytest
import yaml  # type: ignore[import-untyped]

from infra import template_parameters
from infra.deploy import TEMPLATE

TEXT = TEMPLATE.read_text()


class Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML with CloudFormation's short forms, left as they are."""


Loader.add_multi_constructor("!", lambda _loader, tag, node: (tag, node.value and str(node.value)))


def test_parameter_names_are_read_from_the_template() -> None:
    assert list(template_parameters.rules(TEXT)) == list(yaml.load(TEXT, Loader)["Parameters"])
    assert template_parameters.rules("Resources: {}\n") == {}


def test_parameter_rule_is_read_from_the_template() -> None:
    of_yaml = yaml.load(TEXT, Loader)["Parameters"]
    for name in ("CodeBucket", "ParameterName", "TokenEndpoint"):
        expected = (of_yaml[name]["AllowedPattern"], of_yaml[name]["ConstraintDescription"])
        assert template_parameters.pattern(TEXT, name) == expected
    with pytest.raises(KeyError, match="AllowedPattern"):
        template_parameters.pattern(TEXT, "CodeKey")


def test_parameter_defaults_are_read_from_the_template() -> None:
    of_yaml = yaml.load(TEXT, Loader)["Parameters"]
    expected = {name: str(rule["Default"]) for name, rule in of_yaml.items() if "Default" in rule}
    found = {
        name: rule["Default"] for name, rule in template_parameters.rules(TEXT).items() if "Default" in rule
    }
    assert found == expected


def test_refusal_repeats_only_text_of_the_template() -> None:
    said = (
        "Value 'hunter2' of ScheduleMinutes; 'hunter2' failed to satisfy constraint: must be an https address"
    )
    assert template_parameters.own_words(TEXT, said) == ("ScheduleMinutes", "must be an https address")
    assert template_parameters.own_words(TEXT, "hunter2") == ()


def test_rule_text_is_repeated_without_its_full_stop() -> None:
    sentence = "CreateKey also creates the key for the log. Remove LogKmsKeyArn"
    said = f"Template error: assertion failed: {sentence}. (hunter2)"
    assert template_parameters.own_words(TEXT, said) == (sentence,)
