"""The agenda of a run: what is due is begun soonest expiry first, and nobody holds up the others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    troubled,
)
from fakes import Clock
from rotator.agenda import Agenda, Contact, Reached
from rotator.pace import Pace
from rotator.waiting import TROUBLED_TURN, Due

pytestmark = pytest.mark.usefixtures("nobody_waits_for_ever")

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
