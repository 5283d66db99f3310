"""Every interleaving of a few runs of the real job: all choices, in each of the states that they lead to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from soak.explored_run import applies
from soak.initial_states import Start
from soak.interleaved_runs import Choice, InterleavedRuns
from soak.invariants import InvariantViolated, check_end, check_step

Path = tuple[Choice, ...]


@dataclass
class Explored:
    """How far an exploration came.

    Args:
        states: The number of different states.
        ends: The number of these states in which all runs are over.
        is_complete: Whether it has tried every choice.
        violation: The first violation of an invariant; it ends an exploration.
    """

    states: int = 0
    ends: int = 0
    is_complete: bool = True
    violation: str | None = None


def explore(start: Start, *, go_on: Callable[[], bool] = lambda: True) -> Explored:
    """Try all choices in all states that follow from a start, until an invariant is violated.

    Args:
        start: The initial state.
        go_on: Called before each path; the exploration stops when it returns False.
    """
    seen: set[int] = set()
    explored = Explored()
    paths: list[Path] = [()]
    dice = Random(1)
    while paths:
        if not go_on():
            explored.is_complete = False
            break
        place = dice.randrange(len(paths))
        paths[place], paths[-1] = paths[-1], paths[place]
        try:
            others, is_end = _follow(start, paths.pop(), seen)
        except InvariantViolated as violation:
            explored.violation = str(violation)
            break
        paths += others
        explored.ends += is_end
    explored.states = len(seen)
    return explored


def _follow(start: Start, path: Path, seen: set[int]) -> tuple[list[Path], bool]:
    """Follow a path, and then the first choice in each state, up to a state that was seen before.

    Returns:
        The paths that begin with the other choices, and whether all runs are over after this one.
    """
    runs = InterleavedRuns(start)
    others: list[Path] = []
    try:
        for choice in path[:-1]:
            runs.step(choice)  # checked when its state was first seen
        if path:
            others += _try(runs, path[-1])
        while (key := runs.key()) not in seen:
            seen.add(key)
            choices = runs.choices()
            if not choices:
                check_end(runs)
                return others, True
            others += [(*runs.path, choice) for choice in choices[1:]]
            others += _try(runs, choices[0])
        return others, False
    finally:
        runs.kill_all()


def _try(runs: InterleavedRuns, choice: Choice) -> list[Path]:
    """Make a choice and check the invariants; return the paths on which the same call has a fault."""
    run, before = runs.runs[choice.run], tuple(runs.path)
    calls, faults = len(run.calls), [] if choice.fault else runs.faults()
    check_step(runs, choice)
    call = run.last_call if run.budget and len(run.calls) > calls else None
    return [(*before, Choice(choice.run, fault)) for fault in faults if applies(fault, call)]
