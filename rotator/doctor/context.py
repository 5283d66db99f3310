"""A case: what is examined, with which instruments, and what the operator allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rotator.config.deployment import Inspector
from rotator.config.registry import Fleet
from rotator.errors import RotatorError
from rotator.oauth.client_credentials import TokenResponse
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.ports import Ports, Run

Reach = Callable[[str], TokenResponse]
"""Sends one GET without credentials to an address and returns the answer, whatever its status.

Raises TokenRequestError where there is none.
"""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is examined: rotations, what their consumers were promised, and the ports they run on."""

    fleet: Fleet
    guarantee: Guarantee
    ports: Ports
    rotations_path: str | None = None
    log_level: str = "INFO"


@dataclass(frozen=True, kw_only=True)
class Instruments:
    """What the doctor looks with besides the job's own ports."""

    inspector: Inspector
    reach: Reach
    begin_run: Callable[[], Run]
    now: Callable[[], datetime]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the operator allows, and which stack to look at if not the one that is found."""

    request_token: bool = True
    try_encodings: bool = False
    stack: str | None = None


def once(reach: Reach) -> Reach:
    """Reach every address one time only, and remember what came of it."""
    results: dict[str, TokenResponse | RotatorError] = {}

    def remember(url: str) -> TokenResponse:
        if url not in results:
            try:
                results[url] = reach(url)
            except RotatorError as error:
                results[url] = error
        result = results[url]
        if isinstance(result, RotatorError):
            raise result
        return result

    return remember
