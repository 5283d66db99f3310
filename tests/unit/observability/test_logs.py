"""The metrics and the log of a run, as CloudWatch reads them."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

import embedded_metrics
from fake_ports import START
from rotator import errors
from rotator.oauth.models import Stage
from rotator.observability import logs, metrics
from rotator.renewal.models import Outcome, Result, Summary
from rotator.renewal.results import NO_TIME_LEFT
from rotator.workers.dispatch import ENQUEUED

HOUR = 3600
NOTHING_USED: Counter[str] = Counter()
NEXT_TRY = START + timedelta(minutes=5)


def expiring_in(name: str, hours: float, outcome: Outcome = Outcome.FRESH, **changes: Any) -> Result:
    """Return the result of a rotation whose stored token expires in some hours."""
    return Result(name=name, outcome=outcome, expires_at=START + timedelta(hours=hours), **changes)


def failed(name: str, kind: str = "CredentialsError", **changes: Any) -> Result:
    """Return the result of a late failure, with a token of unknown lifetime."""
    base: dict[str, Any] = {"error": "a problem; an advice", "late": True, "next_try": NEXT_TRY}
    return Result(name=name, outcome=Outcome.FAILED, error_kind=kind, **{**base, **changes})


def fleet_of(count: int) -> list[Result]:
    """Return rotations r0, r1, ...; the token of the first expires in one hour, of the second in two, ..."""
    return [expiring_in(f"r{number}", number + 1) for number in range(count)]


@pytest.fixture
def reported(capsys: pytest.CaptureFixture[str]) -> Any:
    """Record the metrics of a run, and return them as CloudWatch reads them."""

    def emit(
        results: Sequence[Result], counts: Counter[str] = NOTHING_USED, duration: float = 0.0, **changes: Any
    ) -> list[embedded_metrics.Emitted]:
        summary = Summary(results=tuple(results), **changes)
        metrics.record_metrics(summary, START, service="rotator-x", duration=duration, counts=counts)
        return embedded_metrics.read(capsys.readouterr().out)

    return emit


# Metrics.


def test_metrics_have_the_service_dimension(reported: Any) -> None:
    (line,) = reported([expiring_in("a", 1)])
    assert line.dimensions == {"service": "rotator-x"}


def test_every_metric_has_its_unit(reported: Any) -> None:
    counts = Counter(TokenRequests=1, TokenRequestAttempts=1, ThrottledWrites=1)
    (line,) = reported([expiring_in("a", 1)], counts, 0.25)
    assert line.units == {
        **dict.fromkeys(("Rotated", "Kept", "Busy", "FailedEarly", "FailedLate"), "Count"),
        **dict.fromkeys(("TokenRequests", "TokenRequestAttempts", "ThrottledWrites"), "Count"),
        "Duration": "Milliseconds",
        "TokenSecondsRemaining": "Seconds",
    }


def test_duration_metric_is_in_milliseconds(reported: Any) -> None:
    (line,) = reported([expiring_in("a", 1)], duration=1.2344)
    assert line.metrics["Duration"] == 1234


def test_usage_counts_become_metrics(reported: Any) -> None:
    counts = Counter(TokenRequests=2, TokenRequestAttempts=5, ThrottledWrites=3)
    (line,) = reported([expiring_in("a", 1)], counts)
    names = ("TokenRequests", "TokenRequestAttempts", "ThrottledWrites")
    assert [line.metrics[name] for name in names] == [2, 5, 3]


def test_zero_usage_and_error_counts_are_omitted(reported: Any) -> None:
    (line,) = reported([expiring_in("a", 1)])
    assert line.metrics.keys() == {
        *("Rotated", "Kept", "Busy", "FailedEarly", "FailedLate"),
        *("Duration", "TokenSecondsRemaining"),
    }


def test_failures_are_counted_by_their_kind(reported: Any) -> None:
    kinds = ("CredentialsError", "CredentialsError", "TokenEndpointUnavailable", "RotatorError")
    line, *_ = reported([failed(str(number), kind) for number, kind in enumerate(kinds)])
    counted = {name: line.metrics[name] for name in line.metrics if hasattr(errors, name)}
    assert counted == {"CredentialsError": 2, "TokenEndpointUnavailable": 1, "RotatorError": 1}


def test_published_tokens_of_other_secret_stages_are_counted(reported: Any) -> None:
    stages = (Stage.CURRENT, Stage.PENDING, Stage.PREVIOUS, Stage.PREVIOUS)
    results = [expiring_in(s, 1, Outcome.ROTATED, secret_stage=s) for s in stages]
    line, *_ = reported([*results, expiring_in("kept", 1, Outcome.KEPT, secret_stage=Stage.PENDING)])
    assert (line.metrics["RotatedWithPending"], line.metrics["RotatedWithPrevious"]) == (1, 2)
    assert (line.units["RotatedWithPending"], line.units["RotatedWithPrevious"]) == ("Count", "Count")


@pytest.mark.parametrize(("count", "by_name"), [(1, 0), (2, 2), (10, 10), (11, 0)])
def test_two_to_ten_rotations_have_metrics_by_name(reported: Any, count: int, by_name: int) -> None:
    whole, *named = reported(fleet_of(count))
    assert whole.metrics["TokenSecondsRemaining"] == HOUR
    assert [(line.dimensions, line.metrics, line.units) for line in named] == [
        (
            {"service": "rotator-x", "rotation": f"r{number}"},
            {"TokenSecondsRemaining": (number + 1) * HOUR},
            {"TokenSecondsRemaining": "Seconds"},
        )
        for number in range(by_name)
    ]


def test_metric_by_name_is_absent_if_unknown_or_zero_if_missing(
    reported: Any,
) -> None:
    whole, *named = reported([expiring_in("a", 2), failed("b"), failed("c", seconds_remaining=0)])
    assert whole.metrics["TokenSecondsRemaining"] == 0
    remaining = {line.dimensions["rotation"]: line.metrics["TokenSecondsRemaining"] for line in named}
    assert remaining == {"a": 2 * HOUR, "c": 0}


def test_expired_token_has_zero_lifetime_metric_by_name(reported: Any) -> None:
    _, named, _ = reported([expiring_in("a", -3), expiring_in("b", 3)])
    assert named.metrics == {"TokenSecondsRemaining": 0}


def test_run_that_omits_rotations_emits_no_shortest_lifetime(reported: Any) -> None:
    whole, *named = reported([expiring_in("a", 20, Outcome.ROTATED)], other_rotations=2)
    assert "TokenSecondsRemaining" not in whole.metrics
    assert whole.metrics["Rotated"] == 1
    assert [(line.dimensions["rotation"], line.metrics["TokenSecondsRemaining"]) for line in named] == [
        ("a", 20 * HOUR)
    ]


def test_few_results_of_a_large_fleet_have_no_metrics_by_name(reported: Any) -> None:
    (whole,) = reported(fleet_of(3), other_rotations=8)
    assert "TokenSecondsRemaining" not in whole.metrics


def test_dry_run_emits_no_metrics(reported: Any) -> None:
    assert reported(fleet_of(3), Counter(TokenRequests=1), dry_run=True) == []


# The log.


def logged(result: Result, caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """Return the line of a result as Lambda's runtime writes it, without the fields of every line."""
    runtime = pytest.importorskip("awslambdaric.lambda_runtime_log_utils")  # for Linux only
    caplog.set_level(logging.INFO, logger="rotator")
    logs.log_summary(Summary(results=(result,)), START)
    line: dict[str, Any] = json.loads(runtime.JsonFormatter().format(caplog.records[0]))
    return {name: value for name, value in line.items() if name not in ("timestamp", "logger", "requestId")}


