"""Endpoints and their hosts in the agenda of a run: who is contacted, and what is given up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any

import pytest

import fakes
from agendas import (
    HOUR,
    SHARED,
    agenda,
    answering,
    begun,
    due,
    named,
    shared,
    taken,
    tenants,
    waits,
)
from rotator.agenda import MISSES, Agenda, Contact, Reached
from rotator.errors import TokenEndpointUnavailable
from rotator.hosts import OF_ONE_HOST
from rotator.memory import Memory
from rotator.waiting import Due

pytestmark = pytest.mark.usefixtures("nobody_waits_for_ever")


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
