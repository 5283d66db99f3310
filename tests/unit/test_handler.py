"""The Lambda function with fakes: it reads events, returns summaries and raises failures."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

import embedded_metrics
import fake_ports
from fake_ports import CANARY_SECRET, CANARY_TOKEN, FakePorts, rotation
from rotator import bootstrap, handler
from rotator.config.environment import Settings
from rotator.errors import ParameterStoreError, SettingsError
from rotator.oauth.models import Stage
from rotator.renewal.deadline import Deadline
from rotator.renewal.results import RotationFailed


class Context:
    """Lambda's context with a remaining time of one minute."""

    aws_request_id = "request-1"
    remaining = 60_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> FakePorts:
    """The handler with fakes whose endpoint uses the time of the machine."""
    found = fake_ports.ports(fake_ports.Clock(bootstrap.utc_now()))
    rotator = bootstrap.Rotator(settings=Settings(rotation=rotation()), ports=found)
    monkeypatch.setattr(handler, "_rotator", lambda: rotator)
    return found


SCHEDULED_EVENTS = {
    "an empty event": {},
    "Scheduler's own event": {
        "version": "0",
        "source": "aws.scheduler",
        "detail-type": "Scheduled Event",
        "detail": "{}",
    },
    "EventBridge's event": {
        "version": "0",
        "source": "aws.events",
        "detail-type": "Scheduled Event",
        "region": "x",
    },
}


@pytest.mark.parametrize("event", SCHEDULED_EVENTS.values(), ids=SCHEDULED_EVENTS.keys())
def test_schedule_event_starts_plain_scheduled_run(event: dict[str, Any], ports: FakePorts) -> None:
    assert handler.lambda_handler(event, Context())["rotated"] == 1
    assert handler.lambda_handler(event, Context())["fresh"] == 1


def test_an_event_may_force_a_rotation_by_name(ports: FakePorts) -> None:
    handler.lambda_handler({}, Context())
    summary = handler.lambda_handler({"rotations": ["default"], "force": True}, Context())
    assert summary["rotations"][0]["parameter_version"] == 2


def test_an_event_may_ask_for_a_dry_run(ports: FakePorts) -> None:
    assert handler.lambda_handler({"dry_run": True}, Context())["dry_run"] is True
    assert ports.parameters.parameters == {}


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        pytest.param(None, "is a NoneType", id="nothing"),
        pytest.param([], "is a list", id="a list"),
        pytest.param("run", "is a str", id="text"),
        pytest.param({"forced": True}, "unknown key 'forced'", id="unknown key"),
        pytest.param({"source": "aws.s3", "detail-type": "x"}, "unknown key", id="another service's event"),
        pytest.param({"parameter_name": "/evil"}, "unknown key 'parameter_name'", id="a place for the token"),
        pytest.param(
            {"token_endpoint": "https://evil"}, "unknown key 'token_endpoint'", id="a place for the secret"
        ),
        pytest.param({"rotations": "default"}, "not a list of names", id="text as names"),
        pytest.param({"rotations": [1]}, "not a list of names", id="a number as a name"),
        pytest.param({"rotations": []}, "is empty", id="no names"),
        pytest.param({"rotations": ["other"]}, "no rotation named 'other'", id="unknown name"),
        pytest.param({"force": "true"}, "force in the event is not true or false", id="text as force"),
        pytest.param({"dry_run": 1}, "dry_run in the event is not true or false", id="number as dry_run"),
    ],
)
def test_invalid_event_is_rejected_and_writes_nothing(event: Any, problem: str, ports: FakePorts) -> None:
    with pytest.raises(SettingsError, match=problem):
        handler.lambda_handler(event, Context())
    assert ports.parameters.parameters == {}


def test_failed_run_logs_summary_then_raises(ports: FakePorts, caplog: pytest.LogCaptureFixture) -> None:
    ports.secrets.credentials.clear()
    with caplog.at_level(logging.INFO, logger="rotator"), pytest.raises(RotationFailed) as caught:
        handler.lambda_handler({}, Context())
    assert caught.value.summary.failed
    assert '"failed": 1' in caplog.text
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_failure_with_valid_stored_token_is_logged_as_warning(
    ports: FakePorts, caplog: pytest.LogCaptureFixture
) -> None:
    handler.lambda_handler({}, Context())
    ports.secrets.credentials.clear()
    with caplog.at_level(logging.WARNING, logger="rotator"), pytest.raises(RotationFailed):
        handler.lambda_handler({"force": True}, Context())
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "next attempt by" in caplog.text


