"""The guides in infra/docs/consumers as their tests read them: the code, exactly as it is printed."""

from __future__ import annotations

import guides

PLATFORMS = ("shell", "python", "node", "lambda", "ecs", "kubernetes", "cloudformation")


def text(guide: str) -> str:
    """Return the text of a platform's guide, or of their index ("README")."""
    return guides.text(f"consumers/{guide}.md")


def blocks(guide: str, language: str) -> list[str]:
    """Return a guide's fenced blocks in a language, in their order."""
    return guides.blocks(text(guide), language)


def block(guide: str, language: str) -> str:
    """Return a guide's only block in a language."""
    [found] = blocks(guide, language)
    return found
