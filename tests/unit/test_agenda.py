"""The agenda of a run: what is due is begun soonest expiry first, and nobody holds up the others."""

from __future__ import annotations

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakes
from fakes import Clock, rotation
from rotator.agenda import MISSES, Agenda, Contact, Reached
from rotator.errors import TokenEndpointUnavailable
from rotator.hosts import OF_ONE_HOST
from rotator.memory import Memory
from rotator.model import Status, Stored
from rotator.pace import Pace
from rotator.waiting import TROUBLED_TURN, Due

HOUR = 3600.0


pytestmark = pytest.mark.usefixtures("nobody_waits_for_ever")


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


# The order.


def test_what_ends_first_is_begun_first() -> None:
    made = agenda(due("b", 2 * HOUR), due("c", 3 * HOUR), due("a", 1 * HOUR))
    assert taken(made) == ["a", "b", "c"]


def test_what_has_no_token_or_a_dead_one_comes_before_what_lives() -> None:
    made = agenda(due("lives", 60), due("missing", None), due("dead", -60))
    assert taken(made) == ["missing", "dead", "lives"]


def test_after_half_of_the_run_what_lives_comes_before_what_is_dead() -> None:
    clock = Clock()
    made = agenda(due("dead1", -90), due("dead2", -60), due("lives", 60), due("missing", None), clock=clock)
    begun(made, 1)
    clock.sleep(31)
    assert taken(made) == ["lives", "dead1", "dead2"]


def test_until_then_it_does_not() -> None:
    clock = Clock()
    made = agenda(due("dead", -90), due("lives", 60), clock=clock)
    clock.sleep(30)
    assert taken(made) == ["dead", "lives"]


def test_a_token_that_ended_when_the_run_began_is_dead_and_one_with_a_second_left_lives() -> None:
    clock = Clock()
    made = agenda(due("dead", 0), due("lives", 1), clock=clock)
    clock.sleep(31)
    assert taken(made) == ["lives", "dead"]


def test_what_failed_when_it_was_last_tried_comes_after_the_others_but_for_a_turn_now_and_then() -> None:
    made = agenda(
        *(due(f"bad{n}", -HOUR + n) for n in range(3)),
        *map(due, "abcdefgh"),
        memory=troubled("bad0", "bad1", "bad2"),
    )
    order = taken(made)
    assert [place for place, name in enumerate(order) if name.startswith("bad")] == [
        TROUBLED_TURN - 1,
        2 * TROUBLED_TURN - 1,
        10,
    ]


def test_if_all_have_failed_before_they_are_begun_in_their_order() -> None:
    assert taken(agenda(due("b", 20), due("a", 10), memory=troubled("b", "a"))) == ["a", "b"]


def test_of_dead_ones_that_failed_each_has_its_turn_whatever_is_dead_for_longer() -> None:
    dead = [due(name, -HOUR * n) for n, name in enumerate("abc", start=1)]
    assert taken(agenda(*dead, memory=troubled("b", "a", "c"))) == ["b", "a", "c"]


def test_what_lives_and_failed_comes_by_its_expiry() -> None:
    living = [due(name, HOUR * n) for n, name in enumerate("abc", start=1)]
    assert taken(agenda(*living, memory=troubled("b", "a", "c"))) == ["a", "b", "c"]


