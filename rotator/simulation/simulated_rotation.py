"""One rotation of a simulated world, with its provider and its consumers."""

from __future__ import annotations

from rotator.oauth.models import ClientCredentials, Secret
from rotator.renewal.models import Stored
from rotator.renewal.renew import EXPIRY_TOLERANCE, read
from rotator.simulation.consumers import Consumers
from rotator.simulation.environment import Environment
from rotator.simulation.provider import TIMEOUT_SECONDS, IssuedToken, Provider
from rotator.simulation.scenario import RatesAt, Scenario

TOLERANCE_SECONDS = EXPIRY_TOLERANCE.total_seconds() + TIMEOUT_SECONDS
"""By how much a newer token may expire earlier although no run can detect it."""


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
