"""The alarms reach the right state in time, with the metrics of the function's own log lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

import embedded_metrics
import fake_ports
from cloudwatch_alarms import Alarm, Sample
from fake_ports import Clock, FakePorts, rotation
from rotator import bootstrap, errors, handler
from rotator.config.environment import Settings
from rotator.errors import ParameterStoreError, RotatorError, SettingsError
from rotator.renewal.results import RotationFailed
from rotator.renewal.status import StatusNotWritten
from template import DOCUMENT, Stack

SECRET = {"SecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:healthwise/client-AbCdEf"}
STACK = Stack(SECRET)
FUNCTION = "<Function>"
INTERVAL = 300
HOUR = 3600
UNAVAILABLE = (503, {"retry_after": "3600"})


class Context:
    """Lambda's context, with a minute left."""

    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@dataclass
class Watched:
    """The function in virtual time, and its alarms, which read what it prints."""

    clock: Clock
    ports: FakePorts
    read_output: Callable[[], str]
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    history: list[tuple[str, str, float]] = field(default_factory=list)

    def run_once(self) -> None:
        """Let the function run once, CloudWatch read its output, and the alarms be evaluated."""
        with suppress(RotationFailed, SettingsError):
            handler.lambda_handler({}, Context())
        for reported in embedded_metrics.read(self.read_output()):
            assert reported.dimensions == {"service": FUNCTION}
            for name, value in reported.metrics.items():
                self.samples.setdefault(name, []).append(Sample(self.seconds, value))

    @property
    def seconds(self) -> float:
        return self.clock.now().timestamp()

    def live(self, seconds: float, *, running: bool = True) -> None:
        """Let this much time pass, with or without a run every five minutes."""
        for _ in range(round(seconds / INTERVAL)):
            if running:
                self.run_once()
            self.clock.sleep(INTERVAL)
            self.evaluate()

    def evaluate(self) -> None:
        for name, properties in alarms().items():
            before = self.states.get(name, "INSUFFICIENT_DATA")
            state = Alarm(properties).state(
                self.samples.get(properties["MetricName"], []), self.seconds, before
            )
            if state != before:
                self.history.append((name, state, self.seconds))
            self.states[name] = state

    def calls(self, since: float = 0) -> list[str]:
        """The alarms that went off since then, in order."""
        return [name for name, state, time in self.history if state == "ALARM" and time >= since]

    def went_off(self, name: str) -> float:
        """When an alarm last went off."""
        return max(time for each, state, time in self.history if (each, state) == (name, "ALARM"))


def alarms(stack: Stack = STACK) -> dict[str, dict[str, Any]]:
    """The alarms' properties by their logical names."""
    kinds = {name: resource["Type"] for name, resource in DOCUMENT["Resources"].items()}
    return {n: p for n, p in stack.resources.items() if kinds[n] == "AWS::CloudWatch::Alarm"}


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Watched:
    """A function that has run well for an hour, and whose alarms are quiet."""
    clock = Clock()
    ports = fake_ports.ports(clock)
    rotator = bootstrap.Rotator(settings=Settings(rotation=rotation()), ports=ports)
    monkeypatch.setattr(handler, "_rotator", lambda: rotator)
    monkeypatch.setattr(bootstrap, "utc_now", clock.now)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", FUNCTION)
    watched = Watched(clock, ports, lambda: capsys.readouterr().out)
    watched.live(HOUR)
    assert set(watched.states.values()) == {"OK"}
    return watched


def token_ends(watched: Watched) -> float:
    """When the stored token ends."""
    return datetime.fromisoformat(watched.ports.parameters.status()["expires_at"]).timestamp()


def test_no_alarm_while_renewals_succeed(watched: Watched) -> None:
    watched.live(3 * 24 * HOUR)
    assert len(watched.ports.token_endpoint.requests) >= 4
    assert watched.calls() == []


def test_outage_raises_alarms_at_half_the_window_and_near_expiry(watched: Watched) -> None:
    watched.ports.token_endpoint.answers.extend([UNAVAILABLE] * 1000)
    end = token_ends(watched)
    watched.live(end - watched.seconds)
    assert watched.calls() == ["FailingLate", "TokenEndsSoon"]
    early, late = (end - watched.went_off(name) for name in ("FailingLate", "TokenEndsSoon"))
    assert 3.8 * HOUR < early < 4.2 * HOUR
    assert 1.7 * HOUR < late < 2 * HOUR


def test_early_failures_raise_no_alarm(watched: Watched) -> None:
    watched.ports.token_endpoint.answers.extend([UNAVAILABLE] * 30)
    watched.live(20 * HOUR)
    assert sum(sample.value for sample in watched.samples["FailedEarly"]) == 30
    assert watched.calls() == []


