"""The simulated world: its rotations, scheduled runs, providers and consumers.

It keeps what happened as numbers, and as ``broken_promises`` what must never happen, whatever fails.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from random import Random

from rotator.config.registry import Fleet
from rotator.fleet.run import run_fleet
from rotator.oauth.models import ClientCredentials, Secret
from rotator.renewal import policy
from rotator.renewal.models import Stored, Summary
from rotator.renewal.renew import EXPIRY_TOLERANCE, read
from rotator.simulation.aws import MemoryParameterStore, MemorySecretStore
from rotator.simulation.consumers import Consumers
from rotator.simulation.provider import SLOW, TIMEOUT, Issued, Provider
from rotator.simulation.run import Fault, Killed, SimulatedRun
from rotator.simulation.scenario import Scenario, Weather
from rotator.simulation.timeline import Timeline

SLACK = EXPIRY_TOLERANCE.total_seconds() + TIMEOUT
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


class Tenant:
    """One rotation of a world, with its provider and its consumers."""

    def __init__(self, world: World, scenario: Scenario, weather: Weather) -> None:
        self._world = world
        self.scenario = scenario
        self.rotation = scenario.rotation
        self.provider = Provider(
            world.timeline,
            world.random,
            weather,
            lifetime=scenario.lifetime,
            behaviour=scenario.behaviour,
            clock_skew=scenario.clock_skew,
        )
        self.consumers = Consumers(scenario.guarantee.consumer_cache)
        self.bad_tokens = 0
        self._renewing: set[SimulatedRun] = set()
        world.secrets.credentials[self.rotation.secret_id] = ClientCredentials(
            client_id=self.rotation.name, client_secret=Secret("simulated"), version_id="1"
        )

    def note_request(self, run: SimulatedRun) -> None:
        """A run requests a token: no other run may be renewing it."""
        self._renewing.add(run)
        if len(self._renewing) > 1:
            self._break("two runs renewed at once")

    def note_end(self, run: SimulatedRun) -> None:
        """A run is not renewing it any more: it said so in a parameter, or ended."""
        self._renewing.discard(run)

    def publish(self, value: Secret, *, forced: bool = False) -> int:
        """Store a token for the consumers; it must be one that the provider issued, and no worse."""
        now = self._world.timeline.seconds
        token = self.provider.issued.get(value.value)
        if token is None:
            self.bad_tokens += 1
            self._break("a token was published that was never issued")
            token = Issued(ends_at=0)
        replaced = self.stored_token
        if replaced and self.stored().token_status and not forced:
            slack = SLACK + abs(self.scenario.clock_skew)
            if token.ends_at < replaced.ends_at - slack:
                self.bad_tokens += 1
                self._break("a token was replaced by one that ends earlier")
        version = self._world.store.write_token(self.rotation, value)
        self.consumers.receive(token, now)
        return version

    def _break(self, promise: str) -> None:
        self._world.break_promise(
            promise if len(self._world.tenants) == 1 else f"{self.rotation.name}: {promise}"
        )

    def stored(self) -> Stored:
        """What a run would find."""
        return read(self.rotation, self._world.store, self._world.timeline.now())

    @property
    def stored_token(self) -> Issued | None:
        """The token in the parameter, as the provider knows it."""
        found = self._world.store.parameters.get(self.rotation.parameter_name)
        return self.provider.issued.get(found.value) if found else None

    def state(self) -> policy.TokenState:
        """The stored token as the rotator judges it."""
        return policy.token_state(self.rotation, self.stored(), self._world.timeline.now())

    def is_good(self) -> bool:
        """Whether consumers have a valid token, and the status says for how long."""
        token = self.stored_token
        return bool(token and token.is_alive(self._world.timeline.seconds) and self.stored().token_status)

    def is_healthy(self) -> bool:
        """Whether that is so, and no renewal is under way or was left unfinished."""
        stored, now = self.stored(), self._world.timeline.now()
        unfinished = stored.lease.held_until or policy.may_be_revoked(self.rotation, stored, now)
        return self.is_good() and not unfinished

    def expect_good(self, *, at_once: bool = False) -> None:
        """Count it as a broken promise if consumers do not have a valid token now.

        Unless ``at_once``, it may be the very moment between the issue of a token and its publication: it
        gets as much time as an answer takes, and a second.
        """
        if self.is_good():
            return
        if at_once:
            self._break("a token that should have been renewed by now is dead or unknown")
        else:
            timeline = self._world.timeline
            grace = 1 + self.provider.latency[1] if self.provider.latency is SLOW else 1
            timeline.at(timeline.seconds + grace, lambda: self.expect_good(at_once=True))


class World:
    """A scenario that goes on as time does: one rotation, or those of a fleet."""

    def __init__(
        self, scenario: Scenario, *, weather: Weather | None = None, faults: Faults | None = None
    ) -> None:
        self.scenario = scenario
        self.random = Random(scenario.seed)  # noqa: S311 - the same dice for the same seed
        self.timeline = Timeline()
        self.weather: Weather = weather or (lambda _now: scenario.rates)
        self.fault: Faults = faults or self.random_fault
        self.store = MemoryParameterStore()
        self.secrets = MemorySecretStore({})
        self.aws_calls = 0
        self.ticks = 0
        self.failed_ticks = 0
        self.outcomes: Counter[str] = Counter()
        self.broken_promises: list[str] = []
        self.tenants = self._make_tenants()
        self.tenant = next(iter(self.tenants.values()))

    def _make_tenants(self) -> dict[str, Tenant]:
        """Return the rotations of this world, by name."""
        return {self.scenario.rotation.name: Tenant(self, self.scenario, self.weather)}

    # Runs.

    def start_schedule(self) -> None:
        """Let scheduled runs come, and as late, often or seldom as they then do."""
        self.timeline.at(self.timeline.seconds, lambda: self._tick(self.timeline.seconds))

    def _tick(self, when: float) -> None:
        self.timeline.at(
            when + self.scenario.guarantee.schedule_interval, lambda: self._tick(self.timeline.seconds)
        )
        rates = self.weather(when)
        if rates.missed and self.random.random() < rates.missed:
            return
        delay = self.random.uniform(0, rates.delay) if rates.delay else 0.0
        self.start_run(when + delay)
        if rates.duplicated and self.random.random() < rates.duplicated:
            self.start_run(when + delay + self.random.uniform(0, policy.RUN_BUDGET_SECONDS))

    def start_run(self, when: float, *, force: bool = False) -> None:
        """Let a run begin then."""
        self.timeline.start_at(when, lambda: self._serve(force=force))

    def _serve(self, *, force: bool) -> None:
        run = self.begin_run(forced=force)
        try:
            self._count(self.serve(run))
        except Killed:
            self.outcomes["killed"] += 1
            self.failed_ticks += 1
        finally:
            for tenant in self.tenants.values():
                tenant.note_end(run)

    def begin_run(self, *, forced: bool = False) -> SimulatedRun:
        """Begin a run now."""
        self.ticks += 1
        return SimulatedRun(self, f"run-{self.ticks}", forced=forced)

    def serve(self, run: SimulatedRun) -> Summary:
        """Do what a run does; raises Killed if it ends without a word."""
        fleet = Fleet(rotations=(self.scenario.rotation,))
        return run_fleet(fleet, run, run.run, self.scenario.guarantee, force=run.forced)

    def _count(self, summary: Summary) -> None:
        for result in summary.results:
            self.outcomes[result.outcome.value] += 1
            if "unforeseen" in str(result.error):
                self.break_promise(f"the job has a defect: {result.error}")
        self.failed_ticks += summary.failed
        self.outcomes["failed_late"] += summary.failed_late

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

    def tenant_of(self, headers: Mapping[str, str]) -> Tenant:
        """Return the rotation for which a request is sent."""
        del headers
        return self.tenant

    def note_request(self, run: SimulatedRun, tenant: Tenant) -> None:
        """A run requests a token for a rotation."""

    def takes_write(self) -> bool:
        """Whether the account's rate of writes lets another one pass now."""
        return True

    def break_promise(self, promise: str) -> None:
        """Note what must never happen, whatever fails."""
        self.broken_promises.append(f"{promise}, {self.timeline.seconds:.0f} s after the beginning")

    # The only rotation, or the first.

    @property
    def provider(self) -> Provider:
        """Its provider."""
        return self.tenant.provider

    @property
    def consumers(self) -> Consumers:
        """Its consumers."""
        return self.tenant.consumers

    @property
    def bad_tokens(self) -> int:
        """How many tokens were published that must not have been, of all rotations."""
        return sum(tenant.bad_tokens for tenant in self.tenants.values())

    def is_flooding(self) -> bool:
        """Whether runs that had something to do asked more than twice in each second of their time."""
        working = self.ticks - self.outcomes["fresh"]
        return self.provider.requests > 2 * policy.RUN_BUDGET_SECONDS * working

    def close(self) -> None:
        """Count what remains to be counted; nothing happens any more."""
        for tenant in self.tenants.values():
            tenant.consumers.close(self.timeline.seconds)
