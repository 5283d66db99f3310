"""The README and the guides as their tests read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from conftest import CHECKOUT

README = CHECKOUT / "README.md"
FOLDER = CHECKOUT / "infra" / "docs"
GUIDES = sorted(FOLDER.rglob("*.md"))
RUNBOOKS = [each for each in GUIDES if each.parent.name == "runbooks" and each.name != "README.md"]

_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)")


def text(guide: str) -> str:
    """Return the text of a guide, named by its path in the folder of guides."""
    return (FOLDER / guide).read_text()


def section(text: str, heading: str) -> str:
    """Return what stands under a heading of the second level."""
    [found] = [
        each for each in re.split(r"^## ", text, flags=re.MULTILINE) if each.startswith(heading + "\n")
    ]
    return found.removeprefix(heading + "\n")


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks in a language, in their order."""
    return [code for name, code in _FENCED.findall(text) if name == language]


def without_blocks(text: str) -> str:
    """Return the text without its fenced blocks."""
    return _FENCED.sub("", text)


def anchors(text: str) -> set[str]:
    """Return the anchors of a text's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(document: Path) -> Iterator[tuple[Path, str]]:
    """Yield the file and the anchor, which may be empty, of each link inside the repository."""
    for file, anchor in _LINK.findall(document.read_text()):
        yield (document.parent / file if file else document), anchor
