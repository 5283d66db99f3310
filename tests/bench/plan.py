"""What is measured, how often, and what comes of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bench.ground import Ground
from bench.measure import Cost, Runs, cold, repeated

FUNCTION = "rotator.handler"

WAYS = {
    "typical": ("typical", True),
    "rotator, fresh": (FUNCTION, False),
    "least, fresh": ("least", False),
    "rotator, renewal": (FUNCTION, True),
    "least, renewal": ("least", True),
}
"""Module, and whether its token is due. Typical rotates always."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much to measure: after its first run a fleet has ``warm`` others, the largest fewer."""

    rounds: int = 15
    fresh: tuple[int, ...] = (1, 100, 1_000, 10_000)
    due: tuple[int, ...] = (1, 100, 1_000)
    warm: int = 9
    typical_runs: int = 20


QUICK = Plan(rounds=1, fresh=(1, 5, 12, 20), due=(1, 5, 12), warm=1, typical_runs=2)
"""To see that it works; its numbers mean nothing."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was measured: cold processes by way, a cost a round, and fleets by size."""

    plan: Plan
    zip_size: int
    cold: dict[str, list[Cost]]
    fresh: dict[int, Runs]
    due: dict[int, Runs]
    typical: Runs

    def middle(self, way: str, what: Callable[[Cost], float]) -> float:
        """The median over the rounds."""
        return median(map(what, self.cold[way]))

    def ratio(self, way: str, what: Callable[[Cost], float]) -> float:
        """The median of a way's cost as a part of typical's in the same round."""
        pairs = zip(self.cold[way], self.cold["typical"], strict=True)
        return median(what(ours) / what(typical) for ours, typical in pairs)


def per_run(runs: Runs, what: Callable[[Cost], float]) -> float:
    """The median of the warm runs; of a process that had only one, that one's."""
    return median(map(what, runs.warm or [runs.cold]))


def measure(ground: Ground, plan: Plan) -> Found:
    """Measure everything; compared subjects are interleaved, so that a noisy machine affects all of them."""
    costs: dict[str, list[Cost]] = {way: [] for way in WAYS}
    for number in range(plan.rounds):
        _emit(f"cold processes, round {number + 1} of {plan.rounds}")
        for way, (module, due) in WAYS.items():
            costs[way].append(cold(ground, module, due=due))
    fresh = {n: _fleet(ground, n, 0 if n == plan.fresh[-1] else plan.warm, due=False) for n in plan.fresh}
    overdue = {n: _fleet(ground, n, 1 if n == plan.due[-1] else plan.warm, due=True) for n in plan.due}
    _emit("typical, warm")
    typical = repeated(ground, "typical", 1, due=True, warm=plan.typical_runs)
    return Found(plan=plan, zip_size=ground.zip_size, cold=costs, fresh=fresh, due=overdue, typical=typical)


def _fleet(ground: Ground, rotations: int, warm: int, *, due: bool) -> Runs:
    _emit(f"{rotations:,} rotations, {'due' if due else 'fresh'}")
    return repeated(ground, FUNCTION, rotations, due=due, warm=warm)


def _emit(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)
