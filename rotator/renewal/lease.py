"""The lease of a rotation: one run at a time renews its token.

Parameter Store has no conditional write, but it numbers the versions of a parameter. Of all runs that read
version n of the lease parameter, the one whose write becomes version n + 1 holds the lease. Every other run
has overwritten the text of the lease and nothing else, and reports `busy`. The versions before such a text
show which run holds the lease.

A lease is settled when its holder publishes a token (the status then names the lease's version), released
when its holder writes so, and expires at ``expires_at``.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotator.errors import (
    MORE_TIME,
    ConcurrentUpdate,
    ParameterStoreError,
    Retry,
    TokenNotPublished,
    as_rotator_error,
)
from rotator.oauth.models import Secret
from rotator.renewal import lease_text, policy
from rotator.renewal import status as status_text
from rotator.renewal.durations import format_time
from rotator.renewal.lease_text import LeaseText
from rotator.renewal.models import Lease, Outcome, Parameter, Rotation, Status, Stored
from rotator.renewal.ports import ParameterStore, Run
from rotator.renewal.status import StatusNotWritten

logger = logging.getLogger(__name__)

MAX_RUN = timedelta(minutes=16)
"""The longest run of a Lambda function, 15 minutes, and a tolerance for different clocks."""

VERSIONS_KEPT = 100
"""https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-versions.html"""


def with_lease(
    rotation: Rotation,
    stored: Stored,
    found: Mapping[str, Parameter],
    parameters: ParameterStore,
    now: datetime,
) -> Stored:
    """Return the stored token and status with the lease, which is among the parameters that were ``found``.

    Raises ParameterStoreError if the parameter is not a String, a newer rotator wrote it, or an earlier
    version cannot be read.
    """
    parameter = found.get(rotation.lease_name)
    if parameter is None:
        return stored
    if parameter.type != "String":
        raise ParameterStoreError(
            f"the lease parameter {rotation.lease_name} is a {parameter.type}, not a String",
            advice="delete this parameter: the next run creates it again",
        )
    current = lease_text.parse(rotation.lease_name, parameter.value)
    if current is None:
        logger.warning(
            "the lease parameter %s of rotation %s has no valid content; the next renewal overwrites it",
            rotation.lease_name,
            rotation.name,
        )
        return replace(stored, lease=Lease(version=parameter.version))
    # The versions of a deleted lease start at 1 again: then any version may be the holder's.
    first = current.read_version + 1 if current.read_version < parameter.version else 1
    overwritten = range(first, parameter.version)
    texts = {parameter.version: current, **_read_texts(rotation.lease_name, overwritten, parameters)}
    settled = stored.status.lease_version if stored.status else 0
    lease = judge(texts, settled=settled, now=now)
    some_are_missing = len(texts) <= len(overwritten)
    if some_are_missing and lease.held_until is None and _is_in_force(current, now):
        # A run may hold a version that no longer exists.
        lease = replace(lease, held_until=current.expires_at)
    return replace(stored, lease=lease)


def _read_texts(name: str, versions: Sequence[int], parameters: ParameterStore) -> dict[int, LeaseText]:
    """Return the content of the versions of a lease parameter that still exist and that a rotator wrote."""
    kept = versions[-VERSIONS_KEPT + 1 :]
    found = parameters.read_versions(name, kept) if kept else {}
    texts = {version: lease_text.parse(name, parameter.value) for version, parameter in found.items()}
    return {version: text for version, text in texts.items() if text}


def _is_in_force(text: LeaseText, now: datetime) -> bool:
    """Whether a text has not expired, and expires no later than the end of the longest run."""
    return now < text.expires_at <= now + MAX_RUN


def judge(texts: Mapping[int, LeaseText], *, settled: int, now: datetime) -> Lease:
    """Return the lease that results from the versions of its parameter; the newest version is current."""
    newest = max(texts)
    decisive = {v: t for v, t in texts.items() if t.released or v == t.read_version + 1}
    lease = Lease(version=newest)
    if not decisive:  # only runs that did not get the lease; their text still reports the attempt before
        return replace(lease, may_be_revoked=texts[newest].may_have_issued)
    released = {(text.run, text.read_version) for text in decisive.values() if text.released}
    for version, text in sorted(decisive.items()):
        if version == settled:
            lease = Lease(version=newest)
        elif text.released:
            # If a provider revokes the stored token, the new one expires later, so it is published.
            revoked = text.may_have_issued and text.outcome is not Outcome.KEPT
            lease = replace(lease, last_attempt=text.attempt(now), may_be_revoked=revoked)
        elif (text.run, version) in released:
            continue
        elif _is_in_force(text, now):
            lease = replace(lease, held_until=text.expires_at, may_be_revoked=text.may_have_issued)
        else:  # its run was stopped before it released the lease
            lease = replace(lease, last_attempt=text.attempt(now), may_be_revoked=True)
    return lease


@dataclass(frozen=True, kw_only=True)
class HeldLease:
    """A lease that this run holds, and the stored state when the run acquired it."""

    rotation: Rotation
    stored: Stored
    parameters: ParameterStore
    run: Run
    version: int
    expires_at: datetime

    @property
    def status(self) -> Status:
        """The stored token's status, which every fresh or kept token has."""
        status = self.stored.token_status
        assert status  # noqa: S101
        return status

    def has_expired(self) -> bool:
        """Whether the lease has expired by either of two clocks: one of them stops while a laptop sleeps."""
        return self.run.deadline.remaining() + self.run.overrun <= 0 or self.run.now() >= self.expires_at

    def mark_due(self) -> None:
        """Make a fresh token due in its status, before a request that may revoke it.

        If the run is stopped after this write, the next run renews the token.
        """
        self.write_status(replace(self.status, renew_at=self.run.now()))

    def keep(self, *, may_have_issued: bool) -> None:
        """Release the lease because the stored token is valid at least as long as the issued one.

        The stored token is due again at its regular time, even if an earlier run has made it due sooner.
        """
        regular = policy.renewal_time(self.rotation, self.status).replace(microsecond=0)
        if self.status.renew_at < regular:
            self.write_status(replace(self.status, renew_at=regular))
        self.release(Outcome.KEPT, may_have_issued=may_have_issued)

    def check(self) -> None:
        """Raise ParameterStoreError if it is too late to write a token, which could replace a newer one."""
        if self.run.deadline.remaining() <= 0 or self.has_expired():
            raise too_late(self.rotation.parameter_name)

    def publish(self, token: Secret) -> int:
        """Store the token for the consumers, and return its version; raises TokenNotPublished."""
        try:
            self.check()
            return self.parameters.write_token(self.rotation, token)
        except ParameterStoreError as error:
            raise TokenNotPublished(error) from error

    def settle(self, status: Status) -> None:
        """Write the status of a published token, which settles the lease; raises StatusNotWritten."""
        try:
            self.write_status(status)
        except ParameterStoreError as error:
            raise StatusNotWritten(status, error) from error

    def write_status(self, status: Status) -> None:
        """Write a status; raises ParameterStoreError, also if the lease has expired."""
        if self.has_expired():
            raise too_late(self.rotation.status_name)
        self.parameters.write_status(self.rotation, status_text.dump(status))

    def release(self, outcome: Outcome, *, error_kind: str | None = None, may_have_issued: bool) -> None:
        """Release the lease before it expires, and record the outcome of the attempt."""
        if self.has_expired():
            return
        text = LeaseText(
            run=self.run.id,
            read_version=self.version,
            expires_at=self.run.now(),
            released=True,
            outcome=outcome,
            error_kind=error_kind,
            may_have_issued=may_have_issued,
        )
        try:
            self.parameters.write_lease(self.rotation, text.dump())
        except ParameterStoreError as error:
            logger.warning(
                "rotation %s: its lease could not be released, so no run renews the token before %s: %s",
                self.rotation.name,
                format_time(self.expires_at),
                error.problem,
            )

    @contextmanager
    def released_on_failure(self) -> Iterator[None]:
        """Release the lease if the body fails, so that the next run need not wait until it expires.

        After a write without an answer the lease is not released: the write may still arrive, and no other
        run may hold the lease until then.
        """
        try:
            yield
        except Exception as error:
            known = as_rotator_error(error, f"rotation {self.rotation.name}", may_have_issued=True)
            if not (isinstance(known, ParameterStoreError) and known.unreachable):
                unfinished = self.stored.lease.may_be_revoked and not isinstance(known, StatusNotWritten)
                self.release(
                    Outcome.FAILED,
                    error_kind=type(error).__name__,
                    may_have_issued=unfinished or known.may_have_issued,
                )
            if known is error:
                raise
            raise known from None


