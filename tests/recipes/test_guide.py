"""What the guide says around its recipes is true: links, numbers, names, and what it says is run."""

from __future__ import annotations

import re

import pytest

import template
from conftest import CHECKOUT
from consumer_guide import GUIDE, TEXT, block, blocks, section
from rotator.renewal.durations import describe_seconds
from rotator.renewal.guarantee import Guarantee

HEADINGS = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
RECIPES = [heading for heading in HEADINGS if heading[0].isdigit()]


def anchor(heading: str) -> str:
    """The name that GitHub gives it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_table_leads_to_every_recipe() -> None:
    linked = re.findall(r"^\|.+?\| \[\d\]\(#(.+?)\) \|", TEXT, re.MULTILINE)
    assert linked == [anchor(heading) for heading in RECIPES]


def test_every_link_inside_the_repository_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https:)([^)#]*)(?:#([^)]+))?\)", TEXT)
    assert links
    for file, name in links:
        target = GUIDE.parent / file if file else GUIDE
        headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
        assert not name or name in map(anchor, headings), f"{file}#{name}"


@pytest.mark.parametrize(
    ("document", "link"), [("README.md", "infra/consumers.md"), ("infra/README.md", "consumers.md")]
)
def test_the_other_documents_lead_to_the_guide(document: str, link: str) -> None:
    assert f"]({link})" in (CHECKOUT / document).read_text()


def test_recipes_use_exactly_the_exported_variables() -> None:
    reported = set(re.findall(r"^export (\w+)=", block("", "sh"), re.MULTILINE))
    used = {
        name
        for heading in RECIPES[:4]
        for language in ("python", "js", "sh")
        for code in blocks(heading, language)
        for name in re.findall(r'environ\["(\w+)"\]|process\.env\.(\w+)|"\$(\w+)"', code)
    }
    flat = {each for names in used for each in names if each.isupper()}
    of_lambda, of_exec = {"AWS_SESSION_TOKEN", "FUNCTION", "LAYER"}, {"TOKEN"}
    assert flat - of_lambda - of_exec == reported


def test_stated_guarantee_matches_the_defaults() -> None:
    assert describe_seconds(Guarantee().guaranteed_lifetime(86400, 0.667)) in section("")


def test_stated_cache_limits_match_the_template() -> None:
    cache = template.PARAMETERS["ConsumerCacheSeconds"]
    reported = re.search(
        r"`ConsumerCacheSeconds`: (\d+) by default, up to (\d+) with tokens of 24 hours", TEXT
    )
    assert reported
    assert int(reported[1]) == cache["Default"] == Guarantee().consumer_cache
    assert int(reported[2]) in cache["AllowedValues"]
    [rule] = template.DOCUMENT["Rules"]["LongCache"]["Assertions"]
    assert f"at most {reported[2]}, only if tokens live 24h" in rule["AssertDescription"]


def test_every_parameter_of_the_stack_that_is_named_exists() -> None:
    named = re.findall(r'SET="(\w+)=', TEXT)
    assert named
    assert set(named) <= template.PARAMETERS.keys()


@pytest.mark.parametrize("heading", RECIPES[:-1])  # the last one points to the others
def test_every_recipe_covers_a_401_and_an_ssm_outage(heading: str) -> None:
    assert "401" in section(heading)
    assert "SSM down" in section(heading) or "SSM is down" in section(heading)
