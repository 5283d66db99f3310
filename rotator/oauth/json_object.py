"""JSON objects from elsewhere: read without trust in their members, which are found by a path.

Of two members with one name Python keeps the last, others the first: neither is believed (RFC 8259, 4).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final


class Repeated:
    """The value of a member that an object has twice, with different values."""


REPEATED: Final = Repeated()


class BlockedPath(LookupError):
    """A path leads through something that has no members: ``place`` is where, ``found`` what is there."""

    def __init__(self, place: str, found: object) -> None:
        super().__init__(place)
        self.place = place
        self.found = "a list" if isinstance(found, list) else "no object"


def read_object(text: str | bytes) -> dict[str, Any] | None:
    """Return the JSON object that a text is, also after a byte order mark; None if it is anything else."""
    found = read_json(text)
    return found if isinstance(found, dict) else None


def read_json(text: str | bytes) -> Any:
    """Return what a JSON text means, also after a byte order mark; None if it is no JSON."""
    try:
        return json.loads(
            text.removeprefix("\ufeff") if isinstance(text, str) else text, object_pairs_hook=_once
        )
    except (ValueError, RecursionError):
        return None


def find(members: Mapping[str, Any], path: str) -> Any:
    """Return the member at a path such as ``data.token``, None if there is none.

    A member whose own name is the path comes first: names may have dots, too.

    Raises:
        BlockedPath: The path leads through a list, a text or a number.
    """
    if path in members:
        return members[path]
    found: Any = members
    names = path.split(".")
    for depth, name in enumerate(names):
        if found is None:
            return None
        if not isinstance(found, dict):
            raise BlockedPath(".".join(names[:depth]), found)
        found = found.get(name)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of an object, REPEATED for one with two values."""
    members = dict(pairs)
    if len(members) < len(pairs):
        for name, value in pairs:
            if members[name] != value:
                members[name] = REPEATED
    return members
