"""The subject and the instruments of an examination."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rotator.config.deployment import Inspector
from rotator.config.environment import Settings
from rotator.config.registry import Fleet
from rotator.errors import RotatorError
from rotator.oauth.client_credentials import TokenResponse
from rotator.renewal.ports import Ports, Run
from rotator.replication.region_copies import Replica

Reach = Callable[[str, str | None], TokenResponse | RotatorError]
"""Sends one GET without credentials to a URL; returns the answer, of any status, or the error without one.

The second argument names the parameter with additional trusted certificates, if any.
"""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The rotations to examine, the settings and ports of a run, the replica Regions, and the options.

    Without ``stack``, the doctor finds the stack by itself.
    """

    fleet: Fleet
    settings: Settings
    ports: Ports
    replicas: tuple[Replica, ...] = ()
    stack: str | None = None
    request_token: bool = True
    try_encodings: bool = False


@dataclass(frozen=True, kw_only=True)
class Instruments:
    """The functions and ports of the doctor, in addition to the ports of a run."""

    inspector: Inspector
    reach: Reach
    begin_run: Callable[[], Run]
    now: Callable[[], datetime]
