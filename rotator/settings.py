"""Settings: the only reader of the environment, and of rotation documents, which have the same keys.

Every value is checked when it is read. The error names the setting, what it got and what it
takes; where a secret could stand by mistake it tells the shape of what it got, not the text.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import SplitResult, urlsplit

from rotator.errors import SettingsError
from rotator.model import (
    TIER_LIMITS,
    BasicEncoding,
    ClientAuthentication,
    Parameter,
    Rotation,
)
from rotator.oauth import MAX_LIFETIME, is_scope

PREFIX = "ROTATOR_"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_UNITS = MappingProxyType({"m": 60, "h": 3600})  # CloudFormation knows minutes and cannot multiply
_RESERVED_PARAMS = frozenset({"grant_type", "scope", "client_id", "client_secret"})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A run's settings: one rotation, or the path under which many have their documents."""

    rotation: Rotation | None
    rotations_path: str | None = None
    allowed_hosts: frozenset[str] = frozenset()
    schedule_interval: float = 300
    consumer_cache: float = 300
    log_level: str = "INFO"


class _Refused(ValueError):
    """A value is not what its setting takes; the text says what it takes."""

    def __init__(self, takes: str, *, shape_only: bool = False) -> None:
        super().__init__(takes)
        self.shape_only = shape_only


def read_environment(environ: Mapping[str, str]) -> Settings:
    """Read the settings from ``ROTATOR_*``; an empty variable counts as not set.

    Raises SettingsError for the first one that is missing, malformed or at odds with another.
    """
    given: dict[str, Any] = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and (value or name == PREFIX + "SCOPE")
    }
    _refuse_misspelt(given)
    read = {key: _read(PREFIX + key.upper(), given[key], _RUN[key]) for key in _RUN if key in given}
    rotation = None
    if "rotations_path" in read:
        for key in sorted(_ROTATION.keys() & given.keys()):
            raise SettingsError(
                f"{PREFIX}{key.upper()} and ROTATOR_ROTATIONS_PATH are both set",
                advice="with a path, write it into each rotation's document instead",
            )
    else:
        rotation = _rotation(given, read.get("allowed_hosts", frozenset()), lambda k: PREFIX + k.upper())
    return Settings(rotation=rotation, **read)


def nothing_is_set(environ: Mapping[str, str]) -> bool:
    """Whether the environment holds no setting of ours at all."""
    return not any(name.startswith(PREFIX) and value for name, value in environ.items())


def read_document(
    path: str, parameter_name: str, parameter: Parameter, allowed_hosts: frozenset[str]
) -> Rotation:
    """Read one rotation from its document: a JSON object in an SSM String under the path.

    The rotation is named after the parameter unless the document says otherwise.
    Raises SettingsError, which names the document and the key.
    """
    if parameter.type != "String":
        raise SettingsError(
            f"the document {parameter_name} is a {parameter.type}",
            advice="store it as a String: it holds no secret",
        )
    try:
        given = json.loads(parameter.value)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise SettingsError(
            f"the document {parameter_name} is not a JSON object",
            advice='write it as {"secret_id": "...", "parameter_name": "..."}',
        )
    given = {key: value for key, value in given.items() if value is not None}
    for key in sorted(given.keys() - _ROTATION.keys()):
        raise SettingsError(
            f"the document {parameter_name} has the unknown key {key[:64]!r}",
            advice=_did_you_mean(key, _ROTATION),
        )
    given.setdefault("name", document_name(path, parameter_name))
    return _rotation(given, allowed_hosts, lambda key: f"{key} in the document {parameter_name}")


def document_name(path: str, parameter_name: str) -> str:
    """The name of the rotation that a document stands for: what follows the path."""
    return parameter_name.removeprefix(path.rstrip("/") + "/").replace("/", ".")


