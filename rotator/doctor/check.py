"""One check, and how it ends: passed, failed, or skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from rotator.errors import as_rotator_error

ROTATE = "`rotator rotate --function ...`"
"""How an operator renews what is due: by the deployed function, which has the permissions.

It leaves fresh rotations alone; `make rotate` would force them, too.
"""

REPLACE = (
    "`make undeploy`, then `make deploy`: an update fixes nothing that was changed by hand; the token stays"
)
"""The advice for a part of the stack that was changed or deleted outside CloudFormation."""


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class NotChecked(Exception):
    """A check cannot be done, or has nothing to examine; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was checked, what was found, and the next step after a failure.

    ``rotation`` is the rotation's name, or None for a check of all rotations together.
    """

    name: str
    state: State
    found: str
    advice: str | None = None
    rotation: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the check as ``--json`` prints it."""
        return {
            "check": self.name,
            "rotation": self.rotation,
            "state": self.state.value,
            "found": self.found,
            "next_step": self.advice,
        }


def carry_out(
    name: str, examine: Callable[[], str], *, needs: Iterable[Check] = (), rotation: str | None = None
) -> Check:
    """Carry out a check, unless one that it needs was not passed, and return it.

    Args:
        name: The check's name.
        examine: Returns what was found, raises RotatorError for what is wrong, or NotChecked.
        needs: The checks without which this one means nothing.
        rotation: The name of the rotation that is checked.
    """
    check = partial(Check, name=name, rotation=rotation)
    missing = next((need for need in needs if need.state is not State.OK), None)
    if missing:
        how = "failed" if missing.state is State.FAILED else "was not checked"
        return check(state=State.SKIPPED, found=f"not checked, since {missing.name} {how}")
    try:
        return check(state=State.OK, found=examine())
    except NotChecked as reason:
        return check(state=State.SKIPPED, found=str(reason))
    except Exception as error:  # noqa: BLE001 - a defect in one check must not stop the others
        known = as_rotator_error(error, f"the check of {name}")
        return check(state=State.FAILED, found=known.problem, advice=known.by_hand().next_step)
