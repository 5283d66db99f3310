"""Settings: the only reader of the environment, and of rotation documents, which have the same keys.

Every value is checked when it is read. The error names the setting, what it got and what it
takes; where a secret could stand by mistake it tells the shape of what it got, not the text.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from rotator.config import validators
from rotator.config.validators import InvalidValue
from rotator.errors import SettingsError
from rotator.oauth.client_credentials import MAX_LIFETIME_SECONDS
from rotator.oauth.models import BasicEncoding, ClientAuthentication
from rotator.renewal.models import TIER_LIMITS, Parameter, Rotation

PREFIX = "ROTATOR_"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A run's settings: one rotation, or the path under which many have their documents.

    ``kms_key_id`` is the key of those whose document names none.
    """

    rotation: Rotation | None
    rotations_path: str | None = None
    kms_key_id: str | None = None
    allowed_hosts: frozenset[str] = frozenset()
    schedule_interval: float = 300
    consumer_cache: float = 300
    writes_per_second: float = 2
    queue_url: str | None = None
    workers: int = 1
    log_level: str = "INFO"


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
    read = {
        key: _read(PREFIX + key.upper(), given[key], _RUN_SETTINGS[key])
        for key in _RUN_SETTINGS
        if key in given
    }
    rotation = None
    if "rotations_path" in read:
        read |= {
            key: _read(PREFIX + key.upper(), given[key], _ROTATION_SETTINGS[key])
            for key in _DOCUMENT_DEFAULTS & given.keys()
        }
        for key in sorted(_ROTATION_SETTINGS.keys() & given.keys() - _DOCUMENT_DEFAULTS):
            raise SettingsError(
                f"{PREFIX}{key.upper()} and ROTATOR_ROTATIONS_PATH are both set",
                advice="with a path, write it into each rotation's document instead",
            )
    else:
        rotation = _rotation(given, read.get("allowed_hosts", frozenset()), lambda k: PREFIX + k.upper())
    _check_workers(read)
    return Settings(rotation=rotation, **read)


def _check_workers(read: Mapping[str, Any]) -> None:
    """Workers are for many rotations; each needs to know how many share the writes, and whence they come."""
    if ("queue_url" in read) != ("workers" in read):
        raise SettingsError(
            "of ROTATOR_QUEUE_URL and ROTATOR_WORKERS only one is set", advice="set both of them, or none"
        )
    if "queue_url" in read and "rotations_path" not in read:
        raise SettingsError(
            "ROTATOR_QUEUE_URL is set without ROTATOR_ROTATIONS_PATH",
            advice="leave it out: one rotation needs no workers",
        )


def nothing_is_set(environ: Mapping[str, str]) -> bool:
    """Whether the environment holds no setting of ours at all."""
    return not any(name.startswith(PREFIX) and value for name, value in environ.items())


def read_document(
    path: str,
    parameter_name: str,
    parameter: Parameter,
    allowed_hosts: frozenset[str],
    kms_key_id: str | None = None,
) -> Rotation:
    """Read one rotation from its document: a JSON object in an SSM String under the path.

    The rotation is named after the parameter, and its key is ``kms_key_id``, unless the document has others.
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
    for key in sorted(given.keys() - _ROTATION_SETTINGS.keys()):
        raise SettingsError(
            f"the document {parameter_name} has the unknown key {key[:64]!r}",
            advice=_did_you_mean(key, _ROTATION_SETTINGS),
        )
    given.setdefault("name", document_name(path, parameter_name))
    if kms_key_id:
        given.setdefault("kms_key_id", kms_key_id)
    return _rotation(given, allowed_hosts, lambda key: f"{key} in the document {parameter_name}")


def named_parameter(document: Parameter) -> str | None:
    """The token's parameter that a document names, also one that cannot be used for another reason."""
    try:
        return validators.parameter_name(json.loads(document.value)["parameter_name"])
    except (ValueError, RecursionError, TypeError, KeyError, InvalidValue):
        return None


