"""The stored state of rotations, without the parts that the operator may not read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeGuard

from rotator.errors import ParameterStoreError, RotatorError
from rotator.fleet.state_reader import StoredByName, read_stored
from rotator.renewal.models import Rotation, Stored
from rotator.renewal.ports import ParameterStore


def read_stored_for_display(
    rotations: Sequence[Rotation], parameters: ParameterStore, *, now: datetime
) -> StoredByName:
    """Return the stored state of every rotation, without the lease if only the lease cannot be read.

    A caller with access to the token may be denied access to the lease. ``Stored.lease_error`` is the reason.
    """
    found = read_stored(rotations, parameters, leases_at=now)
    errors = {name: each for name, each in found.items() if _may_be_of_a_lease(each)}
    others = read_stored([r for r in rotations if r.name in errors], parameters)
    return {**found, **{name: _without_lease(each, errors[name]) for name, each in others.items()}}


def _may_be_of_a_lease(found: Stored | RotatorError) -> TypeGuard[ParameterStoreError]:
    """Return whether a call failed because of its parameters, not because AWS was unavailable."""
    return isinstance(found, ParameterStoreError) and not found.is_unavailable


def _without_lease(found: Stored | RotatorError, error: RotatorError) -> Stored | RotatorError:
    return replace(found, lease_error=error) if isinstance(found, Stored) else found
