"""The guarantees to a fleet despite faults: Hypothesis searches for faults that violate a guarantee."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rotator.renewal.policy import RUN_BUDGET_SECONDS
from rotator.simulation.scenario import NO_FAULTS, Rates, RatesAt
from soak.fleet_world import ENDPOINT_DOWN, FleetWorld
from soak.random_fleets import HOSTS, fleet_fault_budget, fleet_recovery_seconds, random_fleet

TROUBLE = st.builds(
    Rates,
    aws=st.sampled_from((0.0, 0.3, 1.0)),
    crashes=st.sampled_from((0.0, 0.05)),
    missed=st.sampled_from((0.0, 0.5)),
    duplicated=st.sampled_from((0.0, 1.0)),
    delay=st.sampled_from((0.0, RUN_BUDGET_SECONDS)),
)
HOSTS_DOWN = st.tuples(*[st.sampled_from((0.0, 0.5, 1.0))] * HOSTS)
"""The share of token requests that fail at each host."""


class FleetGuarantees(RuleBasedStateMachine):
    """A fleet on its schedule, with faults that last no longer than the guarantee allows."""

    world: FleetWorld
    rates = NO_FAULTS
    down: tuple[float, ...] = (0.0,) * HOSTS

    @initialize(number=st.integers(1, 300))
    def begin(self, number: int) -> None:
        self.drawn = random_fleet(number)
        self.world = FleetWorld(self.drawn, rates_of=self.rates_of)
        self.world.start_schedule()
        self.calm()

    def rates_of(self, host: int) -> RatesAt:
        if host in self.drawn.down_hosts:
            return ENDPOINT_DOWN
        return lambda _now: replace(self.rates, endpoint=self.down[host])

    def go_on(self, seconds: float) -> None:
        timeline = self.world.timeline
        timeline.run_until(timeline.seconds + seconds)

    @rule(rates=TROUBLE, down=HOSTS_DOWN, share=st.sampled_from((1.0, 0.5, 0.1)))
    def trouble(self, rates: Rates, down: tuple[float, ...], share: float) -> None:
        """Hosts fail, AWS fails, runs crash, come late, twice or not at all."""
        self.rates, self.down = rates, down
        self.go_on(share * fleet_fault_budget(self.drawn))
        self.calm()

    @rule(delays=st.lists(st.sampled_from((0.0, 0.1, 1.0, 45.0)), min_size=1, max_size=3))
    def operators(self, delays: list[float]) -> None:
        """Operators force all rotations at about the same time."""
        for delay in delays:
            self.world.start_run(self.world.timeline.seconds + delay, force=True)
        self.go_on(2 * RUN_BUDGET_SECONDS)
        self.calm()

    @rule(share=st.floats(0, 1))
    def time_passes(self, share: float) -> None:
        self.go_on(share * self.drawn.common.lifetime)

    def calm(self) -> None:
        """Once the faults stop, every rotation recovers in as many runs as the write rate needs."""
        self.rates, self.down = NO_FAULTS, (0.0,) * HOSTS
        self.go_on(fleet_recovery_seconds(self.drawn))
        now = self.world.timeline.seconds
        ends = {
            each.rotation.name: each.stored_token.expires_at
            for each in self.world.healthy
            if each.stored_token
        }
        assert ends.keys() == {each.rotation.name for each in self.world.healthy}
        assert min(ends.values()) > now

    @invariant()
    def no_promise_is_broken(self) -> None:
        assert self.world.violations == []

    @invariant()
    def no_valid_token_expires(self) -> None:
        assert self.world.expired_seconds == 0

    @invariant()
    def every_token_was_issued(self) -> None:
        assert self.world.bad_tokens == 0


class TestFleetGuarantees(FleetGuarantees.TestCase):  # type: ignore[valid-type, misc]
    settings = settings(
        max_examples=25,
        stateful_step_count=5,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
