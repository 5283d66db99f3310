"""One rotation of a simulated world, with its provider and its consumers."""

from __future__ import annotations

from datetime import datetime

from rotator.oauth.models import ClientCredentials, Secret
from rotator.renewal import policy
from rotator.renewal.models import Stored
from rotator.renewal.renew import EXPIRY_TOLERANCE, read
from rotator.simulation.consumers import Consumers
from rotator.simulation.environment import Environment
from rotator.simulation.provider import SLOW_LATENCY_SECONDS, TIMEOUT_SECONDS, IssuedToken, Provider
from rotator.simulation.scenario import RatesAt, Scenario

TOLERANCE_SECONDS = EXPIRY_TOLERANCE.total_seconds() + TIMEOUT_SECONDS
"""By how much a newer token may expire earlier although no run can detect it."""


class Tenant:
    """A rotation, its provider and its consumers; it records violations of its guarantees."""

    def __init__(self, world: Environment, scenario: Scenario, rates_at: RatesAt) -> None:
        self._world = world
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
            self._violate("two runs renewed at once")

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
            self._violate("a token was published that was never issued")
            token = IssuedToken(expires_at=0)
        replaced = self.stored_token
        tolerance = TOLERANCE_SECONDS + abs(self.scenario.clock_skew)
        is_guaranteed = replaced and self.stored().token_status and not forced
        if replaced and is_guaranteed and token.expires_at < replaced.expires_at - tolerance:
            self.bad_tokens += 1
            self._violate("a token was replaced by one that expires earlier")
        version = self._world.store.write_token(self.rotation, value)
        self.consumers.receive(token, self._world.timeline.seconds)
        return version

    def stored(self) -> Stored:
        """Return the stored state, as a run reads it."""
        return read(self.rotation, self._world.store, self._world.timeline.now())

    @property
    def stored_token(self) -> IssuedToken | None:
        """The token in the parameter, as the provider knows it."""
        found = self._world.store.parameters.get(self.rotation.parameter_name)
        return self.provider.issued.get(found.value) if found else None

    def state(self) -> policy.TokenState:
        """Return the state of the stored token, as a run determines it."""
        return policy.token_state(self.rotation, self.stored(), self._world.timeline.now())

    def has_valid_token(self) -> bool:
        """Return whether consumers have a valid token with a matching status."""
        token = self.stored_token
        return bool(token and token.is_valid(self._world.timeline.seconds) and self.stored().token_status)

    def is_healthy(self, *, due_at: datetime | None = None) -> bool:
        """Return whether consumers have a valid token, and no renewal is running or unfinished.

        Args:
            due_at: A renewal counts as unfinished only if the token is due at this time; now by default.
        """
        stored, due_at = self.stored(), due_at or self._world.timeline.now()
        unfinished = stored.lease.held_until or policy.may_be_revoked(self.rotation, stored, due_at)
        return self.has_valid_token() and not unfinished

    def expect_valid_token(self) -> None:
        """Record a violation if consumers have no valid token, neither now nor after a grace period.

        A token may just have been issued, and not be published yet because its response takes some time.
        """
        if not self.has_valid_token():
            latency = self.provider.latency
            grace = 1 + latency[1] if latency is SLOW_LATENCY_SECONDS else 1
            self._world.timeline.at(self._world.timeline.seconds + grace, self._require_valid_token)

    def _require_valid_token(self) -> None:
        if not self.has_valid_token():
            self._violate("a token that should have been renewed by now is expired, revoked or unknown")

    def _violate(self, violation: str) -> None:
        self._world.violate(f"{self.rotation.name}: {violation}")
