"""The agenda of a run: what is due, soonest expiry first, and which of it may begin now.

The order is the promise: nothing that ends later is begun while something that ends sooner could be. Besides
there are the writes' pace, the run's time, and endpoints, of which a slow one must not hold up the
others, and one that is down must not cost a claim and a request for each of its rotations.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from threading import Condition, Lock
from urllib.parse import urlsplit

from rotator.model import Rotation, Stored
from rotator.pace import UNPACED
from rotator.ports import Run

AT_A_TIME = 40
"""Renewals under way at the most: they mostly wait, for the token endpoint."""

OF_ONE_HOST = 36
"""Of these, how many may wait for the same host, however slow it is."""

ROOM = 5.0
"""Seconds for token requests, or an eighth of a short run, without which nothing more is begun."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """A rotation to renew, and what was stored for it when the run began."""

    rotation: Rotation
    stored: Stored

    @property
    def ends_at(self) -> datetime | None:
        """When consumers lose their token; None if they have none, or nothing is known of it."""
        status = self.stored.trusted
        return status.expires_at if status else None


@dataclass(frozen=True, kw_only=True)
class Contact:
    """An endpoint to ask whether it answers at all, before anything is claimed for it."""

    endpoint: str


class _Known(Enum):
    NOTHING = "it is to be asked before the next renewal"
    ASKED = "somebody asks it just now"
    UP = "it answers"


@dataclass
class _Endpoint:
    url: str
    waiting: deque[Due]
    known: _Known
    shared: bool = False
    at_a_time: int = 1
    under_way: int = 0
    host: str = field(init=False)

    def __post_init__(self) -> None:
        self.host = urlsplit(self.url).netloc


class Agenda:
    """Hands out what is due to any number of threads, which tell how it went.

    Tokens that are dead already come first, for half of the run: after that those that live do, so
    that rotations which cannot be mended do not take others down with them. A run that ``changes_nothing``
    needs no pace and contacts nobody.
    """

    def __init__(self, due: Iterable[Due], run: Run, *, changes_nothing: bool = False) -> None:
        self._run = run
        self._pace = UNPACED if changes_nothing else run.pace
        self._room = min(ROOM, run.budget / 8)
        self._began = run.now()
        self._living_first = self._closed = False
        self._hosts: Counter[str] = Counter()
        self._endpoints: dict[str, _Endpoint] = {}
        self._turn = Lock()  # of who takes next; whoever waits for the pace keeps it
        self._changed = Condition()
        for each in sorted(due, key=self._urgency):
            url = each.rotation.token_endpoint
            # The only rotation of an endpoint finds out by itself.
            endpoint = self._endpoints.setdefault(url, _Endpoint(url, deque(), _Known.UP))
            endpoint.waiting.append(each)
            if len(endpoint.waiting) > 1 and not changes_nothing:
                endpoint.known, endpoint.shared = _Known.NOTHING, True

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
            return None

    def ahead(self, count: int) -> list[Due]:
        """So many of those that will probably be taken next."""
        with self._changed:
            waiting = [due for e in self._endpoints.values() for due in list(e.waiting)[:count]]
        return sorted(waiting, key=self._urgency)[:count]

    def done(self, due: Due, *, unavailable: bool) -> None:
        """Tell that one has ended, and whether its endpoint was unavailable."""
        with self._changed:
            endpoint = self._endpoints[due.rotation.token_endpoint]
            self._release(endpoint)
            if unavailable:
                endpoint.at_a_time = 1
                endpoint.known = _Known.NOTHING
            else:
                endpoint.at_a_time = min(endpoint.at_a_time * 2, OF_ONE_HOST)
            self._changed.notify_all()

    def contacted(self, contact: Contact, *, down: bool) -> list[Due]:
        """Tell how a contact went; return the rotations that are given up for this run if it is down."""
        with self._changed:
            endpoint = self._endpoints[contact.endpoint]
            self._release(endpoint)
            endpoint.known = _Known.UP
            given_up = list(endpoint.waiting) if down else []
            if down:
                endpoint.waiting.clear()
            self._changed.notify_all()
            return given_up

    def is_shared(self, url: str) -> bool:
        """Whether several rotations of this run have that endpoint."""
        return self._endpoints[url].shared

    def close(self) -> None:
        """Hand out nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def left(self) -> list[Due]:
        """What was not begun."""
        with self._changed:
            return [due for endpoint in self._endpoints.values() for due in endpoint.waiting]

    def _urgency(self, due: Due) -> tuple[bool, float]:
        ends_at = due.ends_at
        seconds = (ends_at - self._began).total_seconds() if ends_at else float("-inf")
        return self._living_first and seconds <= 0, seconds

    def _time_left(self) -> float:
        return self._run.time_for_requests() - self._room

    def _wait_for_any(self) -> bool:
        """Wait until one may begin; False if none waits any more, or there is no time for it."""
        with self._changed:
            while any(endpoint.waiting for endpoint in self._endpoints.values()):
                if self._closed or self._time_left() <= 0:
                    return False
                if self._best():
                    return True
                self._changed.wait()
            return False

    def _best(self) -> _Endpoint | None:
        """The endpoint that may begin the most urgent of what may begin now."""
        if not self._living_first and self._run.time_left() < self._run.budget / 2:
            self._living_first = True
            for endpoint in self._endpoints.values():
                endpoint.waiting = deque(sorted(endpoint.waiting, key=self._urgency))
        free = [endpoint for endpoint in self._endpoints.values() if self._is_free(endpoint)]
        return min(free, key=lambda endpoint: self._urgency(endpoint.waiting[0]), default=None)

    def _is_free(self, endpoint: _Endpoint) -> bool:
        return bool(
            endpoint.waiting
            and endpoint.known is not _Known.ASKED
            and endpoint.under_way < endpoint.at_a_time
            and self._hosts[endpoint.host] < OF_ONE_HOST
        )

    def _contact(self) -> Contact | None:
        with self._changed:
            endpoint = self._best()
            if endpoint is None or endpoint.known is _Known.UP:
                return None
            endpoint.known = _Known.ASKED
            self._hold(endpoint)
            return Contact(endpoint=endpoint.url)

    def _begin(self) -> Due | None:
        with self._changed:
            endpoint = self._best()
            if endpoint is None or endpoint.known is not _Known.UP:
                return None
            self._hold(endpoint)
            return endpoint.waiting.popleft()

    def _hold(self, endpoint: _Endpoint) -> None:
        endpoint.under_way += 1
        self._hosts[endpoint.host] += 1

    def _release(self, endpoint: _Endpoint) -> None:
        endpoint.under_way -= 1
        self._hosts[endpoint.host] -= 1
