"""The text of times and durations, for parameters and for people."""

from __future__ import annotations

from datetime import datetime, timedelta


def format_time(time: datetime) -> str:
    """Return a time as RFC 3339 with ``Z``, in whole seconds, rounded down: no lifetime is overstated."""
    return time.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def seconds_until(time: datetime, now: datetime) -> float:
    """Return the seconds from now until a time; negative when it has passed."""
    return (time - now) / timedelta(seconds=1)


def describe_seconds(seconds: float) -> str:
    """Return a duration for people: its two largest units, as in ``7 h 55 min``."""
    whole = int(abs(seconds))
    counts = {"d": whole // 86400, "h": whole // 3600 % 24, "min": whole // 60 % 60, "s": whole % 60}
    shown = [f"{count} {unit}" for unit, count in counts.items() if count]
    return ("-" if seconds < 0 else "") + " ".join(shown[:2]) if shown else "0 s"
