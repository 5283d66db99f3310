"""The settings of a run, read from the environment; no other module reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from rotator.config import validators
from rotator.config.rotation_documents import ROTATION_SETTINGS, did_you_mean, read_rotation, read_values
from rotator.errors import SettingsError
from rotator.oauth.models import MAX_LIFETIME_SECONDS
from rotator.renewal import policy
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Rotation
from rotator.renewal.policy import ExpectedLifetime

PREFIX = "ROTATOR_"
DAY_SECONDS = 86_400
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A run's settings: one rotation, or the path of the rotation documents."""

    rotation: Rotation | None
    rotations_path: str | None = None
    kms_key_id: str | None = None  # of rotations whose document names none
    allowed_hosts: frozenset[str] = frozenset()
    schedule_interval: float = 300
    consumer_cache: float = 300
    token_lifetime: float | None = DAY_SECONDS  # the shortest of all tokens, None if it is unknown
    writes_per_second: float = 2
    queue_url: str | None = None
    workers: int = 1
    replica_regions: tuple[str, ...] = ()
    log_level: str = "INFO"

    @property
    def expected_lifetime(self) -> ExpectedLifetime | None:
        """The expected lifetimes, if known; with multiple rotations, every lifetime up to a day is."""
        if self.token_lifetime is None:
            return None
        longest = self.token_lifetime if self.rotation else max(self.token_lifetime, DAY_SECONDS)
        return ExpectedLifetime(shortest=self.token_lifetime, longest=longest)

    @property
    def guarantee(self) -> Guarantee:
        """The remaining lifetime that consumers are guaranteed."""
        return Guarantee(schedule_interval=self.schedule_interval, consumer_cache=self.consumer_cache)

    def check_overlap(self, rotations: Iterable[Rotation]) -> None:
        """Raise SettingsError if the settings alone show that the guarantee to consumers cannot hold.

        A single rotation that does not set a lifetime has the expected lifetime. With multiple rotations,
        that is the shortest lifetime of all, which need not be the lifetime of a given rotation.
        """
        expected = self.token_lifetime if self.rotation else None
        for rotation in rotations:
            lifetime = policy.asked_lifetime(rotation) or expected
            if lifetime and (problem := self.guarantee.problem(lifetime, rotation.renew_at)):
                raise problem.again(problem=f"rotation {rotation.name}: {problem.problem}")


def read_environment(environ: Mapping[str, str]) -> Settings:
    """Read the settings from ``ROTATOR_*``; an empty variable counts as not set.

    Raises SettingsError for the first setting that is missing, malformed or in conflict with another.
    """
    variables = {
        name: value
        for name, value in environ.items()
        if name.upper().startswith(PREFIX) and (value or name == PREFIX + "SCOPE")
    }
    _refuse_unknown(variables)
    given = {name.removeprefix(PREFIX).lower(): value for name, value in variables.items()}
    read = read_values(given, _RUN_SETTINGS, _variable)
    rotation = None
    if "rotations_path" in read:
        read |= read_values(given, {key: ROTATION_SETTINGS[key] for key in _DOCUMENT_DEFAULTS}, _variable)
        for key in sorted(ROTATION_SETTINGS.keys() & given.keys() - _DOCUMENT_DEFAULTS):
            raise SettingsError(
                f"{_variable(key)} and ROTATOR_ROTATIONS_PATH are both set",
                advice=f"remove {_variable(key)}, and set {key} in the rotation documents instead",
            )
    else:
        rotation = read_rotation(given, read.get("allowed_hosts", frozenset()), _variable)
    _check_workers(read)
    return Settings(rotation=rotation, **read)


def _variable(key: str) -> str:
    return PREFIX + key.upper()


def _check_workers(read: Mapping[str, Any]) -> None:
    """Raise SettingsError unless the queue and the number of workers are set together, with a path."""
    if ("queue_url" in read) != ("workers" in read):
        raise SettingsError(
            "only one of ROTATOR_QUEUE_URL and ROTATOR_WORKERS is set", advice="set both, or remove both"
        )
    if "queue_url" in read and "rotations_path" not in read:
        raise SettingsError(
            "ROTATOR_QUEUE_URL is set without ROTATOR_ROTATIONS_PATH",
            advice="remove ROTATOR_QUEUE_URL: a single rotation needs no workers",
        )


def nothing_is_set(environ: Mapping[str, str]) -> bool:
    """Whether the environment holds no ``ROTATOR_*`` setting."""
    return not any(name.startswith(PREFIX) and value for name, value in environ.items())


def _refuse_unknown(names: Iterable[str]) -> None:
    """Raise SettingsError for an unknown ``ROTATOR_*`` variable, which would otherwise have no effect."""
    known = ROTATION_SETTINGS.keys() | _RUN_SETTINGS.keys()
    for name in sorted(set(names) - set(map(_variable, known))):
        key = name[len(PREFIX) :].lower()
        advice = did_you_mean(_OTHER_NAMES.get(key, key), known, _variable)
        raise SettingsError(f"{name[: len(PREFIX) + 64]} is not a setting", advice=advice)


_OTHER_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("token_url", "token_uri", "url", "endpoint"), "token_endpoint"),
    **dict.fromkeys(("audience", "resource", "extra_params"), "token_request_params"),
    **dict.fromkeys(("client_id", "client_secret", "secret", "secret_arn", "secret_name"), "secret_id"),
    "auth_method": "client_authentication",
}
"""Names that other programs use for these settings, where the spelling is not similar."""

_DOCUMENT_DEFAULTS = frozenset({"kms_key_id"})
"""The settings that may be set as the default of all rotation documents."""

_RUN_SETTINGS: Mapping[str, Callable[[Any], Any]] = {
    "rotations_path": validators.path,
    "allowed_hosts": validators.hosts,
    "schedule_interval": validators.seconds(60, 24 * 3600),
    "consumer_cache": validators.seconds(0, 24 * 3600),
    "writes_per_second": validators.number(0.1, 10_000, "a number from 0.1 to 10000"),
    "queue_url": partial(
        validators.url,
        takes="the https URL of a queue, such as https://sqs.eu-central-1.amazonaws.com/123456789012/work",
    ),
    "workers": lambda value: int(
        validators.matching(r"[2-9]|[1-9][0-9]{1,2}|1000", "a number from 2 to 1000")(value)
    ),
    "token_lifetime": lambda value: (
        None if value == "other" else validators.seconds(60, MAX_LIFETIME_SECONDS)(value)
    ),
    "replica_regions": validators.regions,
    "log_level": lambda value: validators.one_of(*LOG_LEVELS)(str(value).upper()),
}
