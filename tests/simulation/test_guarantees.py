"""The guarantees to consumers despite faults: Hypothesis searches for faults that violate a guarantee."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rotator.renewal.durations import seconds_until
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.policy import RUN_BUDGET_SECONDS, renewal_time
from rotator.simulation.calls import Fault
from rotator.simulation.scenario import DAY, NO_FAULTS, Behaviour, Rates, Scenario
from rotator.simulation.world import World
from soak.health import is_flooding, is_healthy
from soak.random_scenarios import LEASE_SECONDS, fault_budget, guaranteed_outage

RATES = st.builds(
    Rates,
    endpoint=st.sampled_from((1.0, 0.0, 0.5)),
    aws=st.sampled_from((0.0, 0.5, 1.0)),
    crashes=st.sampled_from((0.0, 0.3)),
    missed=st.sampled_from((0.0, 0.5, 1.0)),
    duplicated=st.sampled_from((0.0, 1.0)),
    delay=st.sampled_from((0.0, 45.0)),
)
BAD_LUCK = st.lists(st.tuples(st.integers(0, 7), st.sampled_from(Fault)), max_size=3)
"""The number of calls without a fault, and the fault of the call after them, over all runs."""


BadLuck = list[tuple[int, Fault]]


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Settings that keep the guarantee with a budget for faults, and any provider."""
    base = Scenario()
    lifetime = draw(st.sampled_from((1800.0, 3600.0, DAY, 3 * DAY)))
    interval = max(60.0, lifetime // draw(st.integers(12, 60)))
    cache = draw(st.sampled_from((0.0, 60.0, 300.0)))
    return replace(
        base,
        rotation=replace(base.rotation, renew_at=draw(st.sampled_from((0.2, 0.4, 0.667)))),
        lifetime=lifetime,
        guarantee=Guarantee(schedule_interval=interval, consumer_cache=cache),
        behaviour=draw(st.sampled_from(Behaviour)),
        clock_skew=draw(st.sampled_from((0.0, 60.0, -60.0))),
        seed=draw(st.integers(0, 99)),
    )


class Guarantees(RuleBasedStateMachine):
    """A world on its schedule, with faults that last no longer than the guarantee allows."""

    world: World
    rates = NO_FAULTS

    @initialize(scenario=scenarios().filter(lambda drawn: guaranteed_outage(drawn) > 0))
    def begin(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.next_calls: deque[Fault | None] = deque()
        self.world = World(self.scenario, rates_at=lambda _now: self.rates)
        self.world.next_fault = self.fault
        self.world.start_schedule()
        self.calm(0)

    def fault(self) -> Fault | None:
        if self.next_calls:
            return self.next_calls.popleft()
        return self.world.random_fault()

    def go_on(self, seconds: float) -> None:
        timeline = self.world.timeline
        timeline.run_until(timeline.seconds + seconds)

    def plan(self, bad_luck: BadLuck) -> None:
        self.next_calls.clear()
        for well, fault in bad_luck:
            self.next_calls.extend([*[None] * well, fault])

    @rule(
        rates=RATES,
        share=st.sampled_from((1.0, 0.9, 0.5, 0.1)),
        bad_luck=BAD_LUCK,
        at_the_worst_moment=st.booleans(),
    )
    def trouble(self, rates: Rates, share: float, bad_luck: BadLuck, at_the_worst_moment: bool) -> None:
        """Faults last as long as the settings survive; then there is time for one renewal."""
        if at_the_worst_moment:
            self.wait_until_a_token_is_due()
        self.rates = rates
        self.plan(bad_luck)
        self.go_on(max(0.0, share * fault_budget(self.scenario)))
        self.calm(0)

    @rule()
    def outage(self) -> None:
        """An outage begins with the request that would have renewed the token; it is as long as it may be."""
        self.wait_until_a_token_is_due()
        longest = guaranteed_outage(self.scenario)
        provider, interval = self.world.provider, self.scenario.guarantee.schedule_interval
        outages = len(provider.outages)
        provider.go_down_instead_of_issuing(longest)
        while len(provider.outages) == outages:  # a provider may repeat its token for a while
            self.go_on(interval)
        self.go_on(longest + 3 * interval)
        self.calm(0)

    def wait_until_a_token_is_due(self) -> None:
        status = self.world.tenant.stored().token_status
        assert status is not None
        due = renewal_time(self.scenario.rotation, status)
        self.go_on(max(0.0, seconds_until(due, self.world.timeline.now())))

    @rule(
        rates=st.sampled_from((NO_FAULTS, Rates(endpoint=1), Rates(endpoint=0.5, aws=0.5))),
        bad_luck=BAD_LUCK,
        delays=st.lists(st.sampled_from((0.0, 0.0, 0.01, 0.1, 1.0, 45.0)), min_size=1, max_size=4),
    )
    def operators(self, rates: Rates, bad_luck: BadLuck, delays: list[float]) -> None:
        """Operators force rotations at about the same time, while faults occur."""
        self.rates = rates
        self.plan(bad_luck)
        for delay in delays:
            self.world.start_run(self.world.timeline.seconds + delay, force=True)
        self.go_on(2 * RUN_BUDGET_SECONDS)
        self.calm(0)

    @rule(share=st.floats(0, 1.5))
    def calm(self, share: float) -> None:
        """Once the faults stop and the leases of killed runs have expired, one run recovers everything."""
        self.rates = NO_FAULTS
        self.next_calls.clear()
        self.go_on(LEASE_SECONDS)
        began = self.world.timeline.now()
        self.world.start_run(self.world.timeline.seconds)
        self.go_on(RUN_BUDGET_SECONDS)
        assert is_healthy(self.world.tenant, due_at=began)  # later ones are for the next run
        self.go_on(3 * self.scenario.guarantee.schedule_interval + share * self.scenario.lifetime)

    @invariant()
    def nothing_unchecked_nothing_worse_and_one_renewal_at_a_time(self) -> None:
        assert self.world.violations == []

    @invariant()
    def no_consumer_presents_an_expired_token(self) -> None:
        token = self.world.tenant.stored_token
        assert token is not None
        assert token.expires_at > self.world.timeline.seconds
        assert self.world.consumers.expired_seconds == 0

    @invariant()
    def the_endpoint_is_not_flooded(self) -> None:
        assert not is_flooding(self.world)


class TestGuarantees(Guarantees.TestCase):  # type: ignore[valid-type, misc]
    settings = settings(
        max_examples=150,
        stateful_step_count=12,
        deadline=None,
        derandomize=True,  # every test run tries the same examples; `make soak` tries new ones
        suppress_health_check=list(HealthCheck),
    )
