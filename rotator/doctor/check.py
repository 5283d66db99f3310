"""One check, and the rules by which a check ends: found well, failed, or not done."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rotator.errors import as_rotator_error

ROTATE = "`rotator rotate --function ...`"
"""How an operator renews what is due now: by the deployed function, which has the permissions.

Of many rotations that leaves the fresh ones alone; `make rotate` would force them, too.
"""

REPLACE = (
    "`make undeploy`, then `make deploy`: an update mends nothing that was changed by hand; the token stays"
)
"""What helps where a part of the stack is not what CloudFormation takes it for."""


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class NotChecked(Exception):
    """A check cannot be done, or has nothing to look at; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was checked, what was found, and if that is bad what to do next.

    ``rotation`` is the rotation's name, or None where the check is of all of them together.
    """

    name: str
    state: State
    found: str
    advice: str | None = None
    rotation: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The check as ``--json`` gives it."""
        return {
            "check": self.name,
            "rotation": self.rotation,
            "state": self.state.value,
            "found": self.found,
            "next_step": self.advice,
        }


def carry_out(
    name: str, look: Callable[[], str], *, needs: Iterable[Check] = (), rotation: str | None = None
) -> Check:
    """Look, unless a check that this one needs did not end well.

    ``look`` returns what it found, raises a RotatorError for what is wrong, or NotChecked.
    """
    missing = next((need for need in needs if need.state is not State.OK), None)
    state, found, advice = _skip(missing) if missing else _look(name, look)
    return Check(name=name, state=state, found=found, advice=advice, rotation=rotation)


def _skip(missing: Check) -> tuple[State, str, None]:
    ended = "failed" if missing.state is State.FAILED else "was not checked"
    return State.SKIPPED, f"not checked, since {missing.name} {ended}", None


def _look(name: str, look: Callable[[], str]) -> tuple[State, str, str | None]:
    try:
        return State.OK, look(), None
    except NotChecked as reason:
        return State.SKIPPED, str(reason), None
    except Exception as error:  # noqa: BLE001 - a defect in one check may not stop the others
        known = as_rotator_error(error, f"the check of {name}")
        return State.FAILED, known.problem, known.advice
