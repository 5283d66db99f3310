"""JSON objects from untrusted sources, whose members are found by a path.

If an object has a member twice, Python keeps the last value and other parsers the first (RFC 8259, 4). Two
different values are therefore reported, and neither is used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

REPEATED: Final = object()
"""Stands for the value of a member that occurs twice in an object, with different values."""


class BlockedPath(LookupError):
    """A path leads through a value without members; the text names the value and its path."""


def read_object(text: str | bytes) -> dict[str, Any] | None:
    """Return the JSON object in a text, also after a byte order mark; None if the text is anything else."""
    found = read_json(text)
    return found if isinstance(found, dict) else None


def read_json(text: str | bytes) -> Any:
    """Return the value of a JSON text, also after a byte order mark; None if the text is not JSON."""
    try:
        text = text.removeprefix("\ufeff") if isinstance(text, str) else text
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None


def finite_number(value: object) -> float | None:
    """Return a number, also from its text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def find(members: Mapping[str, Any], path: str) -> Any:
    """Return the member at a path such as ``data.token``, None if there is none.

    A member whose name is the whole path takes precedence: names may contain dots. Raises BlockedPath if the
    path leads through a list, a text or a number.
    """
    if path in members:
        return members[path]
    found: Any = members
    names = path.split(".")
    for depth, name in enumerate(names):
        if found is None:
            return None
        if not isinstance(found, dict):
            kind = "a list" if isinstance(found, list) else "a value that is not an object"
            raise BlockedPath(f"{kind} in {'.'.join(names[:depth])}")
        found = found.get(name)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of an object; a member with two different values has the value REPEATED."""
    members = dict(pairs)
    if len(members) < len(pairs):
        for name, value in pairs:
            if members[name] != value:
                members[name] = REPEATED
    return members
