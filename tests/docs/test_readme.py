"""README and guides are true about commands and the demo's output."""

from __future__ import annotations

import re

import pytest

import guides
from conftest import CHECKOUT
from rotator import __version__

README = (CHECKOUT / "README.md").read_text()
MAKEFILE = (CHECKOUT / "Makefile").read_text()
SOURCES = {name: (CHECKOUT / name).read_text() for name in ("README.md", ".github/CONTRIBUTING.md")}


@pytest.mark.parametrize("source", SOURCES)
def test_every_make_target_that_is_named_exists(source: str) -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z]+)\b", SOURCES[source], re.MULTILINE))
    assert named
    assert named <= set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def test_readme_states_the_version() -> None:
    assert f"version {__version__}." in README


def test_deployment_parameters_exist_in_template() -> None:
    template = (CHECKOUT / "infra" / "template.yaml").read_text()
    settings = re.findall(r'SET="(.+?)"', README)
    assert settings
    for name in re.findall(r"(\w+)=", " ".join(settings)):
        assert f"\n  {name}:\n" in template


def test_readme_demo_steps_equal_printed_steps() -> None:
    demo = (CHECKOUT / "rotator" / "devstack" / "demo.py").read_text()
    shown = "\n".join(guides.picture_lines(guides.FOLDER / "demo.svg"))
    steps = re.findall(r"^✓ (.+) \(\d", shown, re.MULTILINE)
    assert steps == re.findall(r'self\.step\("(.+?)"\)', demo)
