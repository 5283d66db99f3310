"""The expiry of a token, read from its answer, in which servers state it in several ways, some of them wrong.

The earliest stated expiry counts. An implausible one is reported and ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from rotator.errors import InvalidTokenResponse
from rotator.oauth import jwt
from rotator.oauth.dates import http_date
from rotator.oauth.json_object import finite_number
from rotator.oauth.models import MAX_LIFETIME_SECONDS, Client

MAX_LIFETIME = timedelta(seconds=MAX_LIFETIME_SECONDS)
MAX_DATE_CHARACTERS = 64

EARLIEST_MILLISECONDS = 1e11
"""A number from here on is milliseconds since 1970: as seconds, the time would be in the year 5138."""

_ZONE = re.compile(r"(GMT|UTC|[+-]\d{4})$")


class _Unusable(ValueError):
    """A member does not state a usable expiry; the text says why."""


def expiry(
    client: Client, answer: Callable[[str], Any], token: str, requested_at: datetime
) -> tuple[datetime, tuple[str, ...]]:
    """Return when a token expires, and a warning for each implausible member of its answer.

    ``answer`` returns the member with a name, None if there is none. The client's ``lifetime`` replaces what
    the answer states, its ``fallback_lifetime`` is used if the answer states nothing. The ``exp`` of a JWT
    always counts, because resource servers check it.

    Raises InvalidTokenResponse if neither the answer, the token nor the settings state an expiry.
    """
    if client.lifetime is None:
        expiries, problems = _stated(answer, requested_at)
    else:
        expiries, problems = [requested_at + timedelta(seconds=client.lifetime)], []
    source = "the rest of the answer" if expiries else "the exp of the JWT"
    exp = jwt.expiry(token)
    if exp and exp > requested_at + MAX_LIFETIME:
        exp = None
        if not expiries:
            problems.append(f"issued a JWT that expires more than {MAX_LIFETIME_SECONDS} seconds from now")
    if not expiries and client.fallback_lifetime is not None and (problems or not exp):
        expiries, source = [requested_at + timedelta(seconds=client.fallback_lifetime)], "fallback_lifetime"
    if exp:
        expiries.append(exp)
    if not expiries:
        problem = "did not state the token's lifetime"
        remedy = "response_members if the answer states it under another name"
        if problems:
            problem, remedy = problems[0], "set lifetime to ignore what the answers state"
        raise InvalidTokenResponse(
            f"the token endpoint {problem}",
            advice=f"set fallback_lifetime to the token's lifetime in seconds, or {remedy}",
        )
    return min(expiries), tuple(
        f"the token endpoint {problem}; {source} is used instead" for problem in problems
    )


def _stated(answer: Callable[[str], Any], requested_at: datetime) -> tuple[list[datetime], list[str]]:
    """Return the expiries that the answer states, and a problem for each unusable member."""
    expiries, problems = [], []
    for name, read in _READERS.items():
        value = answer(name)
        if value is None:
            continue
        try:
            expiries.append(read(value, requested_at))
        except _Unusable as unusable:
            problems.append(f"sent an {name} that is {unusable}")
    return expiries, problems


def _after_seconds(value: object, requested_at: datetime) -> datetime:
    """Read ``expires_in`` (RFC 6749, 4.2.2), a number of seconds; some servers send it as text."""
    seconds = finite_number(value)
    if seconds is None:
        raise _Unusable("not a number")
    if not 1 <= seconds <= MAX_LIFETIME_SECONDS:
        raise _Unusable(f"not between 1 and {MAX_LIFETIME_SECONDS} seconds")
    return requested_at + timedelta(seconds=int(seconds))


def _at_time(value: object, requested_at: datetime) -> datetime:
    """Read a time: seconds or milliseconds since 1970, or a date with its zone."""
    number = finite_number(value)
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
    """Read a date of ISO 8601 or HTTP; raises ValueError if it has no time zone: it may be wrong by hours."""
    if not isinstance(value, str) or len(value) > MAX_DATE_CHARACTERS:
        raise ValueError
    text = value.strip()
    date: datetime | None
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        date = http_date(text) if _ZONE.search(text) else None
    if date is None or date.tzinfo is None:
        raise ValueError
    return date.astimezone(UTC)


_READERS = {
    "expires_in": _after_seconds,
    "expires_on": _at_time,  # Microsoft Entra ID, v1
    "expires_at": _at_time,
    ".expires": _at_time,  # ASP.NET (OWIN)
}
"""The members that state when a token expires, each with its reader."""
