"""What the guide to providers says is so: its rows, its links, and where its settings can be given."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import guides
import template
from conftest import CHECKOUT
from documented_providers import DOCUMENTED
from provider_guide import GUIDE, ROWS, TEXT
from provider_world import environment
from rotator.config.environment import read_environment
from rotator.config.rotation_documents import ROTATION_SETTINGS, read_document
from rotator.renewal.models import HEALTHWISE_TOKEN_ENDPOINT, Parameter

ON_PAPER = "its documented requests and answers"
REAL_SERVERS = {
    "oidc-provider": "tests/e2e/test_client_assertions.py",
    "django-oauth-toolkit": "tests/e2e/test_strict_server.py",
    "Authlib": "tests/e2e/test_rollover.py",  # the embedded Authorization API, as in most tests of tests/e2e
}
"""Where the rotator is run against each server that the table names."""


def test_every_provider_has_a_row_and_is_tested_as_it_says() -> None:
    assert {name for name, row in ROWS.items() if ON_PAPER in row.tested_against} == DOCUMENTED.keys()
    assert {each for row in ROWS.values() for each in row.tested_against} == {ON_PAPER, *REAL_SERVERS}
    assert all((CHECKOUT / file).is_file() for file in REAL_SERVERS.values())


@pytest.mark.parametrize("provider", sorted(DOCUMENTED))
def test_token_endpoint_is_the_documented_one(provider: str) -> None:
    endpoint = ROWS[provider].settings.get("token_endpoint", HEALTHWISE_TOKEN_ENDPOINT)
    assert re.fullmatch(DOCUMENTED[provider].endpoint, endpoint)


@pytest.mark.parametrize("provider", sorted(ROWS))
def test_document_takes_what_the_environment_takes(provider: str) -> None:
    settings = dict(ROWS[provider].settings)
    text = json.dumps({"secret_id": "client", "parameter_name": "/client/token", **settings})
    document = Parameter(value=text, version=1, type="String")
    from_document = read_document("/rotations", "/rotations/a", document, frozenset())
    read = read_environment(environment(settings, ROWS[provider].lifetime))
    assert read.rotation == replace(from_document, name="default")


@pytest.mark.parametrize("provider", sorted(ROWS))
def test_stack_takes_every_setting(provider: str) -> None:
    for key, text in ROWS[provider].settings.items():
        name = "".join(word.capitalize() for word in key.split("_")).replace("SigningKeyId", "SigningKeyArn")
        parameter = template.PARAMETERS[name]
        if key == "signing_key_id":
            continue  # the stack takes its ARN
        assert text in map(str, parameter.get("AllowedValues", [text])), name
        assert re.fullmatch(parameter.get("AllowedPattern", ".*"), text), name


@pytest.mark.parametrize("provider", sorted(ROWS))
def test_lifetime_is_one_of_the_stack_or_below_half_an_hour(provider: str) -> None:
    lifetime = ROWS[provider].lifetime
    known = lifetime in template.PARAMETERS["TokenLifetime"]["AllowedValues"]
    assert known or ROTATION_SETTINGS["lifetime"](lifetime) < 1800


def test_lines_of_prose_are_short() -> None:
    lines = TEXT.splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 100 and not line.startswith("|")] == []


@pytest.mark.parametrize("document", [guides.README, guides.FOLDER / "README.md"])
def test_other_documents_lead_to_the_guide(document: Path) -> None:
    assert GUIDE in [file.resolve() for file, _ in guides.links(document)]