def metrics(printed: str) -> dict[str, float]:
    """Return the metrics in a run's output, which has one line of them for a single rotation."""
    (line,) = embedded_metrics.read(printed)
    return line.metrics


def test_a_run_prints_its_metrics_for_cloudwatch(
    ports: FakePorts, capsys: pytest.CaptureFixture[str]
) -> None:
    handler.lambda_handler({}, Context())
    reported = metrics(capsys.readouterr().out)
    assert 86390 < reported.pop("TokenSecondsRemaining") <= 86400
    assert 0 <= reported.pop("Duration") < 10_000
    assert reported == {
        "Rotated": 1,
        "Kept": 0,
        "Busy": 0,
        "FailedEarly": 0,
        "FailedLate": 0,
    }


def test_use_of_previous_secret_is_reported_in_every_output(
    ports: FakePorts, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    ports.secrets.stage(Stage.PREVIOUS, "canary-previous")
    ports.token_endpoint.answers.append((401, {"error": "invalid_client"}))
    summary = handler.lambda_handler({}, Context())
    (warning,) = summary["warnings"]
    assert warning.startswith(
        "rotation default: the token endpoint refused the client with AWSCURRENT and accepted AWSPREVIOUS; "
    )
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [warning]
    assert summary["rotations"][0]["secret_stage"] == "AWSPREVIOUS"
    assert ports.parameters.status()["secret_stage"] == "AWSPREVIOUS"
    printed = capsys.readouterr()
    assert metrics(printed.out)["RotatedWithPrevious"] == 1
    said = f"{summary} {printed} {caplog.text}"
    assert not [s for s in (CANARY_SECRET, CANARY_TOKEN, "canary-previous") if s in said]


def test_metrics_distinguish_early_from_late_failures(
    ports: FakePorts, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler.lambda_handler({}, Context())
    capsys.readouterr()
    ports.secrets.credentials.clear()
    now = bootstrap.utc_now()
    reported = []
    for hours in (18, 23, 25):
        monkeypatch.setattr(bootstrap, "utc_now", lambda hours=hours: now + timedelta(hours=hours))
        with pytest.raises(RotationFailed):
            handler.lambda_handler({}, Context())
        found = metrics(capsys.readouterr().out)
        reported.append(
            (found["FailedEarly"], found["FailedLate"], round(found["TokenSecondsRemaining"] / 3600))
        )
    assert reported == [(1, 0, 6), (0, 1, 1), (0, 1, 0)]


def test_missing_token_counts_as_expired_in_metrics(
    ports: FakePorts, capsys: pytest.CaptureFixture[str]
) -> None:
    ports.secrets.credentials.clear()
    with pytest.raises(RotationFailed):
        handler.lambda_handler({}, Context())
    reported = metrics(capsys.readouterr().out)
    assert (reported["FailedLate"], reported["TokenSecondsRemaining"]) == (1, 0)


def test_failed_parameter_read_omits_remaining_lifetime_metric(
    ports: FakePorts, capsys: pytest.CaptureFixture[str]
) -> None:
    handler.lambda_handler({}, Context())
    capsys.readouterr()
    ports.parameters.fails["read"] = ParameterStoreError("throttled", advice="wait")
    with pytest.raises(RotationFailed):
        handler.lambda_handler({}, Context())
    reported = metrics(capsys.readouterr().out)
    assert 0 <= reported.pop("Duration") < 10_000
    assert reported == {
        "Rotated": 0,
        "Kept": 0,
        "Busy": 0,
        "FailedEarly": 0,
        "FailedLate": 1,
        "ParameterStoreError": 1,
    }


def test_usage_metrics_count_only_the_current_run(
    ports: FakePorts, capsys: pytest.CaptureFixture[str]
) -> None:
    counters = handler._rotator().counters
    counters.add(token_requests=10, token_request_attempts=20, throttled_writes=30)

    def use(_name: str) -> None:
        counters.add(token_requests=1, token_request_attempts=2, throttled_writes=4)

    ports.parameters.before_write = use
    for writes in (3, 0):  # the second run finds the token fresh
        handler.lambda_handler({}, Context())
        reported = metrics(capsys.readouterr().out)
        counted = [
            reported.get(name, 0) for name in ("TokenRequests", "TokenRequestAttempts", "ThrottledWrites")
        ]
        assert counted == [writes, 2 * writes, 4 * writes]


def test_duration_metric_uses_monotonic_clock(
    ports: FakePorts, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [100.0]
    monkeypatch.setattr(handler, "time", SimpleNamespace(monotonic=lambda: seconds[0]))

    def work(_name: str) -> None:
        seconds[0] += 0.5
        monkeypatch.setattr(bootstrap, "utc_now", lambda: fake_ports.START)

    ports.parameters.before_write = work
    handler.lambda_handler({}, Context())
    assert metrics(capsys.readouterr().out)["Duration"] == 1500


@pytest.mark.parametrize(
    ("variable", "service"), [("rotator-prod", "rotator-prod"), ("", "rotator"), (None, "rotator")]
)
def test_metrics_service_dimension_is_function_name(
    ports: FakePorts,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
    service: str,
) -> None:
    if variable is not None:
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", variable)
    handler.lambda_handler({}, Context())
    (line,) = embedded_metrics.read(capsys.readouterr().out)
    assert line.dimensions == {"service": service}


def test_event_for_a_subset_emits_no_shortest_token_lifetime(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = fake_ports.ports(fake_ports.Clock(bootstrap.utc_now()))
    for name in "ab":
        document = json.dumps({"secret_id": "healthwise/client", "parameter_name": f"/{name}/token"})
        ports.parameters.put(f"/rotations/{name}", document, "String")
    rotator = bootstrap.Rotator(settings=Settings(rotation=None, rotations_path="/rotations"), ports=ports)
    monkeypatch.setattr(handler, "_rotator", lambda: rotator)
    reported = []
    for event in ({}, {"rotations": ["b"]}, {"rotations": ["b", "a"]}):
        handler.lambda_handler(event, Context())
        whole, *named = embedded_metrics.read(capsys.readouterr().out)
        reported.append(
            ("TokenSecondsRemaining" in whole.metrics, [line.dimensions["rotation"] for line in named])
        )
    assert reported == [(True, ["a", "b"]), (False, ["b"]), (True, ["a", "b"])]


@pytest.mark.parametrize("event", [{"unknown": 1}, {"rotations": ["other"]}])
def test_a_refused_run_prints_no_metrics(
    event: dict[str, Any], ports: FakePorts, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SettingsError):
        handler.lambda_handler(event, Context())
    assert embedded_metrics.read(capsys.readouterr().out) == []


def test_a_dry_run_prints_no_metrics(ports: FakePorts, capsys: pytest.CaptureFixture[str]) -> None:
    handler.lambda_handler({"dry_run": True}, Context())
    assert "_aws" not in capsys.readouterr().out


def test_runs_with_same_request_id_have_different_run_ids() -> None:
    first, second = bootstrap.begin_run("request-1"), bootstrap.begin_run("request-1")
    assert first.id != second.id
    assert first.id.startswith("request-1/")


def test_time_for_requests_reserves_time_for_writes() -> None:
    run = bootstrap.begin_run("x", Deadline(lambda: 60.0))
    assert (run.request_deadline.remaining(), run.budget) == (50.0, 60.0)
    short = bootstrap.begin_run("x", Deadline(lambda: 8.0))
    assert short.request_deadline.remaining() == 6.0


def test_neither_log_nor_metrics_nor_summary_holds_a_secret(
    ports: FakePorts, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        summary = handler.lambda_handler({"force": True}, Context())
    everything = caplog.text + repr([vars(record) for record in caplog.records])
    everything += capsys.readouterr().out + repr(summary)
    assert CANARY_SECRET not in everything
    assert CANARY_TOKEN not in everything


def test_missing_setting_is_named_in_the_error() -> None:
    with pytest.raises(SettingsError, match="ROTATOR_SECRET_ID is not set"):
        handler.lambda_handler({}, Context())