def read_options(name: str, given: Mapping[str, Any], allowed_hosts: frozenset[str]) -> Rotation:
    """Read a rotation from the keys of a document, each given as an option; raises SettingsError."""
    return _rotation({"name": name, **given}, allowed_hosts, lambda key: "--" + key.replace("_", "-"))


def read_name(value: str, *, new: bool) -> str:
    """Read a rotation's name as it is typed; raises SettingsError. A ``new`` one is no ``.`` or ``..``."""
    return str(_read("NAME", value, _NEW_NAME if new else _ROTATION_SETTINGS["name"]))


def document_name(path: str, parameter_name: str) -> str:
    """The name of the rotation that a document stands for: what follows the path."""
    return parameter_name.removeprefix(path.rstrip("/") + "/").replace("/", ".")


def _refuse_misspelt(given: Mapping[str, str]) -> None:
    """Variables of ours that nobody reads are refused if they look like a setting misspelt."""
    known = _ROTATION_SETTINGS.keys() | _RUN_SETTINGS.keys()
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
            raise SettingsError(f"{label(key)} is not set", advice=f"set it to {_REQUIRED[key]}")
    for key, parse in _ROTATION_SETTINGS.items():
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
    except InvalidValue as refused:
        got = _shape(value) if refused.shape_only else _shown(value)
        raise SettingsError(f"{label} is {got}", advice=f"it takes {refused}") from refused


def _shape(value: Any) -> str:
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    return f"a {type(value).__name__}"


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + '..."'


_REQUIRED = {
    "secret_id": "the name or ARN of the secret that holds the client credentials",
    "parameter_name": "the name of the parameter for the token, such as /healthwise/token",
}

_ROTATION_SETTINGS: Mapping[str, Callable[[Any], Any]] = {
    "name": validators.matching(r"[A-Za-z0-9_.-]{1,64}", "1 to 64 letters, digits and ._-"),
    # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
    "secret_id": validators.matching(
        r"[A-Za-z0-9/_+=.@:-]{1,2048}", "a secret's name or ARN", shape_only=True
    ),
    "parameter_name": validators.parameter_name,
    "token_endpoint": validators.url,
    "scope": validators.scope,
    "token_request_params": validators.token_request_params,
    "client_authentication": lambda v: ClientAuthentication(validators.one_of(*ClientAuthentication)(v)),
    "basic_encoding": lambda v: BasicEncoding(validators.one_of(*BasicEncoding)(v)),
    "renew_at": validators.number(0.1, 0.95, "a fraction from 0.1 to 0.95"),
    "fallback_lifetime": validators.seconds(60, MAX_LIFETIME_SECONDS),
    "kms_key_id": validators.matching(
        r"alias/[A-Za-z0-9/_-]{1,250}|[A-Za-z0-9-]{1,64}|arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:(key|alias)/\S+",
        "a key's id, its ARN, or alias/NAME",
    ),
    "tier": validators.one_of(*TIER_LIMITS),
    "verify_url": validators.url,
    "secret_rollover": validators.boolean,
}
"""Each key of a rotation, and what reads it. The defaults stand in model.Rotation."""

_DOCUMENT_DEFAULTS = frozenset({"kms_key_id"})
"""Those that may be set for all documents together, as their default."""

_NEW_NAME = validators.matching(
    r"(?=[_.-]*[A-Za-z0-9])[A-Za-z0-9_.-]{1,64}",
    "1 to 64 letters, digits and ._-, with a letter or digit among them",
)
"""Documents that have a name without any are served as ever."""

_RUN_SETTINGS: Mapping[str, Callable[[Any], Any]] = {
    "rotations_path": validators.path,
    "allowed_hosts": validators.hosts,
    "schedule_interval": validators.seconds(60, 24 * 3600),
    "consumer_cache": validators.seconds(0, 24 * 3600),
    "writes_per_second": validators.number(0.1, 10_000, "a number from 0.1 to 10000"),
    "queue_url": validators.queue_url,
    "workers": lambda value: int(
        validators.matching(r"[2-9]|[1-9][0-9]{1,2}|1000", "a number from 2 to 1000")(value)
    ),
    "log_level": lambda value: validators.one_of(*LOG_LEVELS)(str(value).upper()),
}