def test_successful_outcome_logs_only_its_lifetime_fields(caplog: pytest.LogCaptureFixture) -> None:
    assert logged(expiring_in("a", 2, Outcome.ROTATED), caplog) == {
        "level": "INFO",
        "message": "rotation a: rotated, valid until 2026-11-24T08:00:00Z",
        "event": "outcome",
        "rotation": "a",
        "outcome": "rotated",
        "expires_at": "2026-11-24T08:00:00Z",
        "seconds_remaining": 2 * HOUR,
    }


def test_token_of_another_secret_stage_logs_the_stage(caplog: pytest.LogCaptureFixture) -> None:
    rolled = expiring_in("a", 2, Outcome.ROTATED, secret_stage=Stage.PREVIOUS)
    assert logged(rolled, caplog)["secret_stage"] == "AWSPREVIOUS"


def test_failure_logs_reason_kind_lifetime_and_next_try(
    caplog: pytest.LogCaptureFixture,
) -> None:
    result = failed("a", late=False, seconds_remaining=HOUR, expires_at=START + timedelta(hours=1))
    assert logged(result, caplog) == {
        "level": "WARNING",
        "message": (
            "rotation a: failed, valid until 2026-11-24T07:00:00Z (a problem; an advice; "
            "the stored token is valid for another 1 h, next attempt by 2026-11-24T06:05:00Z)"
        ),
        "event": "outcome",
        "rotation": "a",
        "outcome": "failed",
        "reason": "a problem; an advice",
        "error_kind": "CredentialsError",
        "late": False,
        "expires_at": "2026-11-24T07:00:00Z",
        "seconds_remaining": HOUR,
        "next_try": "2026-11-24T06:05:00Z",
    }


