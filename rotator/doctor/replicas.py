"""The checks of replicas: each must hold home's current token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from rotator.doctor.check import ROTATE, Check, NotChecked, State, carry_out
from rotator.errors import RotatorError
from rotator.renewal.durations import describe_seconds
from rotator.renewal.models import Rotation, Stored
from rotator.replication.region_copies import Replica, replica_states
from rotator.replication.replica import ReplicaState

CHECK = "replica"
"""The first word of each check's name; the Region is the second."""


def check_replicas(
    rotations: Sequence[Rotation],
    regions: Sequence[Replica],
    home: Mapping[str, Stored | RotatorError],
    now: datetime,
    needs: Sequence[Check],
) -> Iterator[Check]:
    """Yield a check for each rotation and replica Region.

    Args:
        rotations: The rotations.
        regions: The replica Regions.
        home: The stored state of each rotation at home.
        now: The time (UTC).
        needs: The checks on which these depend.
    """
    if any(need.state is not State.OK for need in needs):
        for region in regions:
            yield carry_out(f"{CHECK} {region.region}", str, needs=needs)
        return
    for rotation, states in replica_states(rotations, regions, home):
        for state in states:
            yield carry_out(f"{CHECK} {state.region}", partial(_check, state, now), rotation=rotation.name)


def _check(state: ReplicaState, now: datetime) -> str:
    if state.error:
        raise state.error
    if state.behind is None:
        raise NotChecked(
            'the token or its status is missing in the home Region; see the check "stored token"'
        )
    seconds = state.seconds_remaining(now)
    if state.behind:
        problem = (
            "the replica has no token yet"
            if state.state == "missing"
            else "the replica has another token than the home Region"
        )
        raise RotatorError(
            problem, advice=f"wait for the next run, which writes the replica, or run {ROTATE}"
        )
    version = state.stored.token_version if state.stored else 0
    return (
        f"version {version} is the home Region's current token and valid for {describe_seconds(seconds or 0)}"
    )
