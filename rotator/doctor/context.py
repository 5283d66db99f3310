"""The subject, the instruments and the options of an examination."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from rotator.config.deployment import Inspector
from rotator.config.registry import Fleet
from rotator.errors import RotatorError
from rotator.oauth.client_credentials import TokenResponse
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.policy import ExpectedLifetime
from rotator.renewal.ports import Ports, Run
from rotator.replication.region_copies import Replica

Reach = Callable[[str, str | None], TokenResponse]
"""Sends one GET without credentials to a URL and returns the answer, of any status.

The second argument names the parameter with additional trusted certificates, if any. Raises TokenRequestError
if there is no answer, SettingsError or ParameterStoreError if the certificates cannot be used.
"""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The rotations to examine, the guarantee to their consumers, and the ports of a run."""

    fleet: Fleet
    guarantee: Guarantee
    ports: Ports
    expected_lifetime: ExpectedLifetime | None = None
    rotations_path: str | None = None
    log_level: str = "INFO"
    replicas: tuple[Replica, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Instruments:
    """The functions and ports of the doctor, in addition to the ports of a run."""

    inspector: Inspector
    reach: Reach
    begin_run: Callable[[], Run]
    now: Callable[[], datetime]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The operator's choices; without ``stack``, the doctor finds the stack by itself."""

    request_token: bool = True
    try_encodings: bool = False
    stack: str | None = None


def once(reach: Reach) -> Reach:
    """Return a function that requests each URL once, and then repeats the answer or the error."""

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
