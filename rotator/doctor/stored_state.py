"""What is stored for rotations, as far as an operator may read it."""

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
    """Return what is stored for every rotation, without its lease if only that cannot be read.

    A caller that may read a token may be denied its lease. ``Stored.lease_error`` is why it is missing.
    """
    found = read_stored(rotations, parameters, leases_at=now)
    errors = {name: each for name, each in found.items() if _may_be_of_a_lease(each)}
    others = read_stored([r for r in rotations if r.name in errors], parameters)
    return {**found, **{name: _without_lease(each, errors[name]) for name, each in others.items()}}


def _may_be_of_a_lease(found: Stored | RotatorError) -> TypeGuard[ParameterStoreError]:
    """Return whether a call failed because of a parameter in it, and not because AWS is unavailable."""
    return isinstance(found, ParameterStoreError) and not found.is_unavailable


def _without_lease(found: Stored | RotatorError, error: RotatorError) -> Stored | RotatorError:
    return replace(found, lease_error=error) if isinstance(found, Stored) else found
