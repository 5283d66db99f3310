"""Every interleaving of a few runs of the real job: all choices, in each of the worlds that they lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from random import Random

from rotator.simulation.interleaved_runs import FRESH, LONG, Broken, Choice, Start, World


@dataclass
class Explored:
    """How far an exploration came: worlds seen, paths followed to their end, and what is broken."""

    worlds: int = 0
    ends: int = 0
    complete: bool = True
    broken: Broken | None = None


def explore(start: Start, *, go_on: Callable[[], bool] = lambda: True) -> Explored:
    """Try all choices in all worlds that follow from a start, until something is broken.

    ``go_on`` is asked before each path; where it says no, the exploration is not complete.
    """
    seen: set[int] = set()
    done = Explored()
    paths: list[tuple[Choice, ...]] = [()]
    dice = Random(1)  # noqa: S311 - an exploration that is cut off has seen a bit of everything
    while paths:
        if not go_on():
            done.complete = False
            break
        place = dice.randrange(len(paths))
        paths[place], paths[-1] = paths[-1], paths[place]
        try:
            _follow(start, paths.pop(), paths, seen, done)
        except Broken as broken:
            done.broken = broken
            break
    done.worlds = len(seen)
    return done


def _follow(
    start: Start, path: Iterable[Choice], paths: list[tuple[Choice, ...]], seen: set[int], done: Explored
) -> None:
    """Follow a path, and from its end the first choice in each world; note the other choices."""
    world = World(start)
    try:
        prefix = list(path)
        for choice in prefix[:-1]:
            world.step(choice, check=False)
        if prefix and not world.step(prefix[-1]):
            return
        while (key := world.key()) not in seen:
            seen.add(key)
            choices = list(world.choices())
            if not choices:
                done.ends += 1
                world.check_end()
                return
            paths += [(*world.path, choice) for choice in choices[1:]]
            world.step(choices[0])
    finally:
        world.end()


def starts(runs: int, faults: int) -> Iterator[Start]:
    """Return every start of so many runs: with and without token and lease, due and fresh, forced and not."""
    for forced in range(runs + 1):
        who = tuple(number < forced for number in range(runs))
        told = f"{forced} of {runs} runs forced"
        base = Start(name=f"due token, {told}", forced=who, faults=faults)
        yield base
        if not forced:
            yield replace(base, name=f"due token, {told}, a long one", longest=LONG)
        if forced:
            yield replace(base, name=f"fresh token, {told}", age=FRESH)
        if not (faults and forced):
            yield replace(base, name=f"first token, {told}", age=None, lease=False)
        if not faults:
            yield replace(base, name=f"first token after a failure, {told}", age=None)
            yield replace(base, name=f"due token without a lease, {told}", lease=False)
