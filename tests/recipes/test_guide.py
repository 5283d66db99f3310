"""What the guide says around its recipes is true: links, numbers, names, and what it says is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import guides
import template
from consumer_guide import PLATFORMS, block, blocks, text
from rotator.renewal.durations import describe_seconds
from rotator.renewal.guarantee import Guarantee


def test_the_table_leads_to_every_recipe() -> None:
    linked = re.findall(r"^\|.+?\| \[.+?\]\((\w+)\.md\) \|", text("README"), re.MULTILINE)
    assert linked == list(PLATFORMS)
    assert {each.stem for each in (guides.FOLDER / "consumers").glob("*.md")} == {"README", *PLATFORMS}


@pytest.mark.parametrize("document", [guides.README, guides.FOLDER / "README.md"])
def test_the_other_documents_lead_to_the_guide(document: Path) -> None:
    assert guides.FOLDER / "consumers" / "README.md" in [file.resolve() for file, _ in guides.links(document)]


def test_recipes_use_exactly_the_exported_variables() -> None:
    reported = set(re.findall(r"^export (\w+)=", block("README", "sh"), re.MULTILINE))
    used = {
        name
        for platform in PLATFORMS[:4]
        for language in ("python", "js", "sh")
        for code in blocks(platform, language)
        for name in re.findall(r'environ\["(\w+)"\]|process\.env\.(\w+)|"\$(\w+)"', code)
    }
    flat = {each for names in used for each in names if each.isupper()}
    of_lambda, of_exec = {"AWS_SESSION_TOKEN", "FUNCTION", "LAYER"}, {"TOKEN"}
    assert flat - of_lambda - of_exec == reported


def test_stated_guarantee_matches_the_defaults() -> None:
    assert describe_seconds(Guarantee().guaranteed_lifetime(86400, 0.667)) in guides.words(text("README"))


def test_stated_cache_limits_match_the_template() -> None:
    cache = template.PARAMETERS["ConsumerCacheSeconds"]
    reported = re.search(
        r"`ConsumerCacheSeconds`: (\d+) by default, up to (\d+) with tokens of 24 hours",
        guides.words(text("README")),
    )
    assert reported
    assert int(reported[1]) == cache["Default"] == Guarantee().consumer_cache
    assert int(reported[2]) in cache["AllowedValues"]
    [rule] = template.DOCUMENT["Rules"]["LongCache"]["Assertions"]
    assert f"With 24h, it must be at most {reported[2]}" in rule["AssertDescription"]


def test_every_parameter_of_the_stack_that_is_named_exists() -> None:
    named = re.findall(r'SET="(\w+)=', "".join(map(text, PLATFORMS)))
    assert named
    assert set(named) <= template.PARAMETERS.keys()


@pytest.mark.parametrize("platform", PLATFORMS[:-1])  # the last one points to the others
def test_every_recipe_covers_a_401_and_an_ssm_outage(platform: str) -> None:
    assert "401" in text(platform)
    assert "SSM down" in text(platform) or "SSM is down" in text(platform)
