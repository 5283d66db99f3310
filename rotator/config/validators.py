"""Readers of single values: each returns the value of a setting, checked and converted.

For an invalid value, a reader raises InvalidValue, which names the accepted values. JSON documents hold
numbers and objects where the environment holds text, so readers accept both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from rotator.oauth.client_credentials import is_scope
from rotator.oauth.json_object import finite_number

T = TypeVar("T", bound=str)

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
UNIT_SECONDS = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86400})  # CloudFormation cannot multiply

MAX_ARN_CHARACTERS = 1011
"""The longest ARN of a parameter, which limits its name.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
"""
MAX_PARAMETER_NAME_CHARACTERS = 940
"""The longest name of a token parameter that leaves room for ``/status`` in every Region and partition."""

HTTPS_URL = "an https URL without user name and fragment (http only for 127.0.0.1, ::1 and localhost)"
MAX_REPLICA_REGIONS = 5


class InvalidValue(ValueError):
    """A value is invalid; the text names the accepted values. ``shape_only``: the value may be a secret."""

    def __init__(self, takes: str, *, shape_only: bool = False) -> None:
        super().__init__(takes)
        self.shape_only = shape_only


def one_of(*choices: T) -> Callable[[Any], T]:
    """Make a reader of one of these words, which may be members of an enumeration."""

    def parse(value: Any) -> T:
        if value not in choices:
            raise InvalidValue("one of " + ", ".join(choices))
        return choices[choices.index(value)]

    return parse


def boolean(value: Any) -> bool:
    """Read true or false, as JSON or the environment writes it."""
    if isinstance(value, bool):
        return value
    return one_of("true", "false")(value) == "true"


def matching(pattern: str, takes: str, *, shape_only: bool = False) -> Callable[[Any], str]:
    """Make a reader of texts that match a pattern as a whole."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):  # compiled when it is first used
            raise InvalidValue(takes, shape_only=shape_only)
        return value

    return parse


def number(low: float, high: float, takes: str) -> Callable[[Any], float]:
    """Make a reader of numbers from low to high, both included."""

    def parse(value: Any) -> float:
        number = finite_number(value)
        if number is None or not low <= number <= high:
            raise InvalidValue(takes)
        return number

    return parse


def seconds(low: int, high: int) -> Callable[[Any], int]:
    """Make a reader of durations: seconds, or a number with the unit s, m, h or d."""
    takes = f"a whole number of seconds from {low} to {high}, or with a unit s, m, h or d such as 5m or 24h"
    in_range = number(low, high, takes)

    def parse(value: Any) -> int:
        unit = UNIT_SECONDS.get(value[-1:]) if isinstance(value, str) else None
        with suppress(ValueError):
            total = in_range(float(value[:-1]) * unit if unit else value)
            if total.is_integer():
                return int(total)
        raise InvalidValue(takes)

    return parse


def parameter_name(value: Any) -> str:
    """Read the name of a token parameter: at most 14 levels, since ``/status`` is the 15th and last for AWS.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
    """
    takes = (
        'a path that begins with "/" but not with /aws or /ssm, of letters, digits and ._-, '
        f"with at most 14 levels and {MAX_PARAMETER_NAME_CHARACTERS} characters"
    )
    name = matching(r"(/[A-Za-z0-9_.-]+){1,14}", takes)(value)
    if len(name) > MAX_PARAMETER_NAME_CHARACTERS or name.lower().startswith(("/aws", "/ssm")):
        raise InvalidValue(takes)
    return name


def any_parameter_name(value: Any) -> str:
    """Read the full name of any parameter, or its ARN."""
    takes = (
        'a path that begins with "/", of letters, digits and ._-, with at most 15 levels, or the ARN of such '
        f"a parameter, which has at most {MAX_ARN_CHARACTERS} characters"
    )
    name = matching(r"(arn:[a-z-]+:ssm:[a-z0-9-]+:\d{12}:parameter)?(/[A-Za-z0-9_.-]+){1,15}", takes)(value)
    arn = name if name.startswith("arn:") else f"arn:aws:ssm:us-east-1:123456789012:parameter{name}"
    if len(arn) > MAX_ARN_CHARACTERS:  # even in the Region with the shortest name
        raise InvalidValue(takes)
    return name


def path(value: Any) -> str:
    """Read the path of the rotation documents, and return it without a final slash."""
    takes = 'a path such as "/rotator/rotations"'
    return matching(r"(/[A-Za-z0-9_.-]+){1,14}/?", takes)(value).rstrip("/")


def url(value: Any, takes: str = HTTPS_URL) -> str:
    """Read a URL to which credentials may be sent: https, or http on loopback."""
    text = matching(r"[\x21-\x5b\x5d-\x7e]+", takes, shape_only=True)(value)
    parts = _split(text, takes)
    if parts.scheme != "https" and (parts.scheme != "http" or parts.hostname not in LOOPBACK):
        raise InvalidValue(takes, shape_only=bool(parts.query))  # a query may hold a key
    return text


def audience(value: Any) -> str:
    """Read the URL of a token endpoint or issuer; nothing is sent to it."""
    takes = "the URL of the provider's token endpoint or issuer, such as https://auth.example.com"
    text = matching(r"https?://[\x21\x24-\x3b\x3d\x3f-\x5b\x5d-\x7e]+", takes, shape_only=True)(value)
    _split(text, takes)
    return text


def _split(text: str, takes: str) -> SplitResult:
    """Return the parts of a URL; it must have a host and a legal port, and no user name or fragment."""
    with suppress(ValueError):  # such as a port above 65535
        parts = urlsplit(text)
        if parts.hostname and "@" not in parts.netloc and parts.port != 0 and not parts.fragment:
            return parts
    raise InvalidValue(takes, shape_only=True)


def scope(value: Any) -> str:
    """Read a scope (RFC 6749, 3.3); an empty text requests none."""
    if not isinstance(value, str) or (value and not is_scope(value)):
        raise InvalidValue("words of printable ASCII separated by single spaces (RFC 6749, 3.3), or empty")
    return value


def regions(value: Any) -> tuple[str, ...]:
    """Read the names of replica Regions, separated by commas; a repeated one counts once."""
    takes = (
        f"the names of at most {MAX_REPLICA_REGIONS} Regions, separated by commas, such as "
        "eu-west-1,us-east-1"
    )
    read = matching(r"[a-z]{2,8}(-[a-z]{2,16}){1,2}-[0-9]{1,2}", takes)
    names = tuple(dict.fromkeys(read(name.strip()) for name in str(value).split(",")))
    if len(names) > MAX_REPLICA_REGIONS:
        raise InvalidValue(takes)
    return names


def hosts(value: Any) -> frozenset[str]:
    """Read host names separated by commas."""
    names = frozenset(host.strip().lower() for host in str(value).split(",") if host.strip())
    if not names or not all(re.fullmatch(r"[a-z0-9.-]+|[0-9a-f:]+", name) for name in names):
        raise InvalidValue("host names separated by commas, such as auth.healthwise.net")
    return names
