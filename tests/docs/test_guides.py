"""The form of README and guides: links lead somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

import guides
from conftest import CHECKOUT

DOCUMENTS = [
    guides.README,
    *guides.GUIDES,
    *sorted((CHECKOUT / ".github").glob("*.md")),
    CHECKOUT / "CHANGELOG.md",
]


def name(document: Path) -> str:
    """Return a document's path in the repository, as a test's id."""
    return str(document.relative_to(CHECKOUT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_and_anchors_in_the_repository_exist(document: Path) -> None:
    for file, anchor in guides.links(document):
        assert file.exists(), file
        assert not anchor or anchor in guides.anchors(file.read_text()), f"{file}#{anchor}"
