"""What the function tells CloudWatch of its troubles with AWS and the endpoint, on real parts."""

from __future__ import annotations

from typing import Any

import pytest

import embedded_metrics
from faults.proxy import Microburst
from faults.world import World
from rotator.adapters.runtime import aws_client

SDK_ATTEMPTS: int = aws_client.CONFIG.retries["total_max_attempts"]  # type: ignore[attr-defined]
WRITE = {"service": "ssm", "operation": "PutParameter"}
READ = {"service": "ssm", "operation": "GetParameters"}
THROTTLED = {"error": {"code": "ThrottlingException"}}
FAILING = {"error": {"code": "InternalServerError", "status": 500}}


def tick(world: World, outcome: str = "rotated") -> dict[str, float]:
    """Run the function and return its metrics; nothing that it said tells a secret."""
    assert world.tick().outcome == outcome
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


def test_renewal_counts_one_token_request_and_fresh_run_none(world: World) -> None:
    assert counts(tick(world)) == (1, 1, None)
    assert counts(tick(world, "fresh")) == (None, None, None)


def test_attempts_metric_equals_requests_at_the_endpoint(world: World) -> None:
    world.api.misbehaviour.plan(*[{"status": 503}] * 2)
    assert counts(tick(world)) == (1, 3, None)
    assert world.api.misbehaviour.token_requests == 3


def test_outage_metrics_have_the_error_kind_and_every_attempt(world: World) -> None:
    world.api.misbehaviour.plan(*[{"status": 503}] * 100)
    metrics = tick(world, "failed")
    attempts = world.api.misbehaviour.token_requests
    assert attempts > 2
    assert counts(metrics) == (1, attempts, None)
    assert (metrics["TokenEndpointUnavailable"], metrics["FailedLate"]) == (1, 1)


def test_token_probe_is_not_counted_as_a_token_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTATOR_VERIFY_URL", f"{world.api.address}/topics")
    assert counts(tick(world)) == (1, 1, None)


@pytest.mark.parametrize("times", [1, 2])
def test_throttled_writes_retried_by_the_sdk_are_counted(
    world: World, faults: Microburst, times: int
) -> None:
    faults.break_({**WRITE, **THROTTLED, "times": times})
    assert counts(tick(world)) == (1, 1, times)
    assert faults.broken() == times
    assert counts(tick(world, "fresh")) == (None, None, None)


def test_run_failed_by_throttled_writes_counts_them(world: World, faults: Microburst) -> None:
    faults.break_({**WRITE, **THROTTLED})
    metrics = tick(world, "failed")
    assert counts(metrics) == (None, None, SDK_ATTEMPTS)
    assert metrics["ParameterStoreError"] == 1


@pytest.mark.parametrize(
    "rule", [{**READ, **THROTTLED}, {**WRITE, **FAILING}], ids=["throttled read", "failing write"]
)
def test_other_faults_are_not_counted_as_throttled_writes(
    world: World, faults: Microburst, rule: dict[str, Any]
) -> None:
    faults.break_({**rule, "times": 1})
    assert counts(tick(world)) == (1, 1, None)
    assert faults.broken() == 1
