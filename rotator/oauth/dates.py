"""Dates in the formats of HTTP and of RFC 3339."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def http_date(text: str) -> datetime | None:
    """Return a date of HTTP (RFC 9110, 5.6.7) in UTC, None if the text is not a date."""
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_time(text: str) -> datetime:
    """Read an RFC 3339 time with a zone; raises ValueError or, if the value is not a text, TypeError."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError
    return time.astimezone(UTC)
