"""What is examined, with which instruments, and what the operator allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from rotator.config.deployment import Inspector
from rotator.config.registry import Fleet
from rotator.errors import RotatorError
from rotator.fleet.region_copies import Replica
from rotator.oauth.client_credentials import TokenResponse
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.policy import ExpectedLifetime
from rotator.renewal.ports import Ports, Run

Reach = Callable[[str, str | None], TokenResponse]
"""Sends one GET without credentials to an address and returns the answer, whatever its status.

The certificates in the parameter of this name, if one is given, are trusted besides the public ones.
Raises TokenRequestError if there is no answer, SettingsError or ParameterStoreError for these certificates.
"""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is examined: rotations, what is guaranteed to their consumers, and the ports they run on."""

    fleet: Fleet
    guarantee: Guarantee
    ports: Ports
    expected_lifetime: ExpectedLifetime | None = None
    rotations_path: str | None = None
    log_level: str = "INFO"
    replicas: tuple[Replica, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Instruments:
    """What the doctor examines with, in addition to the job's own ports."""

    inspector: Inspector
    reach: Reach
    begin_run: Callable[[], Run]
    now: Callable[[], datetime]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the operator allows, and which stack to examine instead of the one that is found."""

    request_token: bool = True
    try_encodings: bool = False
    stack: str | None = None


def once(reach: Reach) -> Reach:
    """Return a function that reaches every address once, and repeats the answer or the error."""

    @cache
    def result(url: str, ca_parameter_name: str | None) -> TokenResponse | RotatorError:
        try:
            return reach(url, ca_parameter_name)
        except RotatorError as error:
            return error

    def reach_once(url: str, ca_parameter_name: str | None) -> TokenResponse:
        found = result(url, ca_parameter_name)
        if isinstance(found, RotatorError):
            raise found
        return found

    return reach_once
