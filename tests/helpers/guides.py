"""The README and the guides as their tests read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from conftest import CHECKOUT

README = CHECKOUT / "README.md"
FOLDER = CHECKOUT / "infra" / "docs"
GUIDES = sorted(FOLDER.rglob("*.md"))
RUNBOOKS = [each for each in GUIDES if each.parent.name == "runbooks" and each.name != "README.md"]

PICTURE_CELL_WIDTH = 12.2
"""How wide rich draws a character."""

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


def words(text: str) -> str:
    """Return the text without its line breaks."""
    return " ".join(text.split())


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


def commands(document: Path) -> list[str]:
    """Return the shell commands of a document, each as one line, without comments."""
    return commands_of(document.read_text())


def commands_of(text: str) -> list[str]:
    """Return the shell commands in the blocks of a text, each as one line, without comments."""
    lines = "".join(blocks(text, "sh")).replace("\\\n", " ").splitlines()
    commands = (re.sub(r"(^|\s+)# .*$", "", line).strip() for line in lines)
    return [command for command in commands if command]


def inline_commands(text: str, beginning: str) -> list[str]:
    """Return the commands that a text has between backticks, of those that begin so."""
    return [
        words(each) for each in re.findall(r"`([^`]+)`", without_blocks(text)) if each.startswith(beginning)
    ]


def picture_lines(picture: Path) -> list[str]:
    """Return the lines of text in an SVG that rich drew."""
    lines: dict[str, str] = {}
    for each in ET.parse(picture).iter("{http://www.w3.org/2000/svg}text"):
        if "clip-path" in each.attrib:
            before = lines.get(each.attrib["y"], "").ljust(
                round(float(each.attrib["x"]) / PICTURE_CELL_WIDTH)
            )
            lines[each.attrib["y"]] = before + (each.text or "")
    return [line.replace("\xa0", " ").rstrip() for line in lines.values()]
