"""The renewals of one run: a few threads renew what the agenda hands out, until time is over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime

from rotator.agenda import AT_A_TIME, Agenda, Contact, Reached
from rotator.errors import (
    CredentialsError,
    InvalidTokenResponse,
    ParameterStoreError,
    RotatorError,
    StatusNotWritten,
    TokenEndpointUnavailable,
    TokenNotPublished,
    TokenRequestRejected,
    TokenVerificationError,
)
from rotator.failure import failed_with, left_over
from rotator.model import Outcome, Result, Rotation
from rotator.policy import fails_late
from rotator.ports import Ports, Run
from rotator.rotation import rotate
from rotator.sharing import CredentialsAhead, ImpatientEndpoint, SharedPorts
from rotator.waiting import Due
from rotator.writes import SharedParameters

logger = logging.getLogger(__name__)

_ANSWERED = (
    InvalidTokenResponse,
    StatusNotWritten,
    TokenNotPublished,
    TokenRequestRejected,
    TokenVerificationError,
)
"""Failures behind an answer of the token endpoint."""


@dataclass(kw_only=True)
class Renewals:
    """What is ``due``; each result is told as soon as it is known, from any of several threads.

    ``next_try`` is when the next run comes (UTC). They are ``shared`` if others wait for this process, too.
    """

    due: Sequence[Due]
    ports: Ports
    run: Run
    tell: Callable[[Result], None]
    next_try: datetime
    shared: bool = False
    _force: bool = field(init=False)
    _dry_run: bool = field(init=False)
    _agenda: Agenda = field(init=False)
    _secrets: CredentialsAhead = field(init=False)
    _parameters: SharedParameters = field(init=False)

    def serve(self, *, force: bool, dry_run: bool) -> int:
        """Renew as much as the run has time for; return how many were left to the next.

        See rotation.rotate for ``force`` and ``dry_run``.
        """
        self._force, self._dry_run = force, dry_run
        self.run.memory.forget_what_was_down(self.run.now())
        self._agenda = Agenda(self.due, self.run, changes_nothing=dry_run)
        self._secrets = CredentialsAhead(self.ports.secrets, self.run, self._following)
        self._parameters = SharedParameters(self.ports.parameters, self.run)
        if len(self.due) == 1:
            self._work()
        else:
            self._in_threads(min(AT_A_TIME, len(self.due)))
        left = self._agenda.left()
        for due in left:
            result = left_over(
                due.rotation, due.stored, now=self.run.now(), next_try=self.next_try, forced=self._force
            )
            self.tell(result)
        return len(left)

    def _in_threads(self, count: int) -> None:
        """Let so many threads work. If the wait for them is interrupted, they finish what they began."""
        with ThreadPoolExecutor(max_workers=count) as pool:
            try:
                for working in [pool.submit(self._work) for _ in range(count)]:
                    working.result()
            finally:
                self._agenda.close()

    def _work(self) -> None:
        while task := self._agenda.take():
            if isinstance(task, Contact):
                self._contact(task)
            else:
                self._try(task)

    def _renew(self, due: Due) -> bool | None:
        """Renew one and tell; return whether its endpoint was unavailable, or None where it was not asked."""
        rotation = due.rotation
        if len(self.due) > 1:
            self._prepare(rotation)
        endpoint = self.ports.token_endpoint
        if self.shared or len(self.due) > AT_A_TIME or self._agenda.is_shared(due):
            endpoint = ImpatientEndpoint(endpoint)
        ports = SharedPorts(parameters=self._parameters, secrets=self._secrets, token_endpoint=endpoint)
        result = rotate(rotation, due.stored, ports, self.run, force=self._force, dry_run=self._dry_run)
        if result.outcome is Outcome.KEPT:
            result = replace(result, late=fails_late(rotation, due.stored, self.run.now()))
        self._remember(rotation, troubled=result.outcome is Outcome.KEPT)
        self.tell(result)
        return None if result.outcome is Outcome.BUSY else False

    def _remember(self, rotation: Rotation, *, troubled: bool) -> None:
        """Remember for the next run what came to nothing in this one."""
        if troubled:
            self.run.memory.troubled[rotation.name] = self.run.now()
        elif not self._dry_run:
            self.run.memory.troubled.pop(rotation.name, None)

    def _prepare(self, rotation: Rotation) -> None:
        """Read the secret before the claim: one that is broken costs no write."""
        try:
            self._parameters.check(rotation.status_name)
            self._secrets.prepare(rotation)
        except (CredentialsError, ParameterStoreError):
            self._agenda.give_back()
            raise

    def _try(self, due: Due) -> None:
        """Renew one, and tell of its end; not even a defect in it may stop the others."""
        failure: Exception | None = None
        unavailable: bool | None = None
        try:
            unavailable = self._renew(due)
        except Exception as error:  # noqa: BLE001
            failure, unavailable = error, _shows_unavailable(error)
            self._remember(due.rotation, troubled=True)
            self._fail(due, error)
        finally:
            given_up = self._agenda.done(due, unavailable=unavailable)
        if unavailable is False and not self._dry_run:
            self.run.memory.forget_down(due.rotation.token_endpoint)
        if isinstance(failure, TokenEndpointUnavailable):
            for each in given_up:
                self._fail(each, _unavailable_to_others(failure))

    def _contact(self, contact: Contact) -> None:
        """See whether an endpoint answers; if not, rotations fail without a claim."""
        problem: RotatorError | None = None
        try:
            self._ask(contact)
        except RotatorError as error:
            problem = error
        except Exception as error:  # noqa: BLE001 - a defect here is no reason not to try a renewal
            logger.error("unforeseen %s when a token endpoint was contacted", type(error).__name__)  # noqa: TRY400
        for due in self._agenda.contacted(contact, _reached(problem)):
            if problem:
                self._fail(due, problem)

    def _ask(self, contact: Contact) -> None:
        """Contact it, unless it was down a moment ago; raises what was, or is, wrong with it."""
        if known := self.run.memory.why_down(contact.endpoint):
            raise known
        now = self.run.now()
        try:
            endpoint = ImpatientEndpoint(self.ports.token_endpoint)
            endpoint.contact(contact.endpoint, time_left=self.run.time_for_requests)
        except RotatorError as error:
            is_host = _reached(error) is Reached.NOBODY
            self.run.memory.remember_down(contact.endpoint, error, now, whole_host=is_host)
            raise

    def _fail(self, due: Due, error: Exception) -> None:
        now = self.run.now()
        self.tell(failed_with(due.rotation, due.stored, error, now=now, next_try=self.next_try))

    def _following(self, count: int) -> list[Rotation]:
        return [due.rotation for due in self._agenda.ahead(count)]


def _reached(error: RotatorError | None) -> Reached:
    """How a contact ended that failed so, if it failed."""
    if error is None:
        return Reached.ANSWERED
    if not isinstance(error, TokenEndpointUnavailable):
        return Reached.NOBODY
    if error.answered:
        return Reached.REFUSED
    return Reached.SILENT if error.connected else Reached.NOBODY


def _shows_unavailable(error: Exception) -> bool | None:
    """Whether a failed renewal found its endpoint unavailable; None where that did not show."""
    if isinstance(error, TokenEndpointUnavailable):
        return True
    return False if isinstance(error, _ANSWERED) else None


def _unavailable_to_others(error: TokenEndpointUnavailable) -> TokenEndpointUnavailable:
    """What is wrong with an endpoint, told of a rotation that was not requested for that reason."""
    return error.at("not requested, since for others of its endpoint or host")
