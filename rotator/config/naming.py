"""What to say of a name that no rotation has."""

from __future__ import annotations

from collections.abc import Collection

from rotator.errors import SettingsError

MAX_SUGGESTED_NAMES = 10
"""So many known names at the most are told of hundreds."""


def unknown(name: str, known: Collection[str], *, patterns: bool = False) -> SettingsError:
    """Say that there is no such rotation, with the names that come close or, failing that, the first.

    ``patterns`` says that the name could have been one.
    """
    import difflib  # few runs need it

    close = difflib.get_close_matches(name[:64], known, n=3)
    if not patterns and any(character in name for character in "*?["):
        advice = "give whole names: patterns are for `rotator status` only"
    elif close:
        advice = f"did you mean {' or '.join(close)}?"
    elif known:
        more = len(known) - MAX_SUGGESTED_NAMES
        advice = (
            "name one of: "
            + ", ".join(sorted(known)[:MAX_SUGGESTED_NAMES])
            + (f" and {more:,} more" * (more > 0))
        )
    else:
        advice = "add it with `rotator add`"
    return SettingsError(f"there is no rotation named {name[:64]!r}", advice=advice)
