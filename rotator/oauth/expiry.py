"""When a token expires, by the answer that brought it: servers say it in many ways, and some of them wrongly.

The earliest expiry counts. An implausible one is reported, and never used.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from rotator.errors import InvalidTokenResponse
from rotator.oauth import jwt
from rotator.oauth.http_date import http_date
from rotator.oauth.models import MAX_LIFETIME_SECONDS, Client

MAX_LIFETIME = timedelta(seconds=MAX_LIFETIME_SECONDS)

MAX_DATE_CHARACTERS = 64

EARLIEST_MILLISECONDS = 1e11
"""An epoch from here on is in milliseconds: in seconds it would be in the year 5138."""

_ZONE = re.compile(r"(GMT|UTC|[+-]\d{4})$")


class _Unusable(ValueError):
    """A member does not say when the token expires; the text says why."""


def expiry(
    client: Client, answer: Callable[[str], Any], token: str, requested_at: datetime
) -> tuple[datetime, tuple[str, ...]]:
    """Return when a token expires, and a warning for each implausible member of its answer.

    Args:
        client: ``lifetime`` overrides what the answer says, ``fallback_lifetime`` stands in for it. A JWT's
            ``exp`` is the token's own, and always counts.
        answer: Returns the answer's member of a name, None if there is none.
        token: The access token.
        requested_at: When the token was requested.

    Raises:
        InvalidTokenResponse: Nothing says when the token expires.
    """
    if client.lifetime is None:
        ends, problems = _stated(answer, requested_at)
    else:
        ends, problems = [requested_at + timedelta(seconds=client.lifetime)], []
    source = "the rest of the answer" if ends else "the exp of the JWT"
    exp = jwt.expiry(token)
    if exp and exp > requested_at + MAX_LIFETIME:
        exp = None
        if not ends:
            problems.append(f"issued a JWT that ends more than {MAX_LIFETIME_SECONDS} seconds from now")
    if not ends and client.fallback_lifetime is not None and (problems or not exp):
        ends, source = [requested_at + timedelta(seconds=client.fallback_lifetime)], "fallback_lifetime"
    if exp:
        ends.append(exp)
    if not ends:
        raise _unknown(problems)
    return min(ends), tuple(f"the token endpoint {problem}; {source} is used instead" for problem in problems)


def _stated(answer: Callable[[str], Any], requested_at: datetime) -> tuple[list[datetime], list[str]]:
    """Return the times that the answer gives, and what is wrong with its other members."""
    ends, problems = [], []
    for name, read in _READERS.items():
        value = answer(name)
        if value is None:
            continue
        try:
            ends.append(read(value, requested_at))
        except _Unusable as unusable:
            problems.append(f"sent an {name} that is {unusable}")
    return ends, problems


def _unknown(problems: list[str]) -> InvalidTokenResponse:
    if not problems:
        return InvalidTokenResponse(
            "the token endpoint did not state the token's lifetime",
            advice="set fallback_lifetime to the token's lifetime in seconds, or response_members if the "
            "answer says it under another name",
        )
    return InvalidTokenResponse(
        f"the token endpoint {problems[0]}",
        advice="set fallback_lifetime to the token's lifetime in seconds, or lifetime if no answer says it",
    )


def _number(value: object) -> float | None:
    """Return a number, or one written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _after_seconds(value: object, requested_at: datetime) -> datetime:
    """Read ``expires_in`` (RFC 6749, 4.2.2), a number of seconds; some servers send it as text."""
    seconds = _number(value)
    if seconds is None:
        raise _Unusable("not a number")
    if not 1 <= seconds <= MAX_LIFETIME_SECONDS:
        raise _Unusable(f"not between 1 and {MAX_LIFETIME_SECONDS} seconds")
    return requested_at + timedelta(seconds=int(seconds))


def _at_time(value: object, requested_at: datetime) -> datetime:
    """Read a time: seconds or milliseconds since 1970, or a date with its zone."""
    number = _number(value)
    try:
        if number is not None:
            scale = 1000 if number >= EARLIEST_MILLISECONDS else 1
            time = datetime.fromtimestamp(number / scale, UTC)
        else:
            time = _date(value)
    except (ValueError, OverflowError, OSError):
        raise _Unusable("neither seconds since 1970 nor a date with its time zone") from None
    if abs(time - requested_at) > MAX_LIFETIME:
        raise _Unusable(f"more than {MAX_LIFETIME_SECONDS} seconds from now")
    return time


def _date(value: object) -> datetime:
    """Read a date as ISO 8601 or HTTP write it. Without a zone it may be hours away: ValueError."""
    if not isinstance(value, str) or len(value) > MAX_DATE_CHARACTERS:
        raise ValueError
    text = value.strip()
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        found = http_date(text) if _ZONE.search(text) else None
        if found is None:
            raise
        return found
    if date.tzinfo is None:
        raise ValueError
    return date.astimezone(UTC)


_READERS: Mapping[str, Callable[[object, datetime], datetime]] = MappingProxyType(
    {
        "expires_in": _after_seconds,
        "expires_on": _at_time,  # Microsoft Entra ID, v1
        "expires_at": _at_time,
        ".expires": _at_time,  # ASP.NET (OWIN)
    }
)
"""The members that say when a token expires, and what reads each."""
