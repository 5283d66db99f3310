"""What is to be said of many rotations, said once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

MAX_NAMES = 3
"""So many rotations are named where a note is true of several."""

_OWN = re.compile(r"\S*/\S*[^\s:;,.]|(?<=the secret )\S+|(?<=the rotation )\S+|(?<=are named )\S+")
"""What a text calls a rotation's own by name: paths and ARNs, and what needs no slash."""

_Noted = TypeVar("_Noted")


def alike(noted: Iterable[_Noted], note: Callable[[_Noted], str | None]) -> list[tuple[list[_Noted], str]]:
    """Put together whatever has the same note but for the names in it; ``...`` stands for those.

    The groups are in the order of their first.
    """
    groups: dict[str, tuple[list[_Noted], list[str]]] = {}
    for each in noted:
        text = note(each)
        if text:
            members, texts = groups.setdefault(_OWN.sub("\0", text), ([], []))
            members.append(each)
            texts.append(text)
    return [(members, _common(texts)) for members, texts in groups.values()]


def together(names: Sequence[str]) -> str:
    """Say of whom a note is, without filling the screen with hundreds of names."""
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def _common(texts: Sequence[str]) -> str:
    owns = iter(
        [own[0] if len({*own}) == 1 else "..." for own in zip(*map(_OWN.findall, texts), strict=True)]
    )
    return _OWN.sub(lambda _: next(owns), texts[0])
