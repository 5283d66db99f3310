"""What waits to be renewed in a run, in the order of its urgency, by endpoint and host.

An endpoint takes one renewal at a time, and more the more of them succeed; a host no more than its share.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import islice
from urllib.parse import urlsplit

from rotator.model import Rotation, Stored

OF_ONE_HOST = 36
"""Renewals that may be under way with the same host, however slow it is."""

TROUBLED_TURN = 4
"""Every so many turns one is for a rotation that failed when it was last tried, if there are any."""


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


class Known(Enum):
    """What is known of a host."""

    NOTHING = "it is to be asked before the next renewal"
    ASKED = "somebody asks it just now"
    UP = "it answers"


@dataclass
class Host:
    """A host of token endpoints. ``due`` counts all that the run began with."""

    known: Known = Known.UP
    due: int = 0
    under_way: int = 0


Key = tuple[bool, float]
Lane = deque[tuple[Key, Due]]


@dataclass
class Endpoint:
    """A token endpoint, and what waits for it: in a second lane what failed when it was last tried.

    ``misses`` counts renewals in a row that found it unavailable; it is ``doubtful`` if it refused a contact.
    """

    url: str
    host: Host
    lanes: tuple[Lane, Lane]
    doubtful: bool = False
    misses: int = 0
    at_a_time: int = 1
    under_way: int = 0

    def is_free(self) -> bool:
        """Whether another renewal may begin."""
        host = self.host
        return (
            self.under_way < self.at_a_time and host.under_way < OF_ONE_HOST and host.known is not Known.ASKED
        )

    def hold(self) -> None:
        """Count one more that is under way."""
        self.under_way += 1
        self.host.under_way += 1

    def release(self, *, unavailable: bool | None = None) -> None:
        """Count one that has ended, and learn from it: None teaches nothing."""
        self.under_way -= 1
        self.host.under_way -= 1
        if unavailable:
            self.misses += 1
            self.at_a_time = 1
        elif unavailable is not None:
            self.misses, self.doubtful = 0, False
            self.at_a_time = min(self.at_a_time * 2, OF_ONE_HOST)


class Waiting:
    """Sorted by the end of the stored tokens: none at all, or dead ones, before those that live.

    ``now`` is when the run began; ``troubled`` are the names of rotations that failed when last tried.
    """

    def __init__(self, due: Iterable[Due], now: datetime, troubled: Collection[str]) -> None:
        self._now = now
        self._living_first = False
        self._turns = 0
        self._hosts: dict[str, Host] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self._open: dict[str, Endpoint] = {}
        for key, each in _sorted((self._key(each), each) for each in due):
            endpoint = self._endpoint(each.rotation.token_endpoint)
            endpoint.lanes[each.rotation.name in troubled].append((key, each))
            endpoint.host.due += 1
        self._open |= self.endpoints

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._open)

    def __iter__(self) -> Iterator[Due]:
        """All that waits, in no order."""
        return (due for e in self._open.values() for lane in e.lanes for _, due in lane)

    @property
    def hosts(self) -> Iterable[Host]:
        """All hosts, also those for which nothing waits any more."""
        return self._hosts.values()

    def best(self) -> Endpoint | None:
        """The endpoint that may begin the most urgent of what may begin now."""
        return self._best()[0]

    def take(self) -> Due | None:
        """Take the most urgent of what may begin now."""
        endpoint, lane = self._best()
        if endpoint is None or lane is None:
            return None
        self._turns += 1
        endpoint.hold()
        _, due = lane.popleft()
        self._close_empty([endpoint])
        return due

    def first(self, count: int) -> list[Due]:
        """So many of the most urgent, whether or not they may begin now."""
        heads = (keyed for e in self._open.values() for lane in e.lanes for keyed in islice(lane, count))
        return [due for _, due in _sorted(heads)[:count]]

    def remove(
        self, endpoints: Iterable[Endpoint], *, unless: Callable[[Due], bool] = lambda _due: False
    ) -> list[Due]:
        """Let what waits for these wait no longer, unless it is to; return what was removed."""
        removed = []
        gone = list(endpoints)
        for endpoint in gone:
            for lane in endpoint.lanes:
                removed += [due for _, due in lane if not unless(due)]
                stays = [keyed for keyed in lane if unless(keyed[1])]
                lane.clear()
                lane.extend(stays)
        self._close_empty(gone)
        return removed

    def let_the_living_go_first(self) -> None:
        """Sort it anew: what lives before what is dead."""
        if self._living_first:
            return
        self._living_first = True
        for endpoint in self._open.values():
            for lane in endpoint.lanes:
                keyed = _sorted((self._key(due), due) for _, due in lane)
                lane.clear()
                lane.extend(keyed)

    def _best(self) -> tuple[Endpoint, Lane] | tuple[None, None]:
        """Also which of its lanes has it at the head."""
        free = [endpoint for endpoint in self._open.values() if endpoint.is_free()]
        for lane in (1, 0) if self._turns % TROUBLED_TURN == TROUBLED_TURN - 1 else (0, 1):
            heads = [(e.lanes[lane][0][0], place) for place, e in enumerate(free) if e.lanes[lane]]
            if heads:
                endpoint = free[min(heads)[1]]
                return endpoint, endpoint.lanes[lane]
        return None, None

    def _endpoint(self, url: str) -> Endpoint:
        if url not in self.endpoints:
            parts = urlsplit(url)
            host = self._hosts.setdefault(f"{parts.hostname}:{parts.port or 443}", Host())
            self.endpoints[url] = Endpoint(url, host, (deque(), deque()))
        return self.endpoints[url]

    def _key(self, due: Due) -> Key:
        """By what it is sorted: the seconds until its token ends."""
        ends_at = due.ends_at
        seconds = (ends_at - self._now).total_seconds() if ends_at else float("-inf")
        return self._living_first and seconds <= 0, seconds

    def _close_empty(self, endpoints: Iterable[Endpoint]) -> None:
        for endpoint in endpoints:
            if not any(endpoint.lanes):
                self._open.pop(endpoint.url, None)


def _sorted(keyed: Iterable[tuple[Key, Due]]) -> list[tuple[Key, Due]]:
    return sorted(keyed, key=lambda each: each[0])