def test_alarms_clear_after_the_outage(watched: Watched) -> None:
    watched.ports.token_endpoint.answers.extend([UNAVAILABLE] * 1000)
    watched.live(token_ends(watched) - watched.seconds)
    watched.ports.token_endpoint.answers.clear()
    watched.live(HOUR)
    assert {watched.states[name] for name in ("FailingLate", "TokenEndsSoon")} == {"OK"}


def test_stopped_job_raises_an_alarm_within_five_periods(watched: Watched) -> None:
    stopped = watched.seconds
    watched.live(2 * HOUR, running=False)
    assert watched.calls() == ["TokenEndsSoon"]
    assert watched.went_off("TokenEndsSoon") - stopped <= 5 * INTERVAL


def test_runs_that_cannot_read_the_state_raise_alarms(watched: Watched) -> None:
    watched.ports.parameters.fails["read"] = ParameterStoreError("denied", advice="allow it")
    watched.live(HOUR)
    assert sorted(watched.calls()) == ["FailingLate", "TokenEndsSoon"]


def test_runs_that_fail_before_any_output_raise_an_alarm(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> bootstrap.Rotator:
        raise SettingsError("ROTATOR_RENEW_AT is 2", advice="it takes a fraction")

    monkeypatch.setattr(handler, "_rotator", broken)
    watched.live(HOUR)
    assert watched.calls() == ["TokenEndsSoon"]


def test_runs_slipping_into_the_next_period_raise_no_alarm(watched: Watched) -> None:
    for slip in (-1, 1, -1, 1, -1, 1, -1, 1):
        watched.clock.sleep(INTERVAL + slip)
        watched.run_once()
        watched.evaluate()
    assert watched.calls() == []


def test_failing_late_alarm_holds_until_a_successful_run(watched: Watched) -> None:
    watched.samples["FailedLate"] = [Sample(watched.seconds - INTERVAL, 1)]
    watched.evaluate()
    watched.live(HOUR, running=False)
    assert watched.states["FailingLate"] == "ALARM"
    watched.live(3 * INTERVAL)
    assert watched.states["FailingLate"] == "OK"


def test_throttled_writes_raise_an_alarm_only_when_repeated(watched: Watched) -> None:
    watched.samples["ThrottledWrites"] = [Sample(watched.seconds - INTERVAL, 3)]
    watched.live(2 * HOUR)
    assert watched.calls() == []
    for _ in range(2):
        watched.samples["ThrottledWrites"].append(Sample(watched.seconds, 1))
        watched.live(2 * INTERVAL)
    assert watched.calls() == ["WritesThrottled"]


def test_undelivered_events_raise_an_alarm_only_when_repeated() -> None:
    alarm = Alarm(alarms()["Undelivered"])
    assert alarm.state([], 3000) == "OK"
    assert alarm.state([Sample(2700, 1)], 3000) == "OK"
    assert alarm.state([Sample(2100, 1), Sample(2700, 1)], 3000) == "ALARM"
    assert alarm.state([Sample(2100, 1), Sample(2700, 1)], 4500) == "OK", "without the queue being emptied"


def test_replicas_behind_raise_an_alarm_only_when_repeated() -> None:
    assert "ReplicasBehind" not in alarms()
    alarm = Alarm(alarms(Stack({**SECRET, "ReplicaRegions": "eu-west-1"}))["ReplicasBehind"])
    assert alarm.state([], 3000) == "OK"
    assert alarm.state([Sample(2700, 1)], 3000) == "OK"
    assert alarm.state([Sample(2100, 2), Sample(2700, 1)], 3000) == "ALARM"
    assert alarm.state([Sample(2100, 2), Sample(2700, 1)], 4500) == "OK"


def test_stop_before_a_renewal_alarms_seven_hours_before_expiry(watched: Watched) -> None:
    status = watched.ports.parameters.status()
    due = datetime.fromisoformat(status["renew_at"]).timestamp()
    watched.live(due - watched.seconds - INTERVAL)
    watched.live(2 * HOUR, running=False)
    assert token_ends(watched) - watched.went_off("TokenEndsSoon") > 7 * HOUR


# What they are called, and whom they call.


def test_alarms_have_the_expected_evaluation_periods() -> None:
    assert {name: (a["EvaluationPeriods"], a.get("DatapointsToAlarm")) for name, a in alarms().items()} == {
        "TokenEndsSoon": (2, 2),
        "FailingLate": (1, None),
        "Undelivered": (3, 2),
        "WritesThrottled": (12, 2),
    }
    replicas = alarms(Stack({**SECRET, "ReplicaRegions": "eu-west-1"}))["ReplicasBehind"]
    assert (replicas["EvaluationPeriods"], replicas["DatapointsToAlarm"]) == (3, 2)


def test_each_alarm_watches_this_stacks_function_or_queue() -> None:
    ours = [("Rotator", name, "service", FUNCTION) for name in ("TokenSecondsRemaining", "FailedLate")]
    queue = ("AWS/SQS", "NumberOfMessagesSent", "QueueName", "<DeadLetterQueue.QueueName>")
    watched = [*ours, queue, ("Rotator", "ThrottledWrites", "service", FUNCTION)]
    found = []
    for alarm in alarms().values():
        [dimension] = alarm["Dimensions"]
        found.append((alarm["Namespace"], alarm["MetricName"], dimension["Name"], dimension["Value"]))
    assert found == watched


@pytest.mark.parametrize(
    ("given", "topic"),
    [
        pytest.param({}, None, id="no topic"),
        pytest.param({"AlarmEmail": "on-call@example.com"}, "<AlarmTopic>", id="an address"),
        pytest.param(
            {"AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:on-call"},
            "arn:aws:sns:eu-central-1:123456789012:on-call",
            id="a topic",
        ),
    ],
)
def test_alarm_and_ok_actions_use_the_configured_topic(given: dict[str, str], topic: str | None) -> None:
    for alarm in alarms(Stack({**SECRET, "ReplicaRegions": "eu-west-1", **given})).values():
        reported = [topic] if topic else None
        assert (alarm.get("AlarmActions"), alarm.get("OKActions")) == (reported, reported)


@pytest.mark.parametrize("minutes", DOCUMENT["Parameters"]["ScheduleMinutes"]["AllowedValues"])
def test_alarm_period_contains_a_run_and_is_valid_in_cloudwatch(minutes: int) -> None:
    period = DOCUMENT["Mappings"]["Periods"][str(minutes)]["Seconds"]
    assert period >= minutes * 60
    assert period % 60 == 0
    found = alarms(Stack({**SECRET, "ScheduleMinutes": str(minutes), "ReplicaRegions": "eu-west-1"}))
    assert all(alarm["Period"] * alarm["EvaluationPeriods"] <= 24 * HOUR for alarm in found.values())


# The dashboard.

BODY = json.loads(STACK.resources["Dashboard"]["DashboardBody"])


def widget(title: str) -> dict[str, Any]:
    [found] = [each["properties"] for each in BODY["widgets"] if each["properties"]["title"] == title]
    return dict(found)


def test_dashboard_shows_token_lifetime_with_alarm_threshold() -> None:
    shown = widget("Remaining lifetime of the stored tokens")
    [least, [names]] = shown["metrics"]
    assert least[:4] == ["Rotator", "TokenSecondsRemaining", "service", FUNCTION]
    by_name = f'{{Rotator,rotation,service}} MetricName="TokenSecondsRemaining" service="{FUNCTION}"'
    assert names["expression"] == f"SEARCH('{by_name}', 'Minimum', 300)"
    lines = {line["label"]: line["value"] for line in shown["annotations"]["horizontal"]}
    assert lines["threshold of token-ends-soon"] == alarms()["TokenEndsSoon"]["Threshold"]
    assert lines["time that consumers cache a token"] == 300


def test_dashboard_shows_every_error_kind_and_rollover() -> None:
    kinds = {
        kind.__name__
        for kind in (*vars(errors).values(), StatusNotWritten)
        if isinstance(kind, type)
        and issubclass(kind, RotatorError)
        and not issubclass(kind, errors.TokenUnavailable | errors.CommandNotRun)  # nothing of a run's
    }
    rollovers = {"RotatedWithPending", "RotatedWithPrevious"}
    assert {metric[1] for metric in widget("Errors by kind")["metrics"]} == kinds | rollovers


def test_dashboard_shows_outcomes_durations_and_requests() -> None:
    outcomes = ["Rotated", "Kept", "Busy", "FailedEarly", "FailedLate"]
    assert [metric[1] for metric in widget("Outcomes")["metrics"]] == outcomes
    assert {metric[1] for metric in widget("Durations")["metrics"]} == {"Duration"}
    requests = {metric[1] for metric in widget("Requests")["metrics"]}
    assert {"TokenRequests", "TokenRequestAttempts", "ThrottledWrites", "Invocations"} <= requests


def test_dashboard_shows_runs_that_lambda_throttled_or_dropped() -> None:
    """Scheduler invokes asynchronously, so Lambda accepts these and no queue of ours sees them in time.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    shown = widget("Requests")["metrics"]
    at = [metric[1] for metric in shown].index("Invocations")
    assert shown[at][:4] == ["AWS/Lambda", "Invocations", "FunctionName", "."]
    assert [metric[:4] for metric in shown[at + 1 : at + 5]] == [
        [".", "Throttles", ".", "."],
        [".", "AsyncEventsDropped", ".", "."],
        ["AWS/Scheduler", "InvocationAttemptCount", "ScheduleGroup", "<ScheduleGroup>"],
        [".", "InvocationDroppedCount", ".", "."],
    ]


def test_dashboard_widgets_fit_the_width_without_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for each in BODY["widgets"]:
        cells = {(each["x"] + x, each["y"] + y) for x in range(each["width"]) for y in range(each["height"])}
        assert not taken & cells, each["properties"]["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
