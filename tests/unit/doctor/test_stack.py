"""What the doctor finds of the deployment: its stack, its schedule, and the last run."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from doctor_patient import (
    BROKEN,
    FUNCTION,
    LOG,
    OUTPUTS,
    POISONED,
    SCHEDULE,
    TOPIC,
    WORK,
    Patient,
    healthy,
    run_ended,
    summary,
    with_topic,
    with_workers,
)
from fake_ports import START
from rotator.config.deployment import EventSourceMapping, LogEvent, Stack
from rotator.doctor.check import State
from rotator.renewal.guarantee import Guarantee


def scheduled(**changes: Any) -> Patient:
    patient = healthy()
    patient.inspector.schedules["schedules", "run"] = replace(SCHEDULE, **changes)
    return patient


def logged(*events: LogEvent, **changes: Any) -> Patient:
    patient = healthy(**changes)
    patient.inspector.logs[LOG] = list(events)
    return patient


# Which stack.


def test_stack_of_the_parameter_is_found_among_all_stacks() -> None:
    found = healthy().examine()["schedule"].found
    assert found == "run of the stack rotator is enabled, rate(5 minutes)"


def test_unknown_stack_skips_checks_and_advises_stack_option() -> None:
    patient = healthy()
    patient.inspector.all_stacks = [Stack(name="a", outputs={**OUTPUTS, "ParameterName": "/another"})]
    findings = patient.examine()
    assert (findings.failed, findings.skipped) == (set(), {"schedule", "alarms", "last run"})
    assert "name the stack with --stack" in findings["schedule"].found


def test_stack_without_schedule_fails_only_when_named() -> None:
    patient = healthy()
    consumer = Stack(name="consumer", outputs={"ParameterName": "/healthwise/token"})
    patient.inspector.all_stacks.append(consumer)
    assert patient.examine()["schedule"].state is State.OK
    named = patient.examine(stack="consumer")["schedule"]
    assert (named.state, named.found) == (State.FAILED, "the stack consumer has no schedule")


def test_two_stacks_with_one_parameter_fail_unless_one_is_named() -> None:
    patient = healthy()
    patient.inspector.all_stacks.append(Stack(name="twin", outputs=OUTPUTS))
    check = patient.examine()["schedule"]
    assert (check.state, check.found) == (
        State.FAILED,
        "several stacks have the output ParameterName=/healthwise/token: rotator, twin",
    )
    assert patient.examine(stack="twin").failed == set()


def test_stack_of_multiple_rotations_is_found_by_path() -> None:
    patient = healthy(path="/rotations")
    assert "schedule" in patient.examine().skipped
    outputs = {**OUTPUTS, "RotationsPath": "/rotations"}
    patient.inspector.all_stacks.append(Stack(name="many", outputs=outputs))
    assert "of the stack many" in patient.examine()["schedule"].found


def test_stack_is_found_by_its_path_without_readable_rotation() -> None:
    patient = Patient(rotations=(), path="/rotations")
    patient.inspector.all_stacks = [Stack(name="many", outputs={**OUTPUTS, "RotationsPath": "/rotations"})]
    assert "of the stack many" in patient.examine()["schedule"].found


def test_missing_named_stack_fails_schedule_check() -> None:
    missing = healthy().examine(stack="missing")
    assert (missing.failed, missing.skipped) == ({"schedule"}, {"alarms", "last run"})


def test_named_stack_is_checked_without_listing_stacks() -> None:
    patient = healthy()
    patient.inspector.fails["stacks"] = BROKEN
    assert patient.examine(stack="rotator").failed == set()
    findings = patient.examine()
    assert (findings.failed, findings.skipped) == ({"schedule"}, {"alarms", "last run"})


# The schedule.


def test_schedule_of_stack_without_group_is_in_the_default_group() -> None:
    patient = healthy()
    outputs = {name: value for name, value in OUTPUTS.items() if name != "ScheduleGroupName"}
    patient.inspector.all_stacks = [Stack(name="rotator", outputs=outputs)]
    assert patient.examine().failed == {"schedule"}
    patient.inspector.schedules = {("default", "run"): SCHEDULE}
    assert patient.examine().failed == set()


@pytest.mark.parametrize(
    ("changes", "found", "advice"),
    [
        ({"enabled": False}, "run is disabled", "deploy the stack with ScheduleState=ENABLED"),
        ({"expression": "rate(1 minute)"}, "is 5 min", "or deploy with another ScheduleMinutes"),
        ({"expression": "rate(5 hours)"}, "is 5 min", "set ROTATOR_SCHEDULE_INTERVAL to the schedule's"),
        (
            {"target": "arn:aws:lambda:us-east-1:1:function:other"},
            "does not invoke",
            "`make undeploy`, then `make deploy`",
        ),
        (
            {"target": "arn:aws:sqs:us-east-1:1:queue"},
            "does not invoke",
            "`make undeploy`, then `make deploy`",
        ),
    ],
)
def test_misconfigured_schedule_fails_only_schedule_check(
    changes: dict[str, Any], found: str, advice: str
) -> None:
    findings = scheduled(**changes).examine()
    assert (findings.failed, findings.skipped, findings.code) == ({"schedule"}, set(), 1)
    assert found in findings["schedule"].found
    assert advice in (findings["schedule"].advice or "")


@pytest.mark.parametrize(
    ("expression", "interval"),
    [("rate(1 minute)", 60), ("rate(2 hours)", 7200), ("rate(1 day)", 86400), ("cron(0 * * * ? *)", 300)],
)
def test_schedule_with_matching_rate_or_any_cron_passes(expression: str, interval: float) -> None:
    patient = scheduled(expression=expression)
    patient.guarantee = Guarantee(schedule_interval=interval)
    assert patient.examine()["schedule"].state is State.OK


def test_missing_schedule_fails_only_schedule_check() -> None:
    patient = healthy()
    patient.inspector.schedules.clear()
    assert patient.examine().failed == {"schedule"}


# The alarms.


@pytest.mark.parametrize(
    ("subscriptions", "found"),
    [
        ([True], "confirmed subscriptions: 1"),
        ([True, False, True], "confirmed subscriptions: 2; not confirmed: 1"),
    ],
)
def test_alarms_with_a_confirmed_subscription_pass(subscriptions: list[bool], found: str) -> None:
    check = with_topic(*subscriptions).examine()["alarms"]
    assert (check.state, check.found) == (State.OK, found)


@pytest.mark.parametrize(
    ("subscriptions", "found", "advice"),
    [
        ([], "no subscription", f"aws sns subscribe --topic-arn {TOPIC}"),
        ([False], "is confirmed", "confirm the subscription in the mail from SNS"),
    ],
    ids=["none", "pending"],
)
def test_alarms_without_confirmed_subscription_fail(
    subscriptions: list[bool], found: str, advice: str
) -> None:
    findings = with_topic(*subscriptions).examine()
    assert (findings.failed, findings.skipped, findings.code) == ({"alarms"}, set(), 1)
    assert found in findings["alarms"].found
    assert advice in (findings["alarms"].advice or "")


def test_unlisted_subscriptions_fail_only_alarms_check() -> None:
    patient = with_topic(True)
    patient.inspector.fails["subscriptions"] = BROKEN
    assert patient.examine().failed == {"alarms"}


def test_alarms_of_stack_without_topic_are_reported_unheard() -> None:
    patient = healthy()
    outputs = {name: value for name, value in OUTPUTS.items() if name != "AlarmTopicArn"}
    patient.inspector.all_stacks = [Stack(name="rotator", outputs=outputs)]
    findings = patient.examine()
    assert (findings.skipped, findings.code) == ({"alarms"}, 0)
    assert findings["alarms"].found.startswith("alarms do not notify anyone: deploy with AlarmEmail")


# The workers.


def test_workers_check_runs_only_for_stack_with_workers() -> None:
    assert "workers" not in {check.name for check in healthy().examine().checks}
    check = with_workers(waiting=3).examine()["workers"]
    assert (check.state, check.found) == (State.OK, "2 workers; queued rotations: 3")


def test_dead_lettered_messages_are_shown_and_check_passes() -> None:
    check = with_workers(failed=1).examine()["workers"]
    assert check.state is State.OK
    assert check.found.endswith("messages dead-lettered in the last four days: 1, see PoisonedQueueUrl")


@pytest.mark.parametrize("state", ["Disabled", "Disabling", "Deleting"])
def test_disabled_workers_fail_with_command_that_enables_them(state: str) -> None:
    patient = with_workers(waiting=40)
    patient.inspector.takers[FUNCTION, WORK] = EventSourceMapping(
        id="an-id", state=state, maximum_concurrency=2
    )
    findings = patient.examine()
    assert (findings.failed, findings.skipped, findings.code) == ({"workers"}, set(), 1)
    assert f"is {state}); queued rotations: 40" in findings["workers"].found
    assert (
        findings["workers"].advice
        == "enable them: aws lambda update-event-source-mapping --uuid an-id --enabled"
    )


@pytest.mark.parametrize("state", ["Enabled", "Enabling", "Creating", "Updating"])
def test_active_or_pending_workers_are_shown_as_working(state: str) -> None:
    patient = with_workers()
    patient.inspector.takers[FUNCTION, WORK] = EventSourceMapping(
        id="an-id", state=state, maximum_concurrency=None
    )
    assert patient.examine()["workers"].found == "any number of workers; queued rotations: 0"


def test_queue_without_workers_gives_deploy_advice() -> None:
    patient = with_workers(waiting=7)
    patient.inspector.takers.clear()
    check = patient.examine()["workers"]
    assert check.found == "no worker receives the queued rotations: 7 in the queue"
    assert "`make deploy`" in (check.advice or "")


@pytest.mark.parametrize("queue", [WORK, POISONED])
def test_missing_queue_fails_workers_check_with_its_name(queue: str) -> None:
    patient = with_workers()
    del patient.inspector.queues[queue]
    check = patient.examine()["workers"]
    name = queue.rpartition("/")[2]
    assert (check.state, check.found) == (State.FAILED, f"the queue {name} does not exist")


@pytest.mark.parametrize("method", ["messages", "taker"])
def test_unreadable_workers_fail_only_workers_check(method: str) -> None:
    patient = with_workers()
    patient.inspector.fails[method] = BROKEN
    findings = patient.examine()
    assert (findings.failed, findings.skipped) == ({"workers"}, set())


# The last run.


def test_last_run_is_shown_with_its_outcomes() -> None:
    reported = {**summary(), "rotated": 2, "busy": 1}
    assert logged(run_ended(reported)).examine()["last run"].found == "2 min ago: 2 rotated, 1 fresh, 1 busy"


@pytest.mark.parametrize("before", ["", "INFO ", "[INFO]\t2026-11-24T06:00:00.000Z\tid\t"])
def test_last_run_is_read_from_plain_text_log(before: str) -> None:
    event = LogEvent(at=START, message=f"{before}run ended: {json.dumps(summary())}\n")
    assert logged(event).examine()["last run"].found == "0 s ago: 1 fresh"


def test_failed_run_fails_last_run_check_with_its_error() -> None:
    check = logged(run_ended(summary("down; wait"))).examine()["last run"]
    assert check.state is State.FAILED
    assert check.found == "2 min ago, 1 of 1 rotations failed: default: down; wait"
    assert check.advice == "fix the cause, then run `rotator rotate --function ...`"


@pytest.mark.parametrize("events", [(), (run_ended(summary("AccessDeniedException; allow it")),)])
def test_failed_or_missing_run_names_the_permissions_boundary(events: tuple[LogEvent, ...]) -> None:
    patient, boundary = logged(*events), "arn:aws:iam::123456789012:policy/boundary"
    parameters = {"PermissionsBoundaryArn": boundary}
    patient.inspector.all_stacks = [Stack(name="rotator", outputs=OUTPUTS, parameters=parameters)]
    check = patient.examine()["last run"]
    assert check.state is State.FAILED
    assert (check.advice or "").endswith(
        f"; add a denied permission to the permissions boundary {boundary}, too"
    )


def test_run_with_120_failures_lists_ten_and_counts_the_rest() -> None:
    reported = {**summary(*["down; wait"] * 30), "failed": 120, "fresh": 880, "not_listed": 970}
    found = logged(run_ended(reported)).examine()["last run"].found
    assert found.startswith("2 min ago, 120 of 1000 rotations failed: default: down; wait | ")
    assert found.endswith("| and 110 more")


def test_only_the_newest_run_counts() -> None:
    events = (run_ended(summary(), minutes_ago=1), run_ended(summary("down; wait"), minutes_ago=6))
    assert logged(*events).examine().failed == set()
    assert logged(*reversed(events)).examine().failed == set()


@pytest.mark.parametrize(("minutes_ago", "well"), [(15, True), (15.1, False)])
def test_run_older_than_three_intervals_fails_check(minutes_ago: float, well: bool) -> None:
    check = logged(run_ended(summary(), minutes_ago=minutes_ago)).examine()["last run"]
    assert (check.state is State.OK) is well
    if not well:
        assert (check.found, check.advice) == (
            "no run in the last 15 min",
            "check the schedule, then the log /rotator/rotator",
        )


def test_disabled_schedule_skips_last_run_check() -> None:
    patient = scheduled(enabled=False)
    patient.inspector.logs[LOG] = []
    findings = patient.examine()
    assert (findings.failed, findings.skipped) == ({"schedule"}, {"last run"})


@pytest.mark.parametrize("level", ["WARNING", "ERROR"])
def test_log_level_above_info_reports_only_failed_runs(level: str) -> None:
    findings = logged(log_level=level).examine()
    assert (findings.failed, findings.skipped) == (set(), {"last run"})
    assert "last run" in logged(run_ended(summary("down; wait")), log_level=level).examine().failed


@pytest.mark.parametrize(
    "message",
    [
        "run ended: ",
        "run ended: {",
        "run ended: []",
        "run ended: {}",
        'run ended: {"rotations": 1}',
        'run ended: {"rotations": ["x"]}',
        '{"message": 1, "x": "run ended"}',
        '{"message": "run ended: null"}',
        '{"message": "run ended", "summary": null}',
        '{"message": "run ended", "summary": {"rotations": ["x"]}}',
        '["run ended: "]',
        "1 run ended",
    ],
)
def test_unreadable_run_summary_skips_last_run_check(message: str) -> None:
    findings = logged(LogEvent(at=START - timedelta(minutes=1), message=message)).examine()
    assert (findings.failed, findings.skipped) == (set(), {"last run"})
    assert findings["last run"].found == "the summary of the run 1 min ago cannot be read"


def test_unreadable_log_fails_only_last_run_check() -> None:
    patient = healthy()
    patient.inspector.fails["last_event"] = BROKEN
    assert patient.examine().failed == {"last run"}


def test_stack_without_log_output_skips_last_run_check() -> None:
    patient = healthy()
    outputs = {name: value for name, value in OUTPUTS.items() if name != "LogGroupName"}
    patient.inspector.all_stacks = [Stack(name="rotator", outputs=outputs)]
    assert patient.examine().skipped == {"last run"}
