"""The text of times and durations, for parameters and for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def format_time(time: datetime) -> str:
    """Return a time as RFC 3339 with ``Z``, in whole seconds, rounded down: no lifetime is overstated."""
    return time.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def read_time(text: str) -> datetime:
    """Read an RFC 3339 time with a zone; raises ValueError or, if the value is not a text, TypeError."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError
    return time.astimezone(UTC)


def seconds_until(time: datetime, now: datetime) -> float:
    """Return the seconds from now until a time; negative when it has passed."""
    return (time - now) / timedelta(seconds=1)


def describe_seconds(seconds: float) -> str:
    """Return a duration for people: its two largest units, as in ``7 h 55 min``."""
    sign, rest = ("-" if seconds < 0 else ""), int(abs(seconds))
    shown = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            shown.append(f"{count} {unit}")
    return sign + " ".join(shown[:2]) if shown else "0 s"
