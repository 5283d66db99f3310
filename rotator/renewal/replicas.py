"""Replicas: copies of a rotation's token and status in other Regions, where consumers read them.

Home is the Region whose lease decides who renews. A replica has the same names, no lease, and versions of its
own: its status is that of home, but names the version that the token has there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rotator.errors import MORE_TIME, MORE_WRITES, ParameterStoreError, Retry, RotatorError
from rotator.oauth.models import Secret
from rotator.renewal import status as status_text
from rotator.renewal.deadline import Deadline
from rotator.renewal.durations import seconds_until
from rotator.renewal.models import Rotation, Status, Stored
from rotator.renewal.ports import ParameterStore

_MULTI_REGION_KEY = "mrk-"
"""https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html"""


@dataclass(frozen=True, kw_only=True)
class ReplicaState:
    """What is stored for a rotation in a replica Region, or why that is not known.

    ``behind`` is None if there is nothing to compare it with.
    """

    region: str
    stored: Stored | None = None
    behind: bool | None = None
    error: RotatorError | None = None

    @property
    def state(self) -> str:
        """The state in a word or two."""
        if self.stored is None:
            return "unreadable"
        if not self.stored.token_version:
            return "missing"
        return {True: "behind", False: "in sync", None: "unknown"}[self.behind]

    def seconds_remaining(self, now: datetime) -> float | None:
        """Return the remaining lifetime of the token there; None if that is not known."""
        status = self.stored.token_status if self.stored else None
        return seconds_until(status.expires_at, now) if status else None


def state_of(region: str, home: Stored | RotatorError, found: Stored | RotatorError) -> ReplicaState:
    """Return the state of a replica, by what is stored at home and there."""
    if isinstance(found, RotatorError):
        return ReplicaState(region=region, error=found)
    status = home.token_status if isinstance(home, Stored) else None
    behind = is_behind(status, found.token_status) if status else None
    return ReplicaState(region=region, stored=found, behind=behind)


def is_behind(home: Status, replica: Status | None) -> bool:
    """Whether a replica lacks the token that home's status describes, or a status that describes it."""
    return replica is None or _identity(home) != _identity(replica)


def _identity(status: Status) -> tuple[Any, ...]:
    return status.token_sha256, status.expires_at


def copy(
    rotation: Rotation,
    region: str,
    home: ParameterStore,
    replica: ParameterStore,
    deadline: Deadline,
    *,
    before_write: Callable[[], None] = lambda: None,
) -> bool:
    """Copy token and status to a replica unless it has them; return whether it was written.

    What is stored decides, at home and in the replica, as it is read here: another run may have renewed the
    token, or copied it, since it was found to be behind.

    Args:
        rotation: Whose token it is.
        region: The replica's Region.
        home: Parameter Store at home.
        replica: Parameter Store in that Region.
        deadline: No call begins later.
        before_write: Is called before the two writes, and may wait for the write rate.

    Raises:
        ParameterStoreError: One of the two cannot be read or written, or the key is not usable there.
    """
    there = replace(rotation, kms_key_id=key_in(region, rotation.kms_key_id))
    names = rotation.parameter_names[:2]
    _check_time(deadline)
    found = home.read_decrypted(names)
    status = status_text.read(rotation, found).token_status
    if status is None:  # a run is between its two writes, and copies the token after them
        return False
    _check_time(deadline)
    if not is_behind(status, status_text.read(there, replica.read(names)).token_status):
        return False
    before_write()
    _check_time(deadline)
    version = replica.write_token(there, Secret(found[rotation.parameter_name].value))
    _check_time(deadline)
    described = replace(status, parameter_version=version, lease_version=0)
    replica.write_status(there, status_text.dump(described))
    return True


def _check_time(deadline: Deadline) -> None:
    if deadline.remaining() <= 0:
        raise postponed()


def postponed() -> ParameterStoreError:
    """Return the error for a replica that was not written because the run had no time left for it."""
    return ParameterStoreError(
        "the run had no time left for it", advice=f"{MORE_TIME}, or {MORE_WRITES}", retry=Retry.NEXT_RUN
    )


def key_in(region: str, key_id: str | None) -> str | None:
    """Return the name of home's key in another Region: an alias of the same name, or the key's replica.

    Raises:
        ParameterStoreError: The key exists at home only. A token is not stored under a weaker key than the
            one that was chosen for it.
    """
    if key_id is None:
        return None
    if "alias/" not in key_id and not key_id.rpartition("/")[2].startswith(_MULTI_REGION_KEY):
        raise ParameterStoreError(
            f"the token's key {key_id} is a key of one Region",
            advice="take a multi-Region key that has a replica there, an alias that names a key in each "
            "Region, or no key of yours: then it is aws/ssm",
        )
    parts = key_id.split(":")
    return ":".join((*parts[:3], region, *parts[4:])) if parts[0] == "arn" else key_id
