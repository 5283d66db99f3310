"""The form of README and guides: lengths, lines, links, and an index that names every guide."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import guides
from conftest import CHECKOUT

ABOUT_THE_PROJECT = [*sorted((CHECKOUT / ".github").glob("*.md")), CHECKOUT / "CHANGELOG.md"]
DOCUMENTS = [guides.README, *guides.GUIDES]
MAX_LINE = 100
MAX_LINES = {guides.README: 130}
MAX_GUIDE_LINES = 150


def name(document: Path) -> str:
    """Return a document's path in the repository, as a test's id."""
    return str(document.relative_to(CHECKOUT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_document_is_short(document: Path) -> None:
    lines = document.read_text().splitlines()
    assert len(lines) <= MAX_LINES.get(document, MAX_GUIDE_LINES)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_lines_are_short_except_tables_and_links(document: Path) -> None:
    """A row of a table cannot be wrapped, and neither can a link's address."""
    lines = [line for line in document.read_text().splitlines() if not line.startswith("|")]
    assert [line for line in lines if len(re.sub(r"\]\(https?://\S+\)", "", line)) > MAX_LINE] == []


@pytest.mark.parametrize("document", [*DOCUMENTS, *ABOUT_THE_PROJECT], ids=name)
def test_links_and_anchors_in_the_repository_exist(document: Path) -> None:
    for file, anchor in guides.links(document):
        assert file.exists(), file
        assert not anchor or anchor in guides.anchors(file.read_text()), f"{file}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_document_has_one_title_and_no_deep_headings(document: Path) -> None:
    levels = re.findall(r"^(#+) ", guides.without_blocks(document.read_text()), re.MULTILINE)
    assert levels[0] == "#"
    assert set(levels[1:]) <= {"##"}


def test_every_guide_is_in_its_folders_index() -> None:
    indexes = {each for each in guides.GUIDES if each.name == "README.md"}
    listed = {file.resolve() for index in indexes for file, _ in guides.links(index)}
    assert set(guides.GUIDES) - indexes <= listed
    assert indexes - {guides.FOLDER / "README.md"} <= listed


@pytest.mark.parametrize("root", ["rotator", "tests"])
def test_contributors_map_names_every_package(root: str) -> None:
    contributing = (CHECKOUT / ".github" / "CONTRIBUTING.md").read_text()
    beginnings = " ".join(re.findall(r"^[|-] ((?:`[a-z0-9./]+`(?:, )?)+)", contributing, re.MULTILINE))
    packages = {file.relative_to(CHECKOUT / root).parts[0] for file in (CHECKOUT / root).glob("*/*.py")}
    assert packages
    assert packages <= set(re.findall(r"`([a-z0-9]+)/(?:[a-z]+/)?`", beginnings))


def test_readme_leads_to_the_index() -> None:
    assert guides.FOLDER / "README.md" in {file.resolve() for file, _ in guides.links(guides.README)}
