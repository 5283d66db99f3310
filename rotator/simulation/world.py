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
from rotator.rotation import INACCURACY
from rotator.simulation.aws import MemoryParameterStore, MemorySecretStore
from rotator.simulation.consumers import Consumers
from rotator.simulation.provider import TIMEOUT, Issued, Provider
from rotator.simulation.run import Fault, Killed, SimulatedRun
from rotator.simulation.scenario import Scenario, Weather
from rotator.simulation.timeline import Timeline

SLACK = INACCURACY.total_seconds() + TIMEOUT
"""Seconds by which a newer token may end earlier and nobody could have known."""

Faults = Callable[[], Fault | None]


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
        self.fault: Faults = faults or self.random_fault
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
        delay = self.random.uniform(0, rates.delay) if rates.delay else 0.0
        self.start_run(when + delay)
        if rates.duplicated and self.random.random() < rates.duplicated:
            self.start_run(when + delay + self.random.uniform(0, policy.RUN_BUDGET))

    def start_run(self, when: float, *, force: bool = False) -> None:
        """Let a run begin then."""
        self.timeline.start_at(when, lambda: self._serve(force=force))

    def _serve(self, *, force: bool) -> None:
        self.ticks += 1
        run = SimulatedRun(self, f"run-{self.ticks}", forced=force)
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
            if "unforeseen" in str(summary.results[0].error):
                self._break(f"the job has a defect: {summary.results[0].error}")
            self.failed_ticks += 1
            self.outcomes["failed_late"] += summary.failed_late

    # What runs do to the world.

    def random_fault(self) -> Fault | None:
        """What goes wrong with the next call, as often as the weather says."""
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

    def publish(self, rotation: Rotation, value: Secret, *, forced: bool = False) -> int:
        """Store a token for the consumers; it must be one that the provider issued, and no worse."""
        token = self.provider.issued.get(value.value)
        if token is None:
            self.bad_tokens += 1
            self._break("a token was published that was never issued")
            token = Issued(ends_at=0)
        replaced = self.stored_token
        if replaced and self.stored().trusted and not forced:
            slack = SLACK + abs(self.scenario.clock_skew)
            if token.ends_at < replaced.ends_at - slack:
                self.bad_tokens += 1
                self._break("a token was replaced by one that ends earlier")
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

    def is_good(self) -> bool:
        """Whether consumers have a token that lives, and everybody knows how long."""
        token = self.stored_token
        return bool(token and token.is_alive(self.timeline.seconds) and self.stored().trusted)

    def is_healthy(self) -> bool:
        """Whether that is so, and no renewal is under way or was left unfinished."""
        return self.is_good() and self.stored().claim is None

    def expect_good(self, *, at_once: bool = False) -> None:
        """Count it as a broken promise if consumers do not have a good token now.

        Unless ``at_once``, it may be the very moment between the writes of a run: it gets a second more.
        """
        if self.is_good():
            return
        if at_once:
            self._break("a token that should have been renewed by now is dead or unknown")
        else:
            self.timeline.at(self.timeline.seconds + 1, lambda: self.expect_good(at_once=True))

    def is_flooding(self) -> bool:
        """Whether runs that had something to do asked more than twice in each second of their time."""
        working = self.ticks - self.outcomes["fresh"]
        return self.provider.requests > 2 * policy.RUN_BUDGET * working

    def close(self) -> None:
        """Count what remains to be counted; nothing happens any more."""
        self.consumers.close(self.timeline.seconds)


_CREDENTIALS = ClientCredentials(client_id="simulated", client_secret=Secret("simulated"), version_id="1")
