"""README and guides tell the truth about commands, and about what the demo prints."""

from __future__ import annotations

import re
import shlex

import pytest
from click.testing import CliRunner

import guides
from conftest import CHECKOUT
from infra import deploy_request
from rotator.cli import main

README = (CHECKOUT / "README.md").read_text()
MAKEFILE = (CHECKOUT / "Makefile").read_text()
SOURCES = {name: (CHECKOUT / name).read_text() for name in ("README.md", ".github/CONTRIBUTING.md")}


@pytest.mark.parametrize("source", SOURCES)
def test_every_make_target_that_is_named_exists(source: str) -> None:
    named = set(re.findall(r"\bmake ([a-z]+)\b(?! it)", SOURCES[source]))
    assert named
    assert named <= set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def test_deployment_parameters_exist_in_template() -> None:
    template = (CHECKOUT / "infra" / "template.yaml").read_text()
    settings = re.findall(r'SET="(.+?)"', README)
    assert settings
    for name in re.findall(r"(\w+)=", " ".join(settings)):
        assert f"\n  {name}:\n" in template


GIVEN_BEFORE = {"SECRET": "healthwise/client", "PARAMETER": "/healthwise/token", "BUCKET": "my-bucket"}
"""What "..." stands for in a deployment that is shown."""


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        *(
            f"infra/docs/{name}.md"
            for name in ("deployment", "rotations", "authentication", "change-events", "operations")
        ),
    ],
)
def test_shown_make_deploy_lines_are_complete_requests(document: str) -> None:
    template = (CHECKOUT / "infra" / "template.yaml").read_text()
    shown = re.findall(r"^make deploy (.+)$", (CHECKOUT / document).read_text(), re.MULTILINE)
    assert shown
    for line in shown:
        variables = dict(word.split("=", 1) for word in shlex.split(line))
        variables |= {name: GIVEN_BEFORE[name] for name, value in variables.items() if value == "..."}
        assert variables.keys() <= {"STACK", "SECRET", "PARAMETER", "BUCKET", "SET", "TAGS"}
        assert deploy_request.read(variables, template).stack == "rotator"


@pytest.mark.parametrize(
    "command",
    sorted(set(re.findall(r"^rotator ([a-z]+(?: --[a-z-]+)*)", guides.text("cli.md"), re.MULTILINE))),
)
def test_every_command_and_option_that_is_named_exists(command: str) -> None:
    name, *options = command.split()
    help_text = CliRunner().invoke(main.main, [name, "--help"]).output
    assert all(option in help_text for option in options)


def test_readme_demo_steps_equal_printed_steps() -> None:
    demo = (CHECKOUT / "rotator" / "devstack" / "demo.py").read_text()
    steps = re.findall(r"^✓ (.+) \(\d", README, re.MULTILINE)
    assert steps == re.findall(r'self\.step\("(.+?)"\)', demo)
