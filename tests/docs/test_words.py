"""README and guides use the field's terms, and no private ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import guides
from conftest import CHECKOUT
from field_terms import private_terms

ALLOWED = {
    "infra/docs/cli.md": ["It ends with a summary"],  # a table, not a token
}
"""Uses that are right, by the document, with the reason."""

NAME_OF_AN_ALARM = re.compile(r"token[- ]ends[- ]soon", re.IGNORECASE)
"""A contract with those who route alarms; the title of its runbook is the same."""

ODD_BEGINNING = re.compile(r"(?:^|(?<=[.!?:] ))(What|Of (?:many|multiple|more)|Where|Whoever)\b[^?.]*,")
"""Sentences that begin with a clause in the place of a subject."""


def name(document: Path) -> str:
    """Return a document's path in the repository."""
    return str(document.relative_to(CHECKOUT))


def prose(document: Path) -> str:
    """Return a document's words without code, addresses and allowed uses."""
    text = guides.without_blocks(document.read_text())
    text = guides.words(re.sub(r"`[^`]*`|\]\([^)]*\)", " ", text))
    text = NAME_OF_AN_ALARM.sub("", text)
    for each in ALLOWED.get(name(document), []):
        assert each in text
        text = text.replace(each, "")
    return text


@pytest.mark.parametrize("document", [guides.README, *guides.GUIDES], ids=name)
def test_document_has_no_private_terms(document: Path) -> None:
    assert private_terms(prose(document)) == {}


@pytest.mark.parametrize("document", [guides.README, *guides.GUIDES], ids=name)
def test_sentences_begin_with_their_subject(document: Path) -> None:
    text = guides.without_blocks(document.read_text())
    paragraphs = re.split(r"\n\n|\n *(?:-|\d+\.) ", text)
    found = [ODD_BEGINNING.search(guides.words(paragraph)) for paragraph in paragraphs]
    assert [match.string for match in found if match] == []
