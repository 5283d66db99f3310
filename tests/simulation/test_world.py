"""The simulated world: the effects of its faults, and that it notices violations."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from rotator.oauth.models import Secret
from rotator.renewal import lease
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.lease import HeldLease
from rotator.renewal.models import Rotation, Stored
from rotator.renewal.policy import RUN_BUDGET_SECONDS, TokenState
from rotator.renewal.ports import ParameterStore, Run
from rotator.simulation.calls import Fault
from rotator.simulation.scenario import DAY, NO_FAULTS, Behaviour, Rates, Scenario
from rotator.simulation.world import World
from soak.health import expect_valid_token, is_healthy, token_state
from soak.random_scenarios import LEASE_SECONDS

HOUR = 3600.0


def world(**changes: Any) -> World:
    """A world with a fresh token and without a schedule."""
    made = World(replace(Scenario(), **changes))
    run_once(made)
    assert token_state(made.tenant) is TokenState.FRESH
    return made


def run_once(of: World, *plan: Fault | None, force: bool = False) -> None:
    """One run, with what goes wrong at each of its calls, to its end; after them, nothing does."""
    of.next_fault = partial(next, iter(plan), None)
    of.start_run(of.timeline.seconds, force=force)
    of.timeline.run_until(of.timeline.seconds + RUN_BUDGET_SECONDS)
    of.next_fault = lambda: None


def later(of: World, seconds: float) -> None:
    of.timeline.run_until(of.timeline.seconds + seconds)


# Faults.

CALLS = ["check", "read", "lease", "read secret", "token request", "write token", "write status"]
FORCED_CALLS = [*CALLS[:3], "make due", *CALLS[3:]]


@pytest.mark.parametrize(
    ("force", "nth"),
    [
        *(pytest.param(False, nth, id=f"due-{call}") for nth, call in enumerate(CALLS)),
        *(pytest.param(True, nth, id=f"forced-{call}") for nth, call in enumerate(FORCED_CALLS)),
    ],
)
@pytest.mark.parametrize("behaviour", Behaviour)
@pytest.mark.parametrize("fault", Fault)
def test_next_run_recovers_from_a_fault_at_any_call(
    fault: Fault, nth: int, behaviour: Behaviour, force: bool
) -> None:
    made = world(behaviour=behaviour)
    later(made, 0.5 * DAY if force else 0.9 * DAY)
    run_once(made, *[None] * nth, fault, force=force)
    later(made, LEASE_SECONDS)
    run_once(made)
    assert is_healthy(made.tenant)
    assert made.violations == []


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("nth", range(7), ids=CALLS)
def test_next_run_recovers_from_a_fault_at_the_first_token(fault: Fault, nth: int) -> None:
    made = World(Scenario())
    run_once(made, *[None] * nth, fault)
    later(made, LEASE_SECONDS)
    run_once(made)
    assert is_healthy(made.tenant)


@pytest.mark.parametrize("gap", [0.0, 0.01, 0.04, 0.07, 0.1, 0.5, 1.0])
def test_runs_that_overlap_renew_once(gap: float) -> None:
    made = world()
    later(made, 0.9 * DAY)
    for number in range(4):
        made.start_run(made.timeline.seconds + number * gap)
    later(made, RUN_BUDGET_SECONDS)
    assert made.outcomes["rotated"] == 2  # the first token, and one renewal
    assert (made.provider.requests, made.violations) == (2, [])


def test_run_stops_within_its_time_budget() -> None:
    made = world(behaviour=Behaviour.STEADY)
    later(made, 0.9 * DAY)
    run_once(made, None, *[Fault.FAILED] * 50)
    assert made.timeline.seconds <= 0.9 * DAY + 2 * RUN_BUDGET_SECONDS
    assert made.outcomes["failed"] == 1


# Providers.


def test_revoked_token_is_published_only_for_seconds() -> None:
    made = world(behaviour=Behaviour.REVOKES_OLDER)
    for _ in range(5):
        later(made, 0.7 * DAY)
        run_once(made)
    assert made.outcomes["rotated"] == 6
    assert 0 < made.consumers.revoked_seconds < 5
    assert is_healthy(made.tenant)


def test_repeated_token_is_kept_until_a_new_one_is_issued() -> None:
    made = world(behaviour=Behaviour.REPEATS)
    later(made, 0.7 * DAY)
    run_once(made)
    assert (made.outcomes["kept"], token_state(made.tenant)) == (1, TokenState.DUE)
    later(made, 0.1 * DAY)
    run_once(made)
    assert made.outcomes["rotated"] == 2


def test_a_forced_repetition_does_not_shrink_the_renewal_window() -> None:
    made = world(behaviour=Behaviour.REPEATS)
    before = made.tenant.stored().token_status
    later(made, 0.5 * DAY)
    run_once(made, force=True)
    after = made.tenant.stored().token_status
    assert before
    assert after
    assert (after.parameter_version, after.issued_at) == (2, before.issued_at)
    assert abs(after.renew_at - before.renew_at) <= timedelta(seconds=1)


@pytest.mark.parametrize("fault", [Fault.KILLED_BEFORE, Fault.KILLED_AFTER, Fault.LOST])
def test_lost_status_of_a_repeated_token_keeps_its_issue_time(fault: Fault) -> None:
    made = world(behaviour=Behaviour.REPEATS)
    before = made.tenant.stored().token_status
    later(made, 0.5 * DAY)
    run_once(made, *[None] * 6, fault, force=True)  # at the write of the token, or just after it
    later(made, LEASE_SECONDS)
    run_once(made)
    after = made.tenant.stored().token_status
    assert before
    assert after
    assert after.issued_at == before.issued_at


def test_varying_lifetimes_never_shorten_the_stored_token() -> None:
    base = Scenario()
    early = replace(base.rotation, renew_at=0.3)
    made = World(replace(base, rotation=early, behaviour=Behaviour.VARIES))
    made.start_schedule()
    made.timeline.run_until(30 * DAY)
    made.consumers.close(made.timeline.seconds)
    assert made.outcomes["kept"] > 0
    assert (made.consumers.expired_seconds, made.violations) == (0, [])


@pytest.mark.parametrize("skew", [-HOUR, -30, 30, HOUR])
def test_endpoint_clock_skew_causes_no_expired_token(skew: float) -> None:
    made = World(replace(Scenario(), clock_skew=skew))
    made.start_schedule()
    made.timeline.run_until(10 * DAY)
    made.consumers.close(made.timeline.seconds)
    assert (made.consumers.expired_seconds, made.violations) == (0, [])


def test_outage_starts_only_when_a_new_token_would_be_issued() -> None:
    made = world(behaviour=Behaviour.REPEATS)
    made.provider.go_down_instead_of_issuing(HOUR)
    later(made, 0.7 * DAY)
    run_once(made)
    assert (made.outcomes["kept"], made.provider.outages) == (1, [])
    later(made, 0.1 * DAY)
    run_once(made)
    assert len(made.provider.outages) == 1


def test_outage_planned_within_an_outage_does_not_extend_it() -> None:
    made = world()
    later(made, 0.7 * DAY)
    for _ in range(3):
        made.provider.go_down_instead_of_issuing(HOUR)
        run_once(made)
    assert len(made.provider.outages) == 1


# Scheduled runs.


def runs_of_a_day(rates: Rates) -> int:
    made = World(
        replace(Scenario(), rates=rates, guarantee=Guarantee(schedule_interval=300, consumer_cache=0))
    )
    made.start_schedule()
    made.timeline.run_until(DAY - 1)
    return made.runs


def test_scheduled_runs_follow_the_schedule() -> None:
    assert runs_of_a_day(NO_FAULTS) == 288


def test_scheduled_runs_may_be_missed_or_duplicated() -> None:
    assert 100 < runs_of_a_day(Rates(missed=0.5)) < 190
    assert runs_of_a_day(Rates(duplicated=1)) == 2 * 288


def test_late_runs_do_not_delay_later_runs() -> None:
    assert 287 <= runs_of_a_day(Rates(delay=250)) <= 288


# Leaks.


def test_failing_runs_log_no_secret_or_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="rotator")
    bad = Rates(endpoint=0.5, aws=0.2, crashes=0.05, duplicated=0.5)
    made = World(replace(Scenario(), rates=bad, lifetime=HOUR, behaviour=Behaviour.VARIES))
    secret = Secret("canary+/=")
    made.secrets.credentials["simulated"] = replace(
        made.secrets.credentials["simulated"], client_secret=secret
    )
    made.start_schedule()
    made.timeline.run_until(2 * DAY)
    assert made.failed_runs > 10
    assert len(made.provider.issued) > 10
    reported = f"{caplog.text} {[vars(record) for record in caplog.records]}"
    assert "attempt" in reported
    assert [text for text in (secret.value, *made.provider.issued) if text in reported] == []


# The world as a judge. A test that cannot fail would be worth nothing.


def test_token_that_was_never_issued_is_detected() -> None:
    made = world()
    made.tenant.publish(Secret("made up"))
    assert "never issued" in made.violations[0]


def test_token_expiring_earlier_is_detected() -> None:
    made = world()
    (good,) = made.provider.issued.values()
    made.provider.issued["worse"] = replace(good, expires_at=good.expires_at - HOUR)
    made.tenant.publish(Secret("worse"))
    assert "expires earlier" in made.violations[0]


def acquire_always(rotation: Rotation, stored: Stored, parameters: ParameterStore, run: Run) -> HeldLease:
    """A lease that excludes no other run."""
    until = run.now() + timedelta(seconds=61)
    return HeldLease(
        rotation=rotation, stored=stored, parameters=parameters, run=run, version=1, expires_at=until
    )


def test_concurrent_renewals_are_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world()
    later(made, 0.9 * DAY)
    monkeypatch.setattr(lease, "acquire", acquire_always)
    made.start_run(made.timeline.seconds)
    made.start_run(made.timeline.seconds)
    later(made, RUN_BUDGET_SECONDS)
    assert "two runs renewed at once" in made.violations[0]


def test_unforeseen_exception_is_reported_as_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world()
    later(made, 0.9 * DAY)
    monkeypatch.setattr(made.store, "write_token", {}.__getitem__)
    run_once(made)
    assert "the job has a defect: unexpected TypeError" in made.violations[0]


def test_failed_forced_run_does_not_excuse_an_earlier_expiry() -> None:
    made = world()
    run_once(made, *[None] * 6, Fault.FAILED, force=True)
    assert made.outcomes["failed"] == 1
    good = made.tenant.stored_token
    assert good
    made.provider.issued["worse"] = replace(good, expires_at=good.expires_at - HOUR)
    made.tenant.publish(Secret("worse"))
    assert "expires earlier" in made.violations[0]


def test_expired_token_that_was_not_renewed_is_detected() -> None:
    made = world()
    expect_valid_token(made.tenant)
    later(made, 1)
    assert made.violations == []
    later(made, 1.1 * DAY)
    expect_valid_token(made.tenant)
    later(made, 1)
    assert "expired, revoked or unknown" in made.violations[0]


def test_unfinished_renewal_counts_once_a_run_found_it_due() -> None:
    """A lease whose write was reported as failed stays behind; it is for the first run after the due time."""
    made = world()
    run_once(made, None, None, Fault.LOST, force=True)
    later(made, LEASE_SECONDS)
    fresh_at = made.timeline.now()
    assert is_healthy(made.tenant)
    later(made, 0.7 * DAY)
    assert token_state(made.tenant) is TokenState.DUE
    assert (is_healthy(made.tenant, due_at=fresh_at), is_healthy(made.tenant)) == (True, False)
    run_once(made)
    assert is_healthy(made.tenant)


def test_an_expired_token_is_not_healthy() -> None:
    made = world()
    assert is_healthy(made.tenant)
    later(made, 1.1 * DAY)
    assert not is_healthy(made.tenant)
