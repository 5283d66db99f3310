"""The environment of simulated runs: time, random numbers, AWS, its faults, and the rotations."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from rotator.oauth.models import ClientCredentials, Secret
from rotator.renewal.models import Stored
from rotator.renewal.renew import EXPIRY_TOLERANCE, read
from rotator.simulation.aws import MemoryParameterStore, MemorySecretStore
from rotator.simulation.calls import Fault
from rotator.simulation.consumers import Consumers
from rotator.simulation.provider import TIMEOUT_SECONDS, IssuedToken, Provider
from rotator.simulation.scenario import RatesAt, Scenario
from rotator.simulation.timeline import Timeline

TOLERANCE_SECONDS = EXPIRY_TOLERANCE.total_seconds() + TIMEOUT_SECONDS
"""By how much a newer token may expire earlier although no run can detect it."""


class Environment:
    """Time, random numbers, AWS, and the rotations by name; ``violations`` of a guarantee are recorded.

    ``next_fault`` returns the fault of the next call, None if it has none.
    """

    def __init__(self, scenario: Scenario, rates_at: RatesAt | None = None) -> None:
        self.scenario = scenario
        self.random = Random(scenario.seed)  # noqa: S311 - nothing here is secret
        self.timeline = Timeline()
        self.rates_at: RatesAt = rates_at or (lambda _now: scenario.rates)
        self.next_fault: Callable[[], Fault | None] = self.random_fault
        self.store = MemoryParameterStore()
        self.secrets = MemorySecretStore({})
        self.tenants: dict[str, Tenant] = {}
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


class Tenant:
    """A rotation, its provider and its consumers; it records violations of its guarantees."""

    def __init__(self, world: Environment, scenario: Scenario, rates_at: RatesAt) -> None:
        self.world = world
        self.scenario = scenario
        self.rotation = scenario.rotation
        self.provider = Provider(scenario, world.timeline, world.random, rates_at)
        self.consumers = Consumers(scenario.guarantee.consumer_cache)
        self.bad_tokens = 0
        self._renewing: set[str] = set()
        world.tenants[self.rotation.name] = self
        world.secrets.credentials[self.rotation.secret_id] = ClientCredentials(
            client_id=self.rotation.name, client_secret=Secret("simulated"), version_id="1"
        )

    def begin_renewal(self, run: str) -> None:
        """Record that a run requests a token; it is a violation if another run is renewing the same one."""
        self._renewing.add(run)
        if len(self._renewing) > 1:
            self.violate("two runs renewed at once")

    def end_renewal(self, run: str) -> None:
        """Record that a run no longer renews the token: it has written status or lease, or is over."""
        self._renewing.discard(run)

    def publish(self, value: Secret, *, forced: bool = False) -> int:
        """Store a token for the consumers and return its version.

        The provider must have issued the token. Unless the run is forced, the token must expire no earlier
        than the one that it replaces.
        """
        token = self.provider.issued.get(value.value)
        if token is None:
            self.bad_tokens += 1
            self.violate("a token was published that was never issued")
            token = IssuedToken(expires_at=0)
        replaced = self.stored_token
        tolerance = TOLERANCE_SECONDS + abs(self.scenario.clock_skew)
        is_guaranteed = replaced and self.stored().token_status and not forced
        if replaced and is_guaranteed and token.expires_at < replaced.expires_at - tolerance:
            self.bad_tokens += 1
            self.violate("a token was replaced by one that expires earlier")
        version = self.world.store.write_token(self.rotation, value)
        self.consumers.receive(token, self.world.timeline.seconds)
        return version

    def stored(self) -> Stored:
        """Return the stored state, as a run reads it."""
        return read(self.rotation, self.world.store, self.world.timeline.now())

    @property
    def stored_token(self) -> IssuedToken | None:
        """The token in the parameter, as the provider knows it."""
        found = self.world.store.parameters.get(self.rotation.parameter_name)
        return self.provider.issued.get(found.value) if found else None

    def violate(self, violation: str) -> None:
        """Record a violation of this rotation's guarantees."""
        self.world.violate(f"{self.rotation.name}: {violation}")
