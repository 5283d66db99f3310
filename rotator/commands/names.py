"""Names that people type: which rotations they mean, and what to say of those that mean none."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from rotator.errors import SettingsError

SHOWN = 10
"""So many known names at the most are told of hundreds."""


def matching(names: Sequence[str], known: Collection[str]) -> frozenset[str]:
    """Return the known names that are meant: all if none is given, by pattern if none has exactly that name.

    Raises SettingsError for one that means none.
    """
    if not names:
        return frozenset(known)
    return frozenset().union(*(_meant(name, known) for name in names))


def unknown(name: str, known: Collection[str]) -> SettingsError:
    """Say that there is no such rotation, with the names that come close or, failing that, the first."""
    close = difflib.get_close_matches(name[:64], known, n=3)
    if close:
        advice = f"did you mean {' or '.join(close)}?"
    elif known:
        more = len(known) - SHOWN
        advice = "name one of: " + ", ".join(sorted(known)[:SHOWN]) + (f" and {more:,} more" * (more > 0))
    else:
        advice = "add it with `rotator add`"
    return SettingsError(f"there is no rotation named {name[:64]!r}", advice=advice)


def _meant(name: str, known: Collection[str]) -> frozenset[str]:
    if name in known:
        return frozenset({name})
    meant = frozenset(each for each in known if fnmatchcase(each, name))
    if not meant:
        raise unknown(name, known)
    return meant
