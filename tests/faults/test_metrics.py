"""The function's metrics of failing AWS calls and token requests, with the real adapters."""

from __future__ import annotations

from typing import Any

import pytest

import embedded_metrics
from faults.proxy import Microburst
from faults.world import FaultySystem
from rotator.adapters.runtime import aws_client

SDK_ATTEMPTS: int = aws_client.CONFIG.retries["total_max_attempts"]  # type: ignore[attr-defined]
WRITE = {"service": "ssm", "operation": "PutParameter"}
READ = {"service": "ssm", "operation": "GetParameters"}
THROTTLED = {"error": {"code": "ThrottlingException"}}
FAILING = {"error": {"code": "InternalServerError", "status": 500}}


def run_once(world: FaultySystem, outcome: str = "rotated") -> dict[str, float]:
    """Run the function and return its metrics; its output contains no secret."""
    assert world.run_once().outcome == outcome
    out, err = world.printed()
    world.leaks.hear("stdout", out)
    world.leaks.hear("stderr", err)
    assert world.leaked() == []
    (line,) = embedded_metrics.read(out)
    return line.metrics


def counts(metrics: dict[str, float]) -> tuple[float | None, ...]:
    """Token requests, their attempts, throttled writes."""
    names = ("TokenRequests", "TokenRequestAttempts", "ThrottledWrites")
    return tuple(metrics.get(name) for name in names)


def test_renewal_counts_one_token_request_and_fresh_run_none(world: FaultySystem) -> None:
    assert counts(run_once(world)) == (1, 1, None)
    assert counts(run_once(world, "fresh")) == (None, None, None)


def test_attempts_metric_equals_requests_at_the_endpoint(world: FaultySystem) -> None:
    world.api.misbehaviour.plan(*[{"status": 503}] * 2)
    assert counts(run_once(world)) == (1, 3, None)
    assert world.api.misbehaviour.token_requests == 3


def test_outage_metrics_have_the_error_kind_and_every_attempt(world: FaultySystem) -> None:
    world.api.misbehaviour.plan(*[{"status": 503}] * 100)
    metrics = run_once(world, "failed")
    attempts = world.api.misbehaviour.token_requests
    assert attempts > 2
    assert counts(metrics) == (1, attempts, None)
    assert (metrics["TokenEndpointUnavailable"], metrics["FailedLate"]) == (1, 1)


def test_token_probe_is_not_counted_as_a_token_request(
    world: FaultySystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROTATOR_VERIFY_URL", f"{world.api.address}/topics")
    assert counts(run_once(world)) == (1, 1, None)


@pytest.mark.parametrize("times", [1, 2])
def test_throttled_writes_retried_by_the_sdk_are_counted(
    world: FaultySystem, faults: Microburst, times: int
) -> None:
    faults.break_({**WRITE, **THROTTLED, "times": times})
    assert counts(run_once(world)) == (1, 1, times)
    assert faults.broken() == times
    assert counts(run_once(world, "fresh")) == (None, None, None)


def test_run_failed_by_throttled_writes_counts_them(world: FaultySystem, faults: Microburst) -> None:
    faults.break_({**WRITE, **THROTTLED})
    metrics = run_once(world, "failed")
    assert counts(metrics) == (None, None, SDK_ATTEMPTS)
    assert metrics["ParameterStoreError"] == 1


@pytest.mark.parametrize(
    "rule", [{**READ, **THROTTLED}, {**WRITE, **FAILING}], ids=["throttled read", "failing write"]
)
def test_other_faults_are_not_counted_as_throttled_writes(
    world: FaultySystem, faults: Microburst, rule: dict[str, Any]
) -> None:
    faults.break_({**rule, "times": 1})
    assert counts(run_once(world)) == (1, 1, None)
    assert faults.broken() == 1