def test_failure_of_unknown_lifetime_logs_no_seconds_remaining(caplog: pytest.LogCaptureFixture) -> None:
    line = logged(failed("a"), caplog)
    assert (line["level"], line["late"]) == ("ERROR", True)
    assert not {"expires_at", "seconds_remaining"} & line.keys()


@pytest.mark.parametrize("seconds", [0, -HOUR])
def test_failure_with_expired_token_logs_seconds_remaining(
    seconds: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert logged(failed("a", seconds_remaining=seconds), caplog)["seconds_remaining"] == seconds


def test_kept_token_logs_reason_and_lateness(caplog: pytest.LogCaptureFixture) -> None:
    line = logged(expiring_in("a", 0.5, Outcome.KEPT, reason="it expires no later", late=True), caplog)
    assert (line["level"], line["reason"], line["late"]) == ("INFO", "it expires no later", True)


def test_logged_seconds_remaining_are_rounded_down(caplog: pytest.LogCaptureFixture) -> None:
    result = Result(name="a", outcome=Outcome.FRESH, expires_at=START + timedelta(seconds=9.9))
    assert logged(result, caplog)["seconds_remaining"] == 9


def test_returned_summary_has_no_error_kind_or_omitted_count() -> None:
    summary = Summary(results=(failed("a"),), other_rotations=3)
    reported = summary.to_dict()
    assert "other_rotations" not in reported
    assert reported["rotations"][0].keys() == {
        *("name", "outcome", "expires_at", "parameter_version", "error"),
        *("late", "seconds_remaining", "next_try"),
    }


def test_reason_of_busy_result_survives_json_round_trip() -> None:
    results = tuple(
        Result(name=reason, outcome=Outcome.BUSY, reason=reason) for reason in (ENQUEUED, NO_TIME_LEFT)
    )
    reported = Summary(results=results).to_dict()
    assert [each["note"] for each in reported["rotations"]] == [ENQUEUED, NO_TIME_LEFT]
    assert Summary.from_dict(json.loads(json.dumps(reported))).results == results


# The log of more than ten rotations is shortened.


def whole_log(caplog: pytest.LogCaptureFixture, *results: Result) -> tuple[list[str], dict[str, Any]]:
    """Return the rotations with a line of their own, and the summary."""
    with caplog.at_level(logging.DEBUG):
        logs.log_summary(Summary(results=results), START)
    lines = [record.rotation for record in caplog.records if hasattr(record, "rotation")]
    [whole] = [record.summary for record in caplog.records if hasattr(record, "summary")]
    words, _, text = caplog.messages[-1].partition(": ")
    assert (words, json.loads(text)) == (logs.SUMMARY_WORDS, whole)
    return lines, whole


def test_ten_rotations_are_all_logged_and_listed(caplog: pytest.LogCaptureFixture) -> None:
    lines, whole = whole_log(caplog, *fleet_of(10))
    assert len(lines) == len(whole["rotations"]) == 10
    assert "not_listed" not in whole


def test_fresh_rotations_of_a_large_fleet_are_only_counted(caplog: pytest.LogCaptureFixture) -> None:
    lines, whole = whole_log(caplog, *fleet_of(10), failed("broken"), expiring_in("new", 24, Outcome.ROTATED))
    assert lines == ["broken", "new"]
    assert [each["name"] for each in whole["rotations"]] == ["broken", "new"]
    assert (whole["fresh"], whole["failed"], whole["not_listed"]) == (10, 1, 10)


def test_run_log_line_fits_the_cloudwatch_event_limit(caplog: pytest.LogCaptureFixture) -> None:
    """The limit is 262,144 bytes: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html"""
    rotated = [expiring_in(f"rotated{number}", 24, Outcome.ROTATED) for number in range(5000)]
    broken = [failed(f"broken{number}", error="a problem; " + 400 * "x") for number in range(5000)]
    lines, whole = whole_log(caplog, *rotated, *broken)
    assert len(lines) == 10_000
    assert 2 * len(json.dumps(whole)) < 262_144, "the line has it as text and as a field"
    assert {each["outcome"] for each in whole["rotations"]} == {"failed"}
    assert whole["not_listed"] == 9_900
