"""The renewals of one run: a few threads renew what the agenda hands out, until time is over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from rotator.agenda import AT_A_TIME, Agenda, Contact, Due
from rotator.errors import NotReached, RotatorError, TokenEndpointUnavailable
from rotator.failure import failed_with
from rotator.model import Outcome, Result, Rotation
from rotator.policy import fails_late
from rotator.ports import Ports, Run
from rotator.rotation import as_stored, rotate
from rotator.sharing import CredentialsAhead, ImpatientEndpoint, SharedPorts

logger = logging.getLogger(__name__)

LEFT = "this run had no time left for it; the next one begins with what ends first"


@dataclass(kw_only=True)
class Renewals:
    """What is ``due``; each result is told as soon as it is known, from any of several threads.

    ``next_try`` is when the next run comes (UTC). See rotation.rotate for ``force`` and ``dry_run``.
    """

    due: Sequence[Due]
    ports: Ports
    run: Run
    tell: Callable[[Result], None]
    next_try: datetime
    force: bool = False
    dry_run: bool = False
    _agenda: Agenda = field(init=False)
    _secrets: CredentialsAhead = field(init=False)

    def __post_init__(self) -> None:
        """Put it on the agenda."""
        self._agenda = Agenda(self.due, self.run, changes_nothing=self.dry_run)
        self._secrets = CredentialsAhead(self.ports.secrets, self.run, self._following)

    def serve(self) -> int:
        """Renew as much as the run has time for; return how many were left to the next."""
        if len(self.due) == 1:
            self._work()
        else:
            self._in_threads(min(AT_A_TIME, len(self.due)))
        left = self._agenda.left()
        for due in left:
            self._leave(due)
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
            self._secrets.prepare(rotation)  # before the claim: a secret that is broken costs no write
        endpoint = self.ports.token_endpoint
        if self._agenda.is_shared(rotation.token_endpoint):
            endpoint = ImpatientEndpoint(endpoint)
        ports = SharedPorts(parameters=self.ports.parameters, secrets=self._secrets, token_endpoint=endpoint)
        result = rotate(rotation, due.stored, ports, self.run, force=self.force, dry_run=self.dry_run)
        kept_late = result.outcome is Outcome.KEPT and fails_late(rotation, due.stored, self.run.now())
        self.tell(replace(result, late=True) if kept_late else result)

    @contextmanager
    def _ended(self, due: Due) -> Iterator[None]:
        """Tell of a failure, and that one has ended; not even a defect in it may stop the others."""
        unavailable = False
        try:
            yield
        except Exception as error:  # noqa: BLE001
            unavailable = isinstance(error, TokenEndpointUnavailable)
            self._fail(due, error)
        finally:
            self._agenda.done(due, unavailable=unavailable)

    def _contact(self, contact: Contact) -> None:
        """See whether an endpoint answers; if not, its rotations fail without a claim."""
        problem: RotatorError | None = None
        try:
            endpoint = ImpatientEndpoint(self.ports.token_endpoint)
            endpoint.contact(contact.endpoint, time_left=self.run.time_for_requests)
        except RotatorError as error:
            problem = error
        except Exception as error:  # noqa: BLE001 - a defect here is no reason not to try a renewal
            logger.error("unforeseen %s when a token endpoint was contacted", type(error).__name__)  # noqa: TRY400
        for due in self._agenda.contacted(contact, down=problem is not None):
            if problem:
                self._fail(due, problem)

    def _leave(self, due: Due) -> None:
        """Leave it to the next run; if it is late already, that is a failure."""
        if fails_late(due.rotation, due.stored, self.run.now()):
            self._fail(due, NotReached())
        else:
            self.tell(as_stored(due.rotation, due.stored, Outcome.BUSY, note=LEFT))

    def _fail(self, due: Due, error: Exception) -> None:
        now = self.run.now()
        self.tell(failed_with(due.rotation, due.stored, error, now=now, next_try=self.next_try))

    def _following(self, count: int) -> list[Rotation]:
        return [due.rotation for due in self._agenda.ahead(count)]
