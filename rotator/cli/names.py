"""Names and patterns that people type, and which rotations they mean."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from rotator.config.registry import unknown


def matching(names: Sequence[str], known: Collection[str]) -> frozenset[str]:
    """Return the known names that are meant: all if none is given, by pattern if none has exactly that name.

    Raises SettingsError for one that means none.
    """
    if not names:
        return frozenset(known)
    return frozenset().union(*(_meant(name, known) for name in names))


def _meant(name: str, known: Collection[str]) -> frozenset[str]:
    if name in known:
        return frozenset({name})
    meant = frozenset(each for each in known if fnmatchcase(each, name))
    if not meant:
        raise unknown(name, known, patterns=True)
    return meant
