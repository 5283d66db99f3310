"""The renewals of one run: a few threads renew what the agenda hands out, until time is over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from rotator.agenda import AT_A_TIME, Agenda, Contact, Reached
from rotator.errors import CredentialsError, ParameterStoreError, RotatorError, TokenEndpointUnavailable
from rotator.failure import failed_with, left_over
from rotator.model import Outcome, Result, Rotation
from rotator.policy import fails_late
from rotator.ports import Ports, Run
from rotator.rotation import rotate
from rotator.sharing import CredentialsAhead, ImpatientEndpoint, SharedPorts
from rotator.waiting import Due

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Renewals:
    """What is ``due``; each result is told as soon as it is known, from any of several threads.

    ``next_try`` is when the next run comes (UTC).
    """

    due: Sequence[Due]
    ports: Ports
    run: Run
    tell: Callable[[Result], None]
    next_try: datetime
    _force: bool = field(init=False)
    _dry_run: bool = field(init=False)
    _agenda: Agenda = field(init=False)
    _secrets: CredentialsAhead = field(init=False)

    def serve(self, *, force: bool, dry_run: bool) -> int:
        """Renew as much as the run has time for; return how many were left to the next.

        See rotation.rotate for ``force`` and ``dry_run``.
        """
        self._force, self._dry_run = force, dry_run
        self._agenda = Agenda(self.due, self.run, troubled=self.run.troubled, changes_nothing=dry_run)
        self._secrets = CredentialsAhead(self.ports.secrets, self.run, self._following)
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
                with self._ended(task):
                    self._renew(task)

    def _renew(self, due: Due) -> None:
        rotation = due.rotation
        if len(self.due) > 1:
            self._prepare(rotation)
        endpoint = self.ports.token_endpoint
        if len(self.due) > AT_A_TIME or self._agenda.is_shared(due):
            endpoint = ImpatientEndpoint(endpoint)
        ports = SharedPorts(parameters=self.ports.parameters, secrets=self._secrets, token_endpoint=endpoint)
        result = rotate(rotation, due.stored, ports, self.run, force=self._force, dry_run=self._dry_run)
        if result.outcome is Outcome.KEPT:
            result = replace(result, late=fails_late(rotation, due.stored, self.run.now()))
        self._remember(rotation, troubled=result.outcome is Outcome.KEPT)
        self.tell(result)

    def _remember(self, rotation: Rotation, *, troubled: bool) -> None:
        """Remember for the next run what came to nothing in this one."""
        if troubled:
            self.run.troubled.add(rotation.name)
        elif not self._dry_run:
            self.run.troubled.discard(rotation.name)

    def _prepare(self, rotation: Rotation) -> None:
        """Read the secret before the claim: one that is broken costs no write."""
        try:
            self._secrets.prepare(rotation)
        except CredentialsError:
            self.run.pace.give_back()
            raise

    @contextmanager
    def _ended(self, due: Due) -> Iterator[None]:
        """Tell of a failure, and that one has ended; not even a defect in it may stop the others."""
        failure: Exception | None = None
        try:
            yield
        except Exception as error:  # noqa: BLE001
            failure = error
            self._remember(due.rotation, troubled=True)
            self._fail(due, error)
        finally:
            given_up = self._agenda.done(due, unavailable=isinstance(failure, TokenEndpointUnavailable))
        if failure:
            for each in given_up:
                self._fail(each, failure)
        if isinstance(failure, ParameterStoreError) and failure.unreachable:
            self._agenda.close()  # the next would hang as long, and the run be cut off

    def _contact(self, contact: Contact) -> None:
        """See whether an endpoint answers; if not, rotations fail without a claim."""
        problem: RotatorError | None = None
        reached = Reached.ANSWERED
        try:
            endpoint = ImpatientEndpoint(self.ports.token_endpoint)
            endpoint.contact(contact.endpoint, time_left=self.run.time_for_requests)
        except RotatorError as error:
            problem = error
            refused = isinstance(error, TokenEndpointUnavailable) and error.answered
            reached = Reached.REFUSED if refused else Reached.NOBODY
        except Exception as error:  # noqa: BLE001 - a defect here is no reason not to try a renewal
            logger.error("unforeseen %s when a token endpoint was contacted", type(error).__name__)  # noqa: TRY400
        for due in self._agenda.contacted(contact, reached):
            if problem:
                self._fail(due, problem)

    def _fail(self, due: Due, error: Exception) -> None:
        now = self.run.now()
        self.tell(failed_with(due.rotation, due.stored, error, now=now, next_try=self.next_try))

    def _following(self, count: int) -> list[Rotation]:
        return [due.rotation for due in self._agenda.ahead(count)]
