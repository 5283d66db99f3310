"""The agenda of a run: what is due, soonest expiry first, and which of it may begin now.

The order is the promise: nothing that ends later is begun while something that ends sooner could be. Besides
there are the writes' pace, the run's time, and hosts, of which a slow one must not hold up the others,
and one that is down must not cost a claim and a request for each of its rotations.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from threading import Condition, Lock

from rotator.hosts import Host, Known
from rotator.pace import UNPACED
from rotator.policy import fails_late
from rotator.ports import Run
from rotator.waiting import Due, Endpoint, Waiting

AT_A_TIME = 40
"""Renewals under way at the most. They mostly wait, for the token endpoint: with answers after 100 ms, 16 at
a time made 87 renewals a second in the bench, and 40 made 134. AWS is called by fewer connections.
"""

MISSES = 4
"""Renewals in a row that find an endpoint unavailable, after which the run gives up its others."""

ROOM = 5.0
"""Seconds for token requests, or an eighth of a short run, without which nothing more is begun."""


@dataclass(frozen=True, kw_only=True)
class Contact:
    """An endpoint to ask whether it answers at all, before anything is claimed for its host."""

    endpoint: str


class Reached(Enum):
    """How a contact ended."""

    ANSWERED = "the endpoint works"
    REFUSED = "it answers, and asks to be left alone, or says that it is not there"
    SILENT = "there is a connection, and no answer"
    NOBODY = "there is no connection"


class Agenda:
    """Hands out what is due to any number of threads, which tell how it went.

    Tokens that are dead already come first, for half of the run; after that those that live do. Rotations
    that failed when they were last tried, as the run's memory tells, have a turn now and then, and those that
    nobody else needs. So what cannot be mended takes nobody else down with it. A run that
    ``changes_nothing`` needs no pace and contacts nobody.
    """

    def __init__(self, due: Iterable[Due], run: Run, *, changes_nothing: bool = False) -> None:
        self._run = run
        self._pace = UNPACED if changes_nothing else run.pace
        self._room = min(ROOM, run.budget / 8)
        self._closed = False
        self._turn = Lock()  # of who takes next; whoever waits for the pace keeps it
        self._changed = Condition()
        self._waiting = Waiting(due, run.now(), run.memory.troubled)
        for endpoint in self._waiting.endpoints.values():
            is_asked = endpoint.host.due > 1 or run.memory.why_down(endpoint.url)
            if is_asked and not changes_nothing:  # the only rotation of a host finds out by itself
                endpoint.host.known = Known.NOTHING

    def take(self) -> Due | Contact | None:
        """Return what to do next, once that may begin; None if there is nothing more to do in this run."""
        with self._turn:
            while self._wait_for_any():
                if contact := self._contact():
                    return contact
                if not self._pace.wait_for_renewal(self._time_left()):
                    return None
                if due := self._begin():
                    return due
                self.give_back()
            return None

    def give_back(self) -> None:
        """Tell that a renewal has ended before its first write."""
        self._pace.give_back()

    def done(self, due: Due, *, unavailable: bool | None) -> list[Due]:
        """Tell that one has ended, and whether its endpoint was unavailable; return what is given up then.

        None says that it ended before that could show.
        """
        with self._changed:
            self._changed.notify_all()
            endpoint = self._waiting.endpoints[due.rotation.token_endpoint]
            endpoint.release(unavailable=unavailable)
            if not unavailable:
                return []
            if endpoint.host.known is not Known.ASKED:
                endpoint.host.known = Known.NOTHING
            if endpoint.host.silent:
                return self._waiting.remove(self._of(endpoint.host))
            given_up = endpoint.doubtful or endpoint.misses >= MISSES
            return self._waiting.remove([endpoint]) if given_up else []

    def contacted(self, contact: Contact, reached: Reached) -> list[Due]:
        """Tell how a contact ended; return the rotations that are given up for this run because of it.

        If nobody is there, these are all of the host. If there was no answer, or a refusal, that may be for
        strangers only: then they are those of the host, or of the endpoint, that have time left, and the most
        urgent of the others finds out.
        """
        with self._changed:
            self._changed.notify_all()
            endpoint = self._waiting.endpoints[contact.endpoint]
            endpoint.release()
            endpoint.host.known, endpoint.host.silent = Known.UP, reached is Reached.SILENT
            if reached is Reached.NOBODY:
                return self._waiting.remove(self._of(endpoint.host))
            if reached is Reached.SILENT:
                return self._waiting.remove(self._of(endpoint.host), unless=self._is_late)
            if reached is Reached.REFUSED:
                endpoint.doubtful = True
                return self._waiting.remove([endpoint], unless=self._is_late)
            return []

    def ahead(self, count: int) -> list[Due]:
        """So many of those that will probably be taken next."""
        with self._changed:
            return self._waiting.first(count)

    def left(self) -> list[Due]:
        """What was not begun."""
        with self._changed:
            return list(self._waiting)

    def is_shared(self, due: Due) -> bool:
        """Whether other rotations of this run have the same host."""
        return self._waiting.endpoints[due.rotation.token_endpoint].host.due > 1

    def close(self) -> None:
        """Hand out nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _of(self, host: Host) -> list[Endpoint]:
        return [endpoint for endpoint in self._waiting.endpoints.values() if endpoint.host is host]

    def _time_left(self) -> float:
        return self._run.time_for_requests() - self._room

    def _is_late(self, due: Due) -> bool:
        return fails_late(due.rotation, due.stored, self._run.now())

    def _wait_for_any(self) -> bool:
        """Wait until one may begin; False if none waits any more, or there is no time for it."""
        with self._changed:
            while self._waiting and not self._closed and self._time_left() > 0:
                if self._run.time_left() < self._run.budget / 2:
                    self._waiting.let_the_living_go_first()
                if self._waiting.best():
                    return True
                self._changed.wait()
            return False

    def _contact(self) -> Contact | None:
        """What must be contacted before the most urgent may begin."""
        with self._changed:
            endpoint = self._waiting.best()
            if endpoint is None or endpoint.host.known is Known.UP:
                return None
            endpoint.host.known = Known.ASKED
            endpoint.hold()
            return Contact(endpoint=endpoint.url)

    def _begin(self) -> Due | None:
        """Take the most urgent, unless that changed while the pace was waited for."""
        with self._changed:
            endpoint = self._waiting.best()
            if self._closed or endpoint is None or endpoint.host.known is not Known.UP:
                return None
            return self._waiting.take()
