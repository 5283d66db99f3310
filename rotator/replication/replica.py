"""Replicas: copies of a rotation's token and status in other Regions, where consumers read them.

Home is the Region of the lease, where runs renew the token. A replica has parameters of the same names, no
lease, and its own versions: the status of the replica equals that of home, except for the version of its
token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter

from rotator.errors import MORE_TIME, MORE_WRITES, ParameterStoreError, Retry, RotatorError
from rotator.oauth.models import Secret
from rotator.renewal import status as status_text
from rotator.renewal.deadline import Deadline
from rotator.renewal.durations import seconds_until
from rotator.renewal.models import Parameter, Rotation, Status, Stored
from rotator.renewal.ports import ParameterStore

Read = Callable[[Sequence[str]], Mapping[str, Parameter]]

_identity = attrgetter("token_sha256", "expires_at")


@dataclass(frozen=True, kw_only=True)
class ReplicaState:
    """The stored state of a rotation in a replica Region, or the error of reading it."""

    region: str
    stored: Stored | None = None
    behind: bool | None = None  # None if home has no valid status to compare the replica with
    error: RotatorError | None = None

    @property
    def state(self) -> str:
        """The name of the state for people."""
        if self.stored is None:
            return "unreadable"
        if not self.stored.token_version:
            return "missing"
        return {True: "behind", False: "in sync", None: "unknown"}[self.behind]

    def seconds_remaining(self, now: datetime) -> float | None:
        """Return the remaining lifetime of the replica's token, None if its expiry is unknown."""
        status = self.stored.token_status if self.stored else None
        return seconds_until(status.expires_at, now) if status else None


def state_of(region: str, home: Stored | RotatorError, found: Stored | RotatorError) -> ReplicaState:
    """Return the state of a replica, compared with the stored state of home."""
    if isinstance(found, RotatorError):
        return ReplicaState(region=region, error=found)
    status = home.token_status if isinstance(home, Stored) else None
    behind = is_behind(status, found.token_status) if status else None
    return ReplicaState(region=region, stored=found, behind=behind)


def is_behind(home: Status, replica: Status | None) -> bool:
    """Whether a replica lacks home's current token or its status."""
    return replica is None or _identity(home) != _identity(replica)


def copy(
    rotation: Rotation,
    region: str,
    home: ParameterStore,
    replica: ParameterStore,
    deadline: Deadline,
    *,
    before_write: Callable[[], None] = lambda: None,
) -> bool:
    """Copy token and status to a replica unless it has them; return whether the replica was written.

    No call begins after the deadline. Replica and home are read again after ``before_write``, which may wait
    for the write rate, because another run may have renewed or copied the token during the wait.

    Raises ParameterStoreError if a parameter cannot be read or written, the key does not exist in the Region,
    or the replica has a token that was issued later.
    """
    in_region = replace(rotation, kms_key_id=key_in(region, rotation.kms_key_id))
    if _to_copy(rotation, home.read, replica, deadline) is None:
        return False
    before_write()
    current = _to_copy(rotation, home.read_decrypted, replica, deadline)
    if current is None:
        return False
    status, token = current
    _check_time(deadline)
    version = replica.write_token(in_region, Secret(token.value))
    _check_time(deadline)
    replica_status = replace(status, parameter_version=version, lease_version=0)
    replica.write_status(in_region, status_text.dump(replica_status))
    return True


def _to_copy(
    rotation: Rotation, read_home: Read, replica: ParameterStore, deadline: Deadline
) -> tuple[Status, Parameter] | None:
    """Return home's status and token if the replica is behind, None if there is nothing to copy.

    Home is read last: then only another stack can have written a replica whose token was issued later.
    """
    names = rotation.parameter_names[:2]
    _check_time(deadline)
    replica_status = status_text.read(rotation, replica.read(names)).token_status
    _check_time(deadline)
    found = read_home(names)
    status = status_text.read(rotation, found).token_status
    # Without a status, another run is between its two writes, and will copy the token after them.
    if status is None or not is_behind(status, replica_status):
        return None
    if replica_status and replica_status.issued_at > status.issued_at:
        raise ParameterStoreError(
            "the replica's token was issued later than the token in the home Region",
            advice="if a stack in that Region renews the token, undeploy one of the two stacks; "
            "otherwise delete the replica's parameters, and the next run writes them",
        )
    return status, found[rotation.parameter_name]


def _check_time(deadline: Deadline) -> None:
    if deadline.remaining() <= 0:
        raise postponed()


def postponed() -> ParameterStoreError:
    """Return the error for a replica that was not written because the run's time ran out."""
    return ParameterStoreError(
        "the run's time ran out before the replica was written",
        advice=f"{MORE_TIME}, or {MORE_WRITES}",
        retry=Retry.NEXT_RUN,
    )


def is_multi_region_key(key_id: str) -> bool:
    """Whether the id or ARN of a KMS key is that of a multi-Region key.

    https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html
    """
    return key_id.rpartition("/")[2].startswith("mrk-")


def key_in(region: str, key_id: str | None) -> str | None:
    """Return the name of home's key in another Region: an alias of the same name, or the key's replica.

    Raises ParameterStoreError if the key exists at home only: the token is never stored under another key
    than the configured one.
    """
    if key_id is None:
        return None
    if "alias/" not in key_id and not is_multi_region_key(key_id):
        raise ParameterStoreError(
            f"the KMS key {key_id} exists in one Region only",
            advice="set kms_key_id to a multi-Region key with a replica in each Region, or to an alias that "
            "names a key in each Region, or remove kms_key_id to use aws/ssm",
        )
    parts = key_id.split(":")
    return ":".join((*parts[:3], region, *parts[4:])) if parts[0] == "arn" else key_id
