"""A claim: one run has a rotation for itself, so that two never renew at once.

Parameter Store cannot write on a condition, but it numbers the versions: of all runs that read
version n of the status, only the one whose write is answered n + 1 holds the claim. It ends when the
run gives it back, or by itself when the run must be over.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from rotator import policy
from rotator import status as status_text
from rotator.errors import (
    MORE_TIME,
    ConcurrentUpdate,
    CredentialsError,
    ParameterStoreError,
    RotatorError,
    TokenRequestRejected,
)
from rotator.model import Claim, Rotation, Stored
from rotator.ports import ParameterStore, Run

logger = logging.getLogger(__name__)


def too_late(name: str) -> ParameterStoreError:
    """Say that a parameter was not written, since the run was over."""
    return ParameterStoreError(
        f"the run's time was over before {name} could be written",
        advice=f"the next run tries again; if it lasts, {MORE_TIME}",
    )


@dataclass(frozen=True, kw_only=True)
class HeldClaim:
    """A claim that this run holds on a rotation, and what was stored before it."""

    rotation: Rotation
    stored: Stored
    parameters: ParameterStore
    run: Run
    claim: Claim

    def is_over(self) -> bool:
        """Whether the rotation may be another run's by now, by either clock: a laptop's sleep stops one."""
        return self.run.time_left() <= 0 or self.run.now() >= self.claim.until

    def check(self) -> None:
        """Raise ParameterStoreError if it is over: a late token could take the place of a newer one."""
        if self.is_over():
            raise too_late(self.rotation.parameter_name)

    def give_back(self, *, unfinished: bool = False) -> None:
        """End the claim before its time; an ``unfinished`` renewal leaves it in the status, ended."""
        if self.is_over():
            return
        trace = Claim(by=self.run.id, until=self.run.now()) if unfinished else None
        try:
            self.parameters.write_status(self.rotation, status_text.dump(self.stored.status, trace))
        except ParameterStoreError:
            name = self.rotation.name
            logger.warning("the claim on rotation %s was not given back; it ends by itself", name)

    @contextmanager
    def given_back_on_failure(self) -> Iterator[None]:
        """Give it back when the body fails, so that who mends the cause need not wait for its end."""
        try:
            yield
        except RotatorError as error:
            self.give_back(unfinished=self._leaves_unfinished(error))
            raise

    def _leaves_unfinished(self, error: RotatorError) -> bool:
        """Whether a failure may leave a dead token that looks fresh (policy.is_unfinished).

        The endpoint may have issued a token that was not published, and ended the stored one for it.
        A token that is due anyway, by the settings of this run and of the one that published it,
        needs no trace: the next run renews it.
        """
        status = self.stored.trusted
        if status is None:
            return False
        if self.run.now() >= max(status.renew_at, policy.renewal_time(self.rotation, status)):
            return False
        if isinstance(error, CredentialsError) or (isinstance(error, TokenRequestRejected) and error.at_once):
            return self.stored.claim is not None  # nothing was issued, but an earlier run may have been
        return True


def acquire(rotation: Rotation, stored: Stored, parameters: ParameterStore, run: Run) -> HeldClaim | None:
    """Claim the rotation until this run must be over; None if someone else was faster."""
    seconds = math.ceil(run.time_left() + run.overrun) + 1  # it is written in whole seconds
    claim = Claim(by=run.id, until=run.now() + timedelta(seconds=seconds))
    text = status_text.dump(stored.status, claim)
    write = parameters.write_status if stored.status_version else parameters.create_status
    try:
        held = write(rotation, text) == stored.status_version + 1
    except ConcurrentUpdate:
        held = False
    if not held:
        return None
    return HeldClaim(rotation=rotation, stored=stored, parameters=parameters, run=run, claim=claim)