def acquire(rotation: Rotation, stored: Stored, parameters: ParameterStore, run: Run) -> HeldLease | None:
    """Acquire the lease until the end of this run; return None if another run acquired it first."""
    seconds = math.ceil(run.deadline.remaining() + run.overrun) + 1  # the rest of a second is not stored
    until = (run.now() + timedelta(seconds=seconds)).replace(microsecond=0)
    text = LeaseText(
        run=run.id,
        read_version=stored.lease.version,
        expires_at=until,
        may_have_issued=stored.lease.may_be_revoked,
    )
    write = parameters.write_lease if stored.lease.version else parameters.create_lease
    try:
        version = write(rotation, text.dump())
    except ConcurrentUpdate:
        return None
    # The versions of a deleted lease start at 1 again; the version that the status names is already settled.
    settled = stored.status.lease_version if stored.status else 0
    if version != stored.lease.version + 1 or version == settled:
        return None
    return HeldLease(
        rotation=rotation, stored=stored, parameters=parameters, run=run, version=version, expires_at=until
    )


def too_late(name: str) -> ParameterStoreError:
    """Return the error for a parameter that was not written because the run's time ran out."""
    return ParameterStoreError(
        f"the run's time ran out before {name} could be written", advice=MORE_TIME, retry=Retry.NEXT_RUN
    )
