"""What is stored for rotations, as far as an operator may read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeGuard

from rotator.errors import ParameterStoreError, RotatorError
from rotator.fleet.state_reader import Found, read_stored
from rotator.renewal.models import Rotation, Stored
from rotator.renewal.ports import ParameterStore


def read_stored_for_display(
    rotations: Sequence[Rotation], parameters: ParameterStore, *, now: datetime
) -> Found:
    """Return what is stored for every rotation, without its lease where only that cannot be read.

    Who may read a token may not be allowed to read its lease. ``Stored.lease_error`` tells why it is missing.
    """
    found = read_stored(rotations, parameters, leases_at=now)
    errors = {name: each for name, each in found.items() if _may_be_of_a_lease(each)}
    others = read_stored([r for r in rotations if r.name in errors], parameters)
    return {**found, **{name: _without_lease(each, errors[name]) for name, each in others.items()}}


def _may_be_of_a_lease(found: Stored | RotatorError) -> TypeGuard[ParameterStoreError]:
    """Whether a call failed for what it asked for, which is not so when nobody else gets an answer either."""
    return isinstance(found, ParameterStoreError) and not (
        found.unreachable or found.transient or found.foreign
    )


def _without_lease(found: Stored | RotatorError, error: RotatorError) -> Stored | RotatorError:
    return replace(found, lease_error=error) if isinstance(found, Stored) else found