def _refuse_misspelt(given: Mapping[str, str]) -> None:
    """Variables of ours that nobody reads are refused if they look like a setting misspelt."""
    known = _ROTATION.keys() | _RUN.keys()
    for key in sorted(given.keys() - known):
        if difflib.get_close_matches(key, known, n=1, cutoff=0.8):
            raise SettingsError(
                f"{PREFIX}{key.upper()[:64]} is not a setting",
                advice=_did_you_mean(key, known, lambda name: PREFIX + name.upper()),
            )


def _did_you_mean(key: str, known: Any, shown: Callable[[str], str] = lambda name: name) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"did you mean {shown(close[0])}?"
    return "known are: " + ", ".join(sorted(map(shown, known)))


def _rotation(
    given: Mapping[str, Any], allowed_hosts: frozenset[str], label: Callable[[str], str]
) -> Rotation:
    values = {"name": "default"}
    for key in ("secret_id", "parameter_name"):
        if key not in given:
            raise SettingsError(f"{label(key)} is not set", advice=f"set it to {_TAKES_REQUIRED[key]}")
    for key, parse in _ROTATION.items():
        if key in given:
            values[key] = _read(label(key), given[key], parse)
    rotation = Rotation(**values)  # type: ignore[arg-type]
    for key, url in (("token_endpoint", rotation.token_endpoint), ("verify_url", rotation.verify_url)):
        host = urlsplit(url or "").hostname
        if host and allowed_hosts and host not in allowed_hosts:
            raise SettingsError(
                f"{label(key)} names the host {host}, which is not in ROTATOR_ALLOWED_HOSTS",
                advice="add it there if credentials may be sent to it, or set another",
            )
    return rotation


def _read(label: str, value: Any, parse: Callable[[Any], Any]) -> Any:
    try:
        return parse(value)
    except _Refused as refused:
        got = _shape(value) if refused.shape_only else _shown(value)
        raise SettingsError(f"{label} is {got}", advice=f"it takes {refused}") from refused


def _shape(value: Any) -> str:
    if isinstance(value, str):
        return f"a text of {len(value)} characters that cannot be one"
    return f"a {type(value).__name__}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + '..."'


def _one_of(*choices: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in choices:
            raise _Refused("one of " + ", ".join(choices))
        return str(value)

    return parse


def _matching(pattern: str, takes: str, *, shape_only: bool = False) -> Callable[[Any], str]:
    compiled = re.compile(pattern)

    def parse(value: Any) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise _Refused(takes, shape_only=shape_only)
        return value

    return parse


def _number(low: float, high: float, takes: str) -> Callable[[Any], float]:
    def parse(value: Any) -> float:
        try:
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise ValueError
            number = float(value)
        except (ValueError, OverflowError):
            raise _Refused(takes) from None
        if not low <= number <= high:
            raise _Refused(takes)
        return number

    return parse


def _seconds(low: int, high: int) -> Callable[[Any], int]:
    takes = f"a whole number of seconds from {low} to {high}, or minutes or hours such as 5m or 24h"
    number = _number(low, high, takes)

    def parse(value: Any) -> int:
        unit = _UNITS.get(value[-1:], 1) if isinstance(value, str) else 1
        amount = value[:-1] if unit > 1 else value
        try:
            seconds = number(float(amount) * unit if unit > 1 else amount)
        except ValueError:
            raise _Refused(takes) from None
        if seconds != int(seconds):
            raise _Refused(takes)
        return int(seconds)

    return parse


def _parameter_name(value: Any) -> str:
    """A name under which a status can stand, too: a path, one level below AWS's 15 at most.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
    """
    takes = (
        'a path that begins with "/", of letters, digits and ._-, not beginning with /aws or /ssm, '
        "with at most 14 levels and 1000 characters"
    )
    name = _matching(r"(/[A-Za-z0-9_.-]+){1,14}", takes)(value)
    if len(name) > 1000 or name.lower().startswith(("/aws", "/ssm")):
        raise _Refused(takes)
    return name


def _path(value: Any) -> str:
    takes = 'a path such as "/rotator/rotations"'
    return _matching(r"(/[A-Za-z0-9_.-]+){1,14}/?", takes)(value).rstrip("/")


def _url(value: Any) -> str:
    takes = "an https address without user name and fragment (http for 127.0.0.1, ::1, localhost only)"
    try:
        if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]+", value):
            raise ValueError
        parts = urlsplit(value)
        port_is_legal = parts.port != 0  # the property raises ValueError itself out of its range
    except ValueError:
        raise _Refused(takes, shape_only=True) from None
    if "@" in parts.netloc or parts.fragment or not parts.hostname or not port_is_legal:
        raise _Refused(takes, shape_only=True)
    if not _is_secure(parts):
        raise _Refused(takes)
    return value


