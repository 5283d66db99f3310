"""The packaged template differs from the template only in the place of the code."""

from __future__ import annotations

import pytest
import yaml  # type: ignore[import-untyped]

from infra import packaging
from infra.deploy import TEMPLATE

TEXT = TEMPLATE.read_text()


class Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML with CloudFormation's short forms, left as they are."""


Loader.add_multi_constructor("!", lambda _loader, tag, node: (tag, node.value and str(node.value)))


def test_packaging_changes_only_the_code_and_its_parameters() -> None:
    names = list(yaml.load(TEXT, Loader)["Parameters"])
    after = names[names.index("CodeKey") + 1]
    expected = TEXT[: TEXT.index("  CodeBucket:\n")] + TEXT[TEXT.index(f"  {after}:\n") :]
    code = "      Code:\n        S3Bucket: !Ref CodeBucket\n        S3Key: !Ref CodeKey\n"
    grouped = "      - CodeBucket\n      - CodeKey\n"
    for before, now in ((grouped, ""), (code, "      Code: rotator.zip\n")):
        assert expected.count(before) == 1
        expected = expected.replace(before, now)
    assert packaging.with_local_code(TEXT, "rotator.zip") == expected


def test_packaged_yaml_differs_only_in_the_code() -> None:
    expected = yaml.load(TEXT, Loader)
    for name in packaging.CODE_PARAMETERS:
        del expected["Parameters"][name]
    for group in expected["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]:
        group["Parameters"] = [n for n in group["Parameters"] if n not in packaging.CODE_PARAMETERS]
    expected["Resources"]["Function"]["Properties"]["Code"] = "rotator.zip"
    assert yaml.load(packaging.with_local_code(TEXT, "rotator.zip"), Loader) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT.replace("      Code:\n", "      Inline:\n"),
        TEXT + "# CodeKey\n",
        TEXT + "      Code:\n        S3Bucket: again\n",
    ],
    ids=["empty", "no code", "a name that is left", "two functions"],
)
def test_unexpected_template_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must have one function with its code in CodeBucket and CodeKey"):
        packaging.with_local_code(text, "rotator.zip")


def test_parameter_names_are_read_from_the_template() -> None:
    assert packaging.parameter_names(TEXT) == tuple(yaml.load(TEXT, Loader)["Parameters"])
    assert packaging.parameter_names("Resources: {}\n") == ()


def test_parameter_rule_is_read_from_the_template() -> None:
    parameters = yaml.load(TEXT, Loader)["Parameters"]
    for name in ("CodeBucket", "ParameterName", "TokenEndpoint"):
        expected = (parameters[name]["AllowedPattern"], parameters[name]["ConstraintDescription"])
        assert packaging.rule(TEXT, name) == expected
    with pytest.raises(ValueError, match="must have a pattern and a sentence for CodeKey"):
        packaging.rule(TEXT, "CodeKey")


def test_refusal_repeats_only_text_of_the_template() -> None:
    said = (
        "Value 'hunter2' of ScheduleMinutes; 'hunter2' failed to satisfy constraint: must be an https address"
    )
    assert packaging.own_words(TEXT, said) == ("ScheduleMinutes", "must be an https address")
    assert packaging.own_words(TEXT, "hunter2") == ()


def test_rule_text_is_repeated_without_its_full_stop() -> None:
    sentence = "CreateKey also creates the key for the log. Remove LogKmsKeyArn"
    said = f"Template error: assertion failed: {sentence}. (hunter2)"
    assert packaging.own_words(TEXT, said) == (sentence,)
