"""The stored tokens and their replicas: how an operator reads them, and the checks of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from rotator.doctor.check import ROTATE, Check, NotChecked, State, carry_out
from rotator.errors import ParameterStoreError, RotatorError
from rotator.fleet.state_reader import StoredByName, read_stored
from rotator.renewal import policy
from rotator.renewal.durations import describe_seconds, seconds_until
from rotator.renewal.models import Rotation, Stored
from rotator.renewal.policy import TokenState
from rotator.renewal.ports import ParameterStore
from rotator.replication.region_copies import Replica, replica_states
from rotator.replication.replica import ReplicaState


def read_stored_for_display(
    rotations: Sequence[Rotation], parameters: ParameterStore, *, now: datetime
) -> StoredByName:
    """Return the stored state of every rotation, without the lease if only the lease cannot be read.

    A caller with access to the token may be denied access to the lease. ``Stored.lease_error`` is the reason.
    """
    found = read_stored(rotations, parameters, leases_at=now)
    errors = {  # of a call's parameters, not of AWS
        name: each
        for name, each in found.items()
        if isinstance(each, ParameterStoreError) and not each.is_unavailable
    }
    others = read_stored([r for r in rotations if r.name in errors], parameters)
    without_lease = {
        name: replace(each, lease_error=errors[name]) if isinstance(each, Stored) else each
        for name, each in others.items()
    }
    return {**found, **without_lease}


def check_stored(rotation: Rotation, stored: Stored | RotatorError, now: datetime) -> str:
    """Return the state of the token that consumers read now; raises RotatorError unless it is valid."""
    if isinstance(stored, RotatorError):
        raise stored
    state, status = policy.token_state(rotation, stored, now), stored.token_status
    renewal = f"wait for the next run, which renews the token, or run {ROTATE}"
    if state is TokenState.MISSING:
        raise RotatorError("there is no token yet", advice=f"wait for the first run, or run {ROTATE}")
    if status is None:
        problem = stored.status_problem or "the status is missing or describes another version"
        problem = f"the token's expiry is unknown, because its status cannot be used: {problem}"
        raise RotatorError(problem, advice=renewal)
    if state is TokenState.EXPIRED:
        age = describe_seconds(-seconds_until(status.expires_at, now))
        advice = f"find out why the last runs failed, then run {ROTATE}"
        raise RotatorError(f"the token expired {age} ago", advice=advice)
    if policy.may_be_revoked(rotation, stored, now):
        raise RotatorError(
            "the provider may have revoked the stored token, because it may have issued another token that "
            "was not stored",
            advice=renewal,
        )
    remaining = describe_seconds(seconds_until(status.expires_at, now))
    return f"version {stored.token_version} is {state.value} and valid for {remaining}"


def check_replicas(
    rotations: Sequence[Rotation],
    regions: Sequence[Replica],
    home: StoredByName,
    now: datetime,
    needs: Sequence[Check],
) -> Iterator[Check]:
    """Yield a check for each rotation and replica Region: the replica must hold home's current token."""
    if any(need.state is not State.OK for need in needs):
        for region in regions:
            yield carry_out(f"replica {region.region}", str, needs=needs)
        return
    for rotation, states in replica_states(rotations, regions, home):
        for state in states:
            check = partial(_check_replica, state, now)
            yield carry_out(f"replica {state.region}", check, rotation=rotation.name)


def _check_replica(state: ReplicaState, now: datetime) -> str:
    if state.error:
        raise state.error
    if state.behind is None:
        raise NotChecked(
            'the token or its status is missing in the home Region; see the check "stored token"'
        )
    if state.behind:
        problem = "the replica has another token than the home Region"
        if state.state == "missing":
            problem = "the replica has no token yet"
        advice = f"wait for the next run, which writes the replica, or run {ROTATE}"
        raise RotatorError(problem, advice=advice)
    version = state.stored.token_version if state.stored else 0
    remaining = describe_seconds(state.seconds_remaining(now) or 0)
    return f"version {version} is the home Region's current token and valid for {remaining}"
