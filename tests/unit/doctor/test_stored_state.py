"""What an operator is shown of rotations whose leases, or tokens, cannot be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from fake_ports import START, FakeParameterStore, rotation
from rotator.doctor.stored_state import read_stored_for_display
from rotator.errors import ParameterStoreError
from rotator.renewal.models import Parameter, Rotation, Stored


def members(count: int) -> list[Rotation]:
    return [rotation(name=str(number), parameter_name=f"/fleet/{number}") for number in range(count)]


class Denied(FakeParameterStore):
    """A store that denies reading a lease, or with ``tokens`` a token."""

    def __init__(self, *, tokens: bool = False, **kind: bool) -> None:
        super().__init__()
        self.denied = "" if tokens else "/lease"
        self.error = ParameterStoreError("denied", advice="allow it", **kind)  # type: ignore[arg-type]

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        found = super().read(names)
        if any(name.endswith(self.denied) for name in names):
            raise self.error
        return found


def test_unreadable_lease_is_returned_as_lease_error() -> None:
    store = Denied()
    assert read_stored_for_display(members(7), store, now=START) == {
        str(number): Stored(lease_error=store.error) for number in range(7)
    }


def test_unreadable_token_is_returned_as_error() -> None:
    store = Denied(tokens=True)
    assert set(read_stored_for_display(members(7), store, now=START).values()) == {store.error}


@pytest.mark.parametrize("kind", ["unreachable", "transient", "foreign"])
def test_unavailable_aws_is_read_once(kind: str) -> None:
    store = Denied(**{kind: True})
    assert read_stored_for_display(members(1), store, now=START) == {"0": store.error}
    assert store.reads == 1
