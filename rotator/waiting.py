"""What waits to be renewed in a run, in the order of its urgency, by endpoint and host.

An endpoint takes one renewal at a time, and more the more of them succeed; a host no more than its share.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice

from rotator.hosts import OF_ONE_HOST, Host, Known, host_of
from rotator.model import Rotation, Stored

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


Key = tuple[bool, float]
Lane = deque[tuple[Key, Due]]


@dataclass
class Endpoint:
    """A token endpoint, and what waits for it: in a second lane what failed when it was last tried.

    ``misses`` counts renewals in a row that found it unavailable; it is ``doubtful`` if it refused a contact.
    """

    url: str
    host: Host
    number: int
    lanes: tuple[Lane, Lane]
    doubtful: bool = False
    misses: int = 0
    at_a_time: int = 1
    under_way: int = 0

    def is_free(self) -> bool:
        """Whether another renewal may begin."""
        host = self.host
        of_host = 1 if host.silent else OF_ONE_HOST
        return self.under_way < self.at_a_time and host.under_way < of_host and host.known is not Known.ASKED

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
            self.misses, self.doubtful, self.host.silent = 0, False, False
            self.at_a_time = min(self.at_a_time * 2, OF_ONE_HOST)


_Head = tuple[Key, int, Endpoint, int]
"""What is first in a lane: its key, its endpoint's number, which tells all apart, the endpoint, the lane."""


class Waiting:
    """Sorted by the end of the stored tokens: none at all, or dead ones, before those that live.

    ``now`` is when the run began; ``troubled`` tells of rotations that failed when last tried when that was.
    Of those the dead ones come in that order: each has its turn, however many stay dead.
    """

    def __init__(self, due: Iterable[Due], now: datetime, troubled: Mapping[str, datetime]) -> None:
        self._now = now
        self._troubled = troubled
        self._living_first = False
        self._turns = 0
        self._hosts: dict[str, Host] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self._heads: tuple[list[_Head], list[_Head]] = ([], [])  # of lanes, sorted
        for key, each in _sorted((self._key(each), each) for each in due):
            endpoint = self._endpoint(each.rotation.token_endpoint)
            endpoint.lanes[each.rotation.name in troubled].append((key, each))
            endpoint.host.due += 1
        self._sort_heads()

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return any(self._heads)

    def __iter__(self) -> Iterator[Due]:
        """All that waits, in no order."""
        return (due for e in self.endpoints.values() for lane in e.lanes for _, due in lane)

    def best(self) -> Endpoint | None:
        """The endpoint that may begin the most urgent of what may begin now."""
        head = self._best()
        return head[2] if head else None

    def take(self) -> Due | None:
        """Take the most urgent of what may begin now."""
        head = self._best()
        if head is None:
            return None
        self._turns += 1
        _, _, endpoint, lane = head
        endpoint.hold()
        _, due = endpoint.lanes[lane].popleft()
        heads = self._heads[lane]
        del heads[bisect_left(heads, head)]
        if endpoint.lanes[lane]:
            insort(heads, self._head(endpoint, lane))
        return due

    def first(self, count: int) -> list[Due]:
        """So many of the most urgent, whether or not they may begin now."""
        # No other endpoint than those of the first so many heads can have one of them.
        ahead = (islice(e.lanes[lane], count) for heads in self._heads for _, _, e, lane in heads[:count])
        return [due for _, due in _sorted(chain.from_iterable(ahead))[:count]]

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
        self._sort_heads()
        return removed

    def let_the_living_go_first(self) -> None:
        """Sort it anew: what lives before what is dead."""
        if self._living_first:
            return
        self._living_first = True
        for endpoint in self.endpoints.values():
            for lane in endpoint.lanes:
                keyed = _sorted((self._key(due), due) for _, due in lane)
                lane.clear()
                lane.extend(keyed)
        self._sort_heads()

    def _best(self) -> _Head | None:
        """The first head of a lane whose endpoint is free."""
        for lane in (1, 0) if self._turns % TROUBLED_TURN == TROUBLED_TURN - 1 else (0, 1):
            for head in self._heads[lane]:
                if head[2].is_free():
                    return head
        return None

    def _head(self, endpoint: Endpoint, lane: int) -> _Head:
        return endpoint.lanes[lane][0][0], endpoint.number, endpoint, lane

    def _sort_heads(self) -> None:
        for lane, heads in enumerate(self._heads):
            heads[:] = sorted(self._head(e, lane) for e in self.endpoints.values() if e.lanes[lane])

    def _endpoint(self, url: str) -> Endpoint:
        if url not in self.endpoints:
            host = self._hosts.setdefault(host_of(url), Host())
            self.endpoints[url] = Endpoint(url, host, len(self.endpoints), (deque(), deque()))
        return self.endpoints[url]

    def _key(self, due: Due) -> Key:
        """By what it is sorted: the seconds until its token ends."""
        ends_at = due.ends_at
        seconds = (ends_at - self._now).total_seconds() if ends_at else -math.inf
        dead, tried_at = seconds <= 0, self._troubled.get(due.rotation.name)
        if dead and tried_at:
            seconds = min(0.0, (tried_at - self._now).total_seconds())
        return self._living_first and dead, seconds


def _sorted(keyed: Iterable[tuple[Key, Due]]) -> list[tuple[Key, Due]]:
    return sorted(keyed, key=lambda each: each[0])
