"""infra/consumers.md as its tests read it: the recipes' code, exactly as it is printed."""

from __future__ import annotations

import re

from conftest import CHECKOUT

GUIDE = CHECKOUT / "infra" / "consumers.md"
TEXT = GUIDE.read_text()

_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def section(heading: str) -> str:
    """What stands under the heading that begins so, or above all of them for an empty one."""
    top, *sections = re.split(r"^## ", TEXT, flags=re.MULTILINE)
    [found] = [each for each in sections if each.startswith(heading)] if heading else [top]
    return found


def blocks(heading: str, language: str) -> list[str]:
    """The section's fenced blocks in a language, in their order."""
    return [code for name, code in _FENCED.findall(section(heading)) if name == language]


def block(heading: str, language: str) -> str:
    """The section's only block in a language."""
    [found] = blocks(heading, language)
    return found
