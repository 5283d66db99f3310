"""The environment that runs, rotations and providers share: time, random numbers, AWS and faults."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from rotator.simulation.aws import MemoryParameterStore, MemorySecretStore
from rotator.simulation.calls import Fault
from rotator.simulation.scenario import RatesAt
from rotator.simulation.timeline import Timeline

NextFault = Callable[[], Fault | None]
"""Returns the fault of the next call, None if it has none."""


class Environment:
    """Time, random numbers and AWS; ``violations`` lists each violation of a guarantee.

    Args:
        seed: The same seed gives the same random numbers.
        rates_at: How often faults occur at a time.
        next_fault: Returns the fault of each call; by default it is random, at these rates.
    """

    def __init__(self, seed: int, rates_at: RatesAt, next_fault: NextFault | None = None) -> None:
        self.random = Random(seed)  # noqa: S311 - nothing here is secret
        self.timeline = Timeline()
        self.rates_at = rates_at
        self.next_fault: NextFault = next_fault or self.random_fault
        self.store = MemoryParameterStore()
        self.secrets = MemorySecretStore({})
        self.aws_calls = 0
        self.violations: list[str] = []

    def random_fault(self) -> Fault | None:
        """Return a random fault for the next call, as often as the rates demand, or else None."""
        rates = self.rates_at(self.timeline.seconds)
        if not (rates.aws or rates.crashes):
            return None
        number = self.random.random()
        if number < rates.crashes:
            return self.random.choice((Fault.KILLED_BEFORE, Fault.KILLED_AFTER))
        if number < rates.crashes + rates.aws:
            return self.random.choice((Fault.FAILED, Fault.LOST))
        return None

    def violate(self, violation: str) -> None:
        """Record a violation of a guarantee."""
        self.violations.append(f"{violation}, {self.timeline.seconds:.0f} s after the beginning")
