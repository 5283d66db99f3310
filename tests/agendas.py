"""Agendas for the tests of what begins when, and what waits in them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import fakes
from fakes import Clock, rotation
from rotator.agenda import Agenda, Contact, Reached
from rotator.memory import Memory
from rotator.model import Status, Stored
from rotator.pace import Pace
from rotator.waiting import Due

HOUR = 3600.0


def due(name: str, ends_in: float | None = HOUR, endpoint: str | None = None) -> Due:
    """One to renew, whose token ends in so many seconds; it has an endpoint of its own if none is given."""
    url = endpoint or f"https://{name}.example.test/token"
    settings = rotation(name=name, parameter_name=f"/fleet/{name}", token_endpoint=url)
    return Due(rotation=settings, stored=Stored() if ends_in is None else stored(ends_in))


def stored(ends_in: float) -> Stored:
    ends_at = fakes.START + timedelta(seconds=ends_in)
    status = Status(
        parameter_version=1,
        issued_at=ends_at - timedelta(days=1),
        expires_at=ends_at,
        renew_at=fakes.START,
        scope="*",
        token_sha256="0" * 16,
        secret_version_id="v1",
        rotator_version="0",
    )
    return Stored(token_version=1, status_version=1, status=status)


class Bounded(Pace):
    """No pace, which fails for an agenda that asks for ever."""

    asked = 0

    def wait_for_renewal(self, at_most: float) -> bool:
        self.asked += 1
        assert self.asked < 1000
        return super().wait_for_renewal(at_most)


def agenda(
    *waiting: Due,
    clock: Clock | None = None,
    budget: float = 60,
    memory: Memory | None = None,
    **options: Any,
) -> Agenda:
    run = fakes.run(clock or Clock(), budget=budget)
    run = replace(run, pace=Bounded(math.inf), memory=memory or Memory())
    return Agenda(waiting, run, **options)


def troubled(*names: str) -> Memory:
    """Rotations that were tried in vain: the first an hour ago, each other a minute later."""
    hour_ago = fakes.START - timedelta(hours=1)
    return Memory(troubled={name: hour_ago + timedelta(minutes=n) for n, name in enumerate(names)})


def taken(made: Agenda) -> list[str]:
    """The names of all that is handed out while nothing that was begun ends."""
    names = []
    while task := made.take():
        assert isinstance(task, Due)
        names.append(task.rotation.name)
        made.done(task, unavailable=False)
    return names


def named(dues: Iterable[Due]) -> list[str]:
    return [each.rotation.name for each in dues]


def waits(made: Agenda) -> bool:
    """Whether nothing may begin before something ends that was begun."""
    with pytest.raises(AssertionError, match="can end meanwhile"):
        made.take()
    return True


def begun(made: Agenda, count: int) -> list[Due]:
    tasks = [made.take() for _ in range(count)]
    assert all(isinstance(task, Due) for task in tasks)
    return [task for task in tasks if isinstance(task, Due)]


SHARED = "https://shared.example.test/token"


def shared(count: int, endpoint: str = SHARED, prefix: str = "") -> list[Due]:
    return [due(f"{prefix}{number}", HOUR + number, endpoint) for number in range(count)]


def answering(made: Agenda) -> Agenda:
    task = made.take()
    assert task == Contact(endpoint=SHARED)
    assert made.contacted(task, Reached.ANSWERED) == []
    return made


def tenants(count: int) -> list[Due]:
    """Each with an address of its own at the same host, which may be written in several ways."""
    hosts = ("idp.example.test", "IDP.example.test", "idp.example.test:443")
    return [due(f"t{n}", HOUR + n, f"https://{hosts[n % 3]}/{n}/token") for n in range(count)]
