"""Messages, help, docstrings and the template use the field's terms, and no private ones."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import guides
from conftest import CHECKOUT
from field_terms import private_terms
from rotator.cli import main

SOURCES = sorted(path for folder in ("rotator", "infra") for path in (CHECKOUT / folder).rglob("*.py"))
TESTS = sorted((CHECKOUT / "tests").rglob("*.py"))
COMMANDS = main.main.list_commands(click.Context(main.main))
TEMPLATE = CHECKOUT / "infra" / "template.yaml"
ABOUT_THE_PROJECT = sorted((CHECKOUT / ".github").glob("*.md"))

ALLOWED = {
    "begins or ends with a space": "a value of a secret, not a token",
    "its log ends with": "a text",
    "run ended": "the log line of each run, which operators search for",
    "ended without releasing its lease": "a run",
    "never ends": "a simulated outage",
    "claims of a JWT": "the term of RFC 7519",
    "claims of a token": "the term of RFC 7519",
    "the claim ``exp``": "the term of RFC 7519",
    "has no claims": "the term of RFC 7519",
    "claims of two assertions": "the term of RFC 7519",
    "Header and claims": "the term of RFC 7519",
}
"""Uses of these words that are the field's own, each with its reason."""

IN_DOCSTRINGS = re.compile(r"\b(ends|ended)\b")
"""In a docstring, tasks, runs and texts end. What users read is stricter: a token expires or is revoked."""

NAMES_IN_THE_TEMPLATE = re.compile(r"\bPoisoned\b|\btoken-ends-soon\b")
"""A logical id and the name of an alarm, which an upgrade must not change."""


def field_terms_only(text: str) -> str:
    """Return a text in one line, without the allowed uses."""
    words = guides.words(text)
    for each in ALLOWED:
        words = words.replace(each, "")
    return words


@cache
def strings(source: Path) -> tuple[tuple[str, bool], ...]:
    """Return each text of a module, and whether it is a docstring."""
    nodes = list(ast.walk(ast.parse(source.read_text())))
    documenting = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    return tuple(
        (node.value, id(node) in documenting)
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
    )


def name(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def test_messages_have_no_private_terms() -> None:
    found = {
        f"{name(source)}: {text}": terms
        for source in SOURCES
        for text, is_docstring in strings(source)
        if not is_docstring and (terms := private_terms(field_terms_only(text)))
    }
    assert found == {}


def test_docstrings_have_no_private_terms() -> None:
    found = {
        f"{name(source)}: {text}": terms
        for source in (*SOURCES, *TESTS)
        for text, is_docstring in strings(source)
        if is_docstring and (terms := private_terms(IN_DOCSTRINGS.sub("", field_terms_only(text))))
    }
    assert found == {}


@pytest.mark.parametrize("command", ["--help", *COMMANDS])
def test_help_has_no_private_terms(command: str) -> None:
    shown = CliRunner().invoke(main.main, [command, "--help"])
    assert shown.exit_code == 0
    assert private_terms(field_terms_only(shown.output)) == {}


def test_template_has_no_private_terms() -> None:
    """Descriptions, refusals, alarms, the dashboard and comments."""
    assert private_terms(NAMES_IN_THE_TEMPLATE.sub("", TEMPLATE.read_text())) == {}


def test_changelog_of_this_version_has_no_private_terms() -> None:
    newest = (CHECKOUT / "CHANGELOG.md").read_text().split("\n## ")[1]
    assert private_terms(re.sub(r"`[^`]*`", " ", newest)) == {}


@pytest.mark.parametrize("document", ABOUT_THE_PROJECT, ids=name)
def test_project_document_has_no_private_terms(document: Path) -> None:
    text = guides.without_blocks(document.read_text())
    assert private_terms(re.sub(r"`[^`]*`", " ", text)) == {}


def test_targets_of_make_have_no_private_terms() -> None:
    """Comments after ## are what `make help` prints."""
    assert private_terms((CHECKOUT / "Makefile").read_text()) == {}


def test_allowed_uses_occur() -> None:
    texts = [guides.words(text) for source in (*SOURCES, *TESTS) for text, _ in strings(source)]
    unused = [each for each in ALLOWED if not any(each in text for text in texts)]
    assert unused == []
