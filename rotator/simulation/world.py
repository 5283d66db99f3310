"""The simulated world: one rotation, its ticks, its provider and its consumers.

It keeps what happened as numbers, and as ``broken_promises`` what must never happen, whatever fails.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

from rotator import policy, status
from rotator.fleet import Fleet, run_fleet
from rotator.model import ClientCredentials, Rotation, Secret, Stored
from rotator.simulation.aws import MemoryParameterStore, MemorySecretStore
from rotator.simulation.consumers import Consumers
from rotator.simulation.provider import Issued, Provider
from rotator.simulation.run import Fault, Killed, SimulatedRun
from rotator.simulation.scenario import Scenario, Weather
from rotator.simulation.timeline import Timeline

INACCURACY = 90.0
"""Seconds by which the end of a token may be misjudged: what requests may be on their way, and rounding."""

Faults = Callable[[str], Fault | None]


@contextmanager
def unheard() -> Iterator[None]:
    """Let the runs log to nobody: their failures are counted here, and there are many."""
    logger = logging.getLogger("rotator")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


class World:
    """A scenario that goes on as time does."""

    def __init__(
        self, scenario: Scenario, *, weather: Weather | None = None, faults: Faults | None = None
    ) -> None:
        self.scenario = scenario
        self.random = Random(scenario.seed)  # noqa: S311 - the same dice for the same seed
        self.timeline = Timeline()
        self.weather: Weather = weather or (lambda _now: scenario.rates)
        self.fault: Faults = faults or self._random_fault
        self.store = MemoryParameterStore()
        self.secrets = MemorySecretStore({scenario.rotation.secret_id: _CREDENTIALS})
        self.provider = Provider(
            self.timeline,
            self.random,
            self.weather,
            lifetime=scenario.lifetime,
            behaviour=scenario.behaviour,
            clock_skew=scenario.clock_skew,
        )
        self.consumers = Consumers(scenario.contract.consumer_cache)
        self.aws_calls = 0
        self.ticks = 0
        self.failed_ticks = 0
        self.outcomes: Counter[str] = Counter()
        self.bad_tokens = 0
        self.broken_promises: list[str] = []
        self._fleet = Fleet(rotations=(scenario.rotation,))
        self._names = (scenario.rotation.parameter_name, scenario.rotation.status_name)
        self._renewing: set[SimulatedRun] = set()
        self._forced = False

    # Ticks.

    def start_schedule(self) -> None:
        """Let ticks come as the schedule says, and as late, often or seldom as they then do."""
        self.timeline.at(self.timeline.seconds, lambda: self._tick(self.timeline.seconds))

    def _tick(self, when: float) -> None:
        self.timeline.at(
            when + self.scenario.contract.schedule_interval, lambda: self._tick(self.timeline.seconds)
        )
        rates = self.weather(when)
        if rates.missed and self.random.random() < rates.missed:
            return
        late = self.random.uniform(0, rates.late) if rates.late else 0.0
        self.start_run(when + late)
        if rates.duplicated and self.random.random() < rates.duplicated:
            self.start_run(when + late + self.random.uniform(0, policy.RUN_BUDGET))

    def start_run(self, when: float, *, force: bool = False) -> None:
        """Let a run begin then."""
        self.timeline.start_at(when, lambda: self._serve(force=force))

    def _serve(self, *, force: bool) -> None:
        self.ticks += 1
        run = SimulatedRun(self, f"run-{self.ticks}")
        self._forced |= force
        try:
            summary = run_fleet(self._fleet, run, run.run, self.scenario.contract, force=force)
        except Killed:
            self.outcomes["killed"] += 1
            self.failed_ticks += 1
            return
        finally:
            self.note_end(run)
        self.outcomes[summary.results[0].outcome.value] += 1
        if summary.failed:
            self.failed_ticks += 1
            self.outcomes["failed_late"] += summary.failed_late

    # What runs do to the world.

    def _random_fault(self, _operation: str) -> Fault | None:
        rates = self.weather(self.timeline.seconds)
        if not (rates.aws or rates.crashes):
            return None
        dice = self.random.random()
        if dice < rates.crashes:
            return self.random.choice((Fault.KILLED_BEFORE, Fault.KILLED_AFTER))
        if dice < rates.crashes + rates.aws:
            return self.random.choice((Fault.REFUSED, Fault.LOST))
        return None

    def note_request(self, run: SimulatedRun) -> None:
        """Somebody asks for a token: nobody else may be at it."""
        self._renewing.add(run)
        if len(self._renewing) > 1:
            self._break("two runs renewed at once")

    def note_end(self, run: SimulatedRun) -> None:
        """A run is not at it any more: it said so in the status, or died."""
        self._renewing.discard(run)

    def publish(self, rotation: Rotation, value: Secret) -> int:
        """Store a token for the consumers; it must be one that the provider issued, and no worse."""
        token = self.provider.issued.get(value.value)
        if token is None:
            self.bad_tokens += 1
            self._break("a token was published that was never issued")
            token = Issued(issued_at=0, ends_at=0)
        replaced = self.stored_token
        if replaced and self.stored().trusted and not self._forced:
            slack = INACCURACY + abs(self.scenario.clock_skew)
            if token.ends_at < replaced.ends_at - slack:
                self.bad_tokens += 1
                self._break("a token was replaced by one that ends earlier")
        self._forced = False
        version = self.store.write_token(rotation, value)
        self.consumers.receive(token, self.timeline.seconds)
        return version

    def _break(self, promise: str) -> None:
        self.broken_promises.append(f"{promise}, {self.timeline.seconds:.0f} s after the beginning")

    # What is there to see.

    def stored(self) -> Stored:
        """What a run would find."""
        return status.read(self.scenario.rotation, self.store.read(self._names))

    @property
    def stored_token(self) -> Issued | None:
        """The token in the parameter, as the provider knows it."""
        found = self.store.parameters.get(self.scenario.rotation.parameter_name)
        return self.provider.issued.get(found.value) if found else None

    def state(self) -> policy.TokenState:
        """The stored token as the rotator judges it."""
        return policy.token_state(self.scenario.rotation, self.stored(), self.timeline.now())

    def is_healthy(self) -> bool:
        """Whether consumers have a token that lives, and everybody knows how long."""
        token, stored = self.stored_token, self.stored()
        return bool(
            token and token.is_alive(self.timeline.seconds) and stored.trusted and stored.claim is None
        )

    def close(self) -> None:
        """Count what remains to be counted; nothing happens any more."""
        self.consumers.close(self.timeline.seconds)


_CREDENTIALS = ClientCredentials(client_id="simulated", client_secret=Secret("simulated"), version_id="1")