def _is_secure(parts: SplitResult) -> bool:
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def _scope(value: Any) -> str:
    if not isinstance(value, str) or (value and not is_scope(value)):
        raise _Refused("words of printable ASCII with one space between (RFC 6749, 3.3), or nothing")
    return value


def _token_request_params(value: Any) -> Mapping[str, str]:
    takes = 'a JSON object of texts or numbers such as {"expiration": "86400"}, without ' + ", ".join(
        sorted(_RESERVED_PARAMS)
    )
    try:
        params = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        raise _Refused(takes, shape_only=True) from None
    if not isinstance(params, dict) or _RESERVED_PARAMS & params.keys():
        raise _Refused(takes, shape_only=True)
    if any(isinstance(v, bool) or not isinstance(v, str | int) for v in params.values()):
        raise _Refused(takes, shape_only=True)
    return MappingProxyType({key: str(v) for key, v in params.items()})


def _hosts(value: Any) -> frozenset[str]:
    hosts = frozenset(host.strip().lower() for host in str(value).split(",") if host.strip())
    if not hosts or not all(re.fullmatch(r"[a-z0-9.-]+|[0-9a-f:]+", host) for host in hosts):
        raise _Refused("host names with commas between, such as auth.healthwise.net")
    return hosts


_TAKES_REQUIRED = {
    "secret_id": "the name or ARN of the secret that holds the client credentials",
    "parameter_name": "the name of the parameter for the token, such as /healthwise/token",
}

_ROTATION: Mapping[str, Callable[[Any], Any]] = {
    "name": _matching(r"[A-Za-z0-9_.-]{1,64}", "1 to 64 letters, digits and ._-"),
    # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
    "secret_id": _matching(r"[A-Za-z0-9/_+=.@:-]{1,2048}", "a secret's name or ARN", shape_only=True),
    "parameter_name": _parameter_name,
    "token_endpoint": _url,
    "scope": _scope,
    "token_request_params": _token_request_params,
    "client_authentication": lambda v: ClientAuthentication(_one_of(*ClientAuthentication)(v)),
    "basic_encoding": lambda v: BasicEncoding(_one_of(*BasicEncoding)(v)),
    "renew_at": _number(0.1, 0.95, "a fraction from 0.1 to 0.95"),
    "fallback_lifetime": _seconds(60, MAX_LIFETIME),
    "kms_key_id": _matching(
        r"alias/[A-Za-z0-9/_-]{1,250}|[A-Za-z0-9-]{1,64}|arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:(key|alias)/\S+",
        "a key's id, its ARN, or alias/NAME",
    ),
    "tier": _one_of(*TIER_LIMITS),
    "verify_url": _url,
}
"""Each key of a rotation, and what reads it. The defaults stand in model.Rotation."""

_RUN: Mapping[str, Callable[[Any], Any]] = {
    "rotations_path": _path,
    "allowed_hosts": _hosts,
    "schedule_interval": _seconds(60, 24 * 3600),
    "consumer_cache": _seconds(0, 24 * 3600),
    "log_level": lambda value: _one_of(*LOG_LEVELS)(str(value).upper()),
}