@given(st.lists(st.tuples(st.integers(-5, 50), st.integers(0, 4)), max_size=30), st.data())
def test_nothing_is_begun_while_something_that_ends_sooner_could_be(
    lives: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Whatever endpoints they have, and in whatever order they end."""
    waiting = [
        due(str(number), ends_in * 60, f"https://host{host}.example.test/token")
        for number, (ends_in, host) in enumerate(lives)
    ]
    made = agenda(*waiting)
    under_way: list[Due] = []
    waiting_for: dict[str, Due] = {each.rotation.name: each for each in waiting}
    while waiting_for:
        busy = {each.rotation.token_endpoint for each in under_way}
        nobody_can = busy >= {each.rotation.token_endpoint for each in waiting_for.values()}
        ends: bool = data.draw(st.booleans())
        if under_way and (nobody_can or ends):
            made.done(under_way.pop(0), unavailable=False)
            continue
        task = made.take()
        if isinstance(task, Contact):
            assert made.contacted(task, Reached.ANSWERED) == []
            continue
        assert task
        del waiting_for[task.rotation.name]
        assert task.ends_at == min(
            each.ends_at
            for each in (task, *waiting_for.values())
            if each.ends_at and (each is task or each.rotation.token_endpoint not in busy)
        )
        under_way.append(task)
    assert made.left() == []


# Endpoints.

SHARED = "https://shared.example.test/token"


def shared(count: int, endpoint: str = SHARED, prefix: str = "") -> list[Due]:
    return [due(f"{prefix}{number}", HOUR + number, endpoint) for number in range(count)]


def answering(made: Agenda) -> Agenda:
    task = made.take()
    assert task == Contact(endpoint=SHARED)
    assert made.contacted(task, Reached.ANSWERED) == []
    return made


def test_an_endpoint_of_one_rotation_is_not_contacted() -> None:
    assert taken(agenda(due("a"), due("b"))) == ["a", "b"]


def test_an_endpoint_of_one_rotation_is_contacted_if_it_was_down_when_it_was_last_asked() -> None:
    memory, down = Memory(), TokenEndpointUnavailable("down", advice="wait")
    memory.remember_down("https://a.example.test/token", down, fakes.START, whole_host=True)
    made = agenda(due("a"), due("b", 9 * HOUR), memory=memory)
    contact = made.take()
    assert contact == Contact(endpoint="https://a.example.test/token")
    assert named(made.contacted(contact, Reached.NOBODY)) == ["a"]
    assert taken(made) == ["b"]


def test_an_endpoint_of_several_is_contacted_before_the_first_is_begun() -> None:
    made = agenda(*shared(3))
    assert made.take() == Contact(endpoint=SHARED)
    assert named(made.left()) == ["0", "1", "2"]


def test_if_it_is_down_all_its_rotations_are_given_up_and_no_others() -> None:
    made = agenda(*shared(3), due("other", 9 * HOUR))
    contact = made.take()
    assert isinstance(contact, Contact)
    assert named(made.contacted(contact, Reached.NOBODY)) == ["0", "1", "2"]
    assert taken(made) == ["other"]


def tenants(count: int) -> list[Due]:
    """Each with an address of its own at the same host, which may be written in several ways."""
    hosts = ("idp.example.test", "IDP.example.test", "idp.example.test:443")
    return [due(f"t{n}", HOUR + n, f"https://{hosts[n % 3]}/{n}/token") for n in range(count)]


def test_a_host_is_contacted_once_for_all_its_addresses() -> None:
    made = agenda(*tenants(5))
    contact = made.take()
    assert contact == Contact(endpoint="https://idp.example.test/0/token")
    assert made.contacted(contact, Reached.ANSWERED) == []
    assert named(begun(made, 5)) == ["t0", "t1", "t2", "t3", "t4"]


def test_while_a_host_is_contacted_nothing_else_is_begun_there() -> None:
    made = agenda(*tenants(5))
    assert isinstance(made.take(), Contact)
    assert waits(made)


def test_if_nobody_is_there_all_addresses_of_the_host_are_given_up() -> None:
    made = agenda(*tenants(5), due("other", 9 * HOUR))
    contact = made.take()
    assert isinstance(contact, Contact)
    assert len(made.contacted(contact, Reached.NOBODY)) == 5
    assert taken(made) == ["other"]


def test_an_address_that_refuses_strangers_is_given_up_for_those_that_have_time_left() -> None:
    early, late = due("early", 10 * HOUR, SHARED), due("late", HOUR, SHARED)
    made = agenda(early, late, due("other tenant", 11 * HOUR, "https://shared.example.test/other"))
    contact = made.take()
    assert isinstance(contact, Contact)
    assert made.contacted(contact, Reached.REFUSED) == [early]
    assert named(begun(made, 2)) == ["late", "other tenant"]


def test_if_the_one_that_finds_out_is_refused_too_the_others_are_given_up() -> None:
    made = agenda(*shared(4))
    contact = made.take()
    assert isinstance(contact, Contact)
    assert made.contacted(contact, Reached.REFUSED) == []
    (first,) = begun(made, 1)
    assert named(made.done(first, unavailable=True)) == ["1", "2", "3"]
    assert made.take() is None


def test_if_the_one_that_finds_out_is_served_the_others_are_begun() -> None:
    made = agenda(*shared(4))
    contact = made.take()
    assert isinstance(contact, Contact)
    made.contacted(contact, Reached.REFUSED)
    (first,) = begun(made, 1)
    assert made.done(first, unavailable=False) == []
    second, third = begun(made, 2)
    assert named([second, third]) == ["1", "2"]
    assert made.done(second, unavailable=True) == [], "from now on it is as any other"


def test_after_some_misses_in_a_row_an_endpoint_is_given_up_although_it_answers_contacts() -> None:
    made = answering(agenda(*shared(9)))
    for _ in range(MISSES - 1):
        (each,) = begun(made, 1)
        assert made.done(each, unavailable=True) == []
        made = answering(made)
    (last,) = begun(made, 1)
    assert len(made.done(last, unavailable=True)) == 9 - MISSES
    assert made.take() is None


def test_after_a_miss_a_host_of_two_is_contacted_again() -> None:
    made = answering(agenda(*shared(2)))
    (first,) = begun(made, 1)
    made.done(first, unavailable=True)
    assert made.take() == Contact(endpoint=SHARED)


def test_after_a_miss_one_is_begun_at_a_time_again() -> None:
    made = answering(agenda(*shared(9)))
    made.done(*begun(made, 1), unavailable=False)
    served, missed = begun(made, 2)
    made.done(served, unavailable=False)
    made.done(missed, unavailable=True)
    made = answering(made)
    begun(made, 1)
    assert waits(made)


def test_a_success_between_misses_makes_them_forgotten() -> None:
    made = answering(agenda(*shared(3 * MISSES)))
    for number in range(2 * MISSES):
        (each,) = begun(made, 1)
        unavailable = number % 2 == 0
        assert made.done(each, unavailable=unavailable) == []
        made = answering(made) if unavailable else made


def test_after_a_success_misses_are_counted_anew() -> None:
    made = answering(agenda(*shared(3 * MISSES)))
    for unavailable in (*[True] * (MISSES - 1), False, *[True] * (MISSES - 1)):
        (each,) = begun(made, 1)
        assert made.done(each, unavailable=unavailable) == []
        made = answering(made) if unavailable else made


def test_others_go_on_while_an_endpoint_is_contacted() -> None:
    made = agenda(*shared(3), due("other", 9 * HOUR))
    assert isinstance(made.take(), Contact)
    assert named(begun(made, 1)) == ["other"]


def test_more_are_begun_at_a_time_the_more_of_them_succeed() -> None:
    made = answering(agenda(*shared(40), due("other", 9 * HOUR)))
    first = begun(made, 1)
    assert named(begun(made, 1)) == ["other"]  # the second waits for the first
    made.done(first[0], unavailable=False)
    two = begun(made, 2)
    assert waits(made)
    for each in two:
        made.done(each, unavailable=False)
    assert named(begun(made, 8)) == ["3", "4", "5", "6", "7", "8", "9", "10"]
    assert waits(made)


def test_one_that_finds_it_unavailable_has_it_contacted_again_before_the_next() -> None:
    made = answering(agenda(*shared(3)))
    (first,) = begun(made, 1)
    made.done(first, unavailable=True)
    assert made.take() == Contact(endpoint=SHARED)


def test_one_that_never_came_to_the_endpoint_changes_nothing_for_the_others() -> None:
    made = answering(agenda(*shared(3), due("other", 9 * HOUR)))
    (first,) = begun(made, 1)
    assert made.done(first, unavailable=None) == []
    assert named(begun(made, 2)) == ["1", "other"]  # one at a time, as before


def silent(*waiting: Due) -> Agenda:
    """Let the host not answer the contact; those that have time left are given up."""
    made = agenda(*waiting)
    contact = made.take()
    assert isinstance(contact, Contact)
    early = {each.rotation.name for each in waiting if each.ends_at == fakes.START + timedelta(hours=10)}
    assert set(named(made.contacted(contact, Reached.SILENT))) == early
    return made


def test_if_a_host_is_silent_one_that_is_late_finds_out_for_all_its_addresses() -> None:
    made = silent(*tenants(4), due("early", 10 * HOUR, "https://idp.example.test/early"), due("z", 9 * HOUR))
    assert named(begun(made, 2)) == ["t0", "z"]


def test_if_the_one_that_finds_out_gets_no_answer_all_of_the_silent_host_are_given_up() -> None:
    made = silent(*tenants(4), due("z", 9 * HOUR))
    (first,) = begun(made, 1)
    assert sorted(named(made.done(first, unavailable=True))) == ["t1", "t2", "t3"]
    assert taken(made) == ["z"]


def test_if_the_one_that_finds_out_is_served_the_host_was_silent_to_strangers_only() -> None:
    made = silent(*tenants(4))
    (first,) = begun(made, 1)
    assert made.done(first, unavailable=False) == []
    assert named(begun(made, 3)) == ["t1", "t2", "t3"]


def test_one_that_ends_while_the_host_is_contacted_causes_no_second_contact() -> None:
    made = agenda(*tenants(4), due("other", 9 * HOUR))
    contact = made.take()
    assert isinstance(contact, Contact)
    made.contacted(contact, Reached.ANSWERED)
    first, second = begun(made, 2)
    made.done(first, unavailable=True)
    assert isinstance(made.take(), Contact)
    made.done(second, unavailable=True)
    assert named(begun(made, 1)) == ["other"]


def test_a_host_gets_no_more_than_its_share_whatever_its_addresses() -> None:
    slow = [due(f"slow{n}", HOUR + n, f"https://slow.example.test/{n}") for n in range(OF_ONE_HOST + 5)]
    made = agenda(*slow, due("other", 9 * HOUR))
    contact = made.take()
    assert isinstance(contact, Contact)
    assert made.contacted(contact, Reached.ANSWERED) == []
    assert named(begun(made, OF_ONE_HOST + 1))[-1] == "other"


def test_whoever_finds_every_endpoint_busy_waits_until_one_is_free() -> None:
    made = answering(agenda(*shared(2)))
    (first,) = begun(made, 1)
    waits = Event()

    def take_later() -> Any:
        waits.set()
        return made.take()

    with ThreadPoolExecutor() as pool:
        second = pool.submit(take_later)
        waits.wait()
        assert not second.done()
        made.done(first, unavailable=False)
        task = second.result(timeout=10)
    assert isinstance(task, Due)
    assert task.rotation.name == "1"


def test_a_rotation_knows_whether_it_shares_its_host() -> None:
    made = agenda(*shared(2), due("alone"))
    assert made.is_shared(shared(1)[0])
    assert not made.is_shared(due("alone"))


# Time and pace.


def test_nothing_is_begun_without_room_for_it_and_the_rest_is_left() -> None:
    clock = Clock()
    made = agenda(due("a", 1 * HOUR), due("b", 2 * HOUR), clock=clock)
    begun(made, 1)
    clock.sleep(45)
    assert made.take() is None
    assert named(made.left()) == ["b"]


@pytest.mark.parametrize(
    ("budget", "passed", "begins"), [(60, 44.9, True), (60, 45, False), (8, 4.9, True), (8, 5, False)]
)
def test_the_room_is_five_seconds_or_an_eighth_of_a_short_run(
    budget: float, passed: float, begins: bool
) -> None:
    """Besides what the run keeps for writes: ten seconds, or a quarter of it."""
    clock = Clock()
    made = agenda(due("a"), clock=clock, budget=budget)
    clock.sleep(passed)
    assert taken(made) == (["a"] if begins else [])


def test_also_a_short_run_begins_with_something() -> None:
    assert taken(agenda(due("a"), budget=1)) == ["a"]


def paced(clock: Clock, *waiting: Due, per_second: float, **options: Any) -> Agenda:
    pace = Pace(per_second, clock=lambda: clock.now().timestamp(), sleep=clock.sleep)
    return Agenda(waiting, replace(fakes.run(clock), pace=pace), **options)


def test_renewals_are_begun_at_the_pace_of_their_writes() -> None:
    clock = Clock()
    made = paced(clock, *map(due, "abcde"), per_second=2)
    assert taken(made) == list("abcde")
    assert (clock.now() - fakes.START).total_seconds() == pytest.approx(6)


def test_a_turn_that_came_to_nothing_is_the_next_ones() -> None:
    """While one waited for the pace, the endpoint of more urgent ones turned out to be unavailable."""
    clock, begun_first = Clock(), list[Due]()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        made.done(begun_first.pop(), unavailable=True)

    pace = Pace(2, clock=lambda: clock.now().timestamp(), sleep=sleep)
    waiting = [*shared(3), due("other", 9 * HOUR)]
    made = answering(Agenda(waiting, replace(fakes.run(clock), pace=pace)))
    begun_first += begun(made, 1)
    made = answering(made)
    assert named(begun(made, 1)) == ["1"]
    assert (clock.now() - fakes.START).total_seconds() == pytest.approx(1.5)


def test_what_would_have_to_wait_beyond_the_run_is_left() -> None:
    clock = Clock()
    made = paced(clock, *map(due, "abcde"), per_second=0.1)
    assert taken(made) == ["a", "b"]
    assert (clock.now() - fakes.START).total_seconds() == pytest.approx(30)
    assert named(made.left()) == ["c", "d", "e"]


def test_a_run_that_changes_nothing_waits_for_no_pace_and_contacts_nobody() -> None:
    clock = Clock()
    assert len(taken(paced(clock, *shared(9), per_second=0.1, changes_nothing=True))) == 9
    assert clock.now() == fakes.START


def test_when_it_is_closed_it_hands_out_nothing_more() -> None:
    made = agenda(due("a"), due("b"))
    begun(made, 1)
    made.close()
    assert made.take() is None
    assert named(made.left()) == ["b"]


def test_whoever_waits_for_the_pace_when_it_is_closed_begins_nothing() -> None:
    clock = Clock()
    made: list[Agenda] = []

    def close_meanwhile(_seconds: float) -> None:
        made[0].close()

    pace = Pace(1, clock=lambda: clock.now().timestamp(), sleep=close_meanwhile)
    made.append(Agenda([due("a"), due("b")], replace(fakes.run(clock), pace=pace)))
    begun(made[0], 1)
    assert made[0].take() is None


def test_what_turned_out_to_be_down_while_the_pace_was_waited_for_is_contacted_first() -> None:
    clock = Clock()
    made: list[Agenda] = []
    under_way: list[Due] = []

    def end_meanwhile(_seconds: float) -> None:
        made[0].done(under_way.pop(), unavailable=True)

    pace = Pace(1, clock=lambda: clock.now().timestamp(), sleep=end_meanwhile)
    made.append(answering(Agenda(shared(4), replace(fakes.run(clock), pace=pace))))
    made[0].done(*begun(made[0], 1), unavailable=False)
    clock.sleep(3)
    under_way += begun(made[0], 1)
    assert made[0].take() == Contact(endpoint=SHARED)
    assert named(made[0].left()) == ["2", "3"]


def test_whoever_waits_when_it_is_closed_is_let_go() -> None:
    made = answering(agenda(*shared(2)))
    begun(made, 1)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(made.take)
        made.close()
        assert waiting.result(timeout=10) is None


def test_what_comes_next_can_be_seen_ahead() -> None:
    made = agenda(due("c", 3 * HOUR), *shared(2), due("a", 60))
    assert named(made.ahead(3)) == ["a", "0", "1"]
    assert sorted(named(made.left())) == ["0", "1", "a", "c"]
