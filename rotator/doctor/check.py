"""One check and its state: passed, failed, or skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from rotator.errors import as_rotator_error

ROTATE = "`rotator rotate --function ...`"
"""Renews due tokens through the function, which has the permissions; `make rotate` forces fresh ones, too."""

REPLACE = (
    "run `make undeploy`, then `make deploy`: an update of the stack does not restore a resource that was "
    "changed by hand; the token is kept"
)
"""The advice for a part of the stack that was changed or deleted outside CloudFormation."""


class State(StrEnum):
    """The state of a check."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class NotChecked(Exception):
    """A check is not possible or not applicable; the text is the reason."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """The result of a check, of one rotation or of all together, and the next step after a failure."""

    name: str
    state: State
    found: str
    advice: str | None = None
    rotation: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the check in the form of ``--json``."""
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
    """Return the result of a check, which is skipped unless every check in ``needs`` passed.

    ``examine`` returns the finding, and raises RotatorError if the check fails, NotChecked to skip it.
    """
    check = partial(Check, name=name, rotation=rotation)
    missing = next((need for need in needs if need.state is not State.OK), None)
    if missing:
        how = "failed" if missing.state is State.FAILED else "was skipped"
        return check(state=State.SKIPPED, found=f'not checked, because the check "{missing.name}" {how}')
    try:
        return check(state=State.OK, found=examine())
    except NotChecked as reason:
        return check(state=State.SKIPPED, found=str(reason))
    except Exception as error:  # noqa: BLE001 - a defect in one check must not stop the others
        known = as_rotator_error(error, f"the check {name}")
        return check(state=State.FAILED, found=known.problem, advice=known.by_hand().next_step)
