"""The initial states of interleaved runs: the stored data, the forced runs and the number of faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from rotator.oauth.models import Secret
from rotator.renewal import status
from rotator.renewal.lease_text import LeaseText
from rotator.renewal.models import Rotation, Status
from rotator.simulation.aws import MemoryParameterStore
from rotator.simulation.timeline import START

ROTATION = Rotation(name="explored", secret_id="explored", parameter_name="/explored")
LIFETIME = timedelta(days=1)
FRESH_AGE, DUE_AGE = timedelta(hours=1), timedelta(hours=17)

SHORT_RUN_SECONDS, LONG_RUN_SECONDS = 60.0, 900.0
"""How long a run may take: an operator's, and the longest of a function."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """A situation from which runs start.

    Args:
        name: Its name in reports.
        forced: For each run, whether it is forced.
        faults: The maximum number of faults.
        age: The age of the stored token, None if there is none.
        lease: Whether there is a lease parameter.
        longest: The seconds that the last run may take; every other one may take SHORT_RUN_SECONDS.
    """

    name: str
    forced: tuple[bool, ...]
    faults: int
    age: timedelta | None = DUE_AGE
    lease: bool = True
    longest: float = SHORT_RUN_SECONDS

    def store(self) -> MemoryParameterStore:
        """Return a parameter store with the data of this state."""
        store = MemoryParameterStore()
        if self.age is not None:
            issued_at = START - self.age
            stored = Status(
                parameter_version=1,
                issued_at=issued_at,
                expires_at=issued_at + LIFETIME,
                renew_at=issued_at + LIFETIME * 2 / 3,
                scope="*",
                token_sha256="0" * 16,
                secret_version_id="v",
                rotator_version="0",
                lease_version=int(self.lease),
            )
            store.write_token(ROTATION, Secret("stored"))
            store.write_status(ROTATION, status.dump(stored))
        if self.lease:
            expires_at = START + timedelta(seconds=30)
            # With a token, its status names the lease's version: the lease has been released by that.
            text = LeaseText(run="before", read_version=0, expires_at=expires_at, released=self.age is None)
            store.create_lease(ROTATION, text.dump())
        return store


def starts(runs: int, faults: int) -> Iterator[Start]:
    """Yield every start of n runs: with and without token and lease, due and fresh, forced and not."""
    for forced in range(runs + 1):
        forces = f"{forced} of {runs} runs forced"
        due = Start(
            name=f"due token, {forces}", forced=tuple(place < forced for place in range(runs)), faults=faults
        )
        yield due
        if forced:
            yield replace(due, name=f"fresh token, {forces}", age=FRESH_AGE)
        else:
            yield replace(due, name=f"due token, {forces}, a long one", longest=LONG_RUN_SECONDS)
        if not (faults and forced):
            yield replace(due, name=f"first token, {forces}", age=None, lease=False)
        if not faults:
            yield replace(due, name=f"first token after a failure, {forces}", age=None)
            yield replace(due, name=f"due token without a lease, {forces}", lease=False)
