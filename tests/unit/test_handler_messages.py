"""The Lambda function with messages of the workers' queue and with fakes."""

from __future__ import annotations

import json
from typing import Any

import pytest

import embedded_metrics
import fake_ports
from fake_ports import FakePorts, FakeWorkQueue
from rotator import bootstrap, handler
from rotator.config.environment import Settings
from rotator.errors import ParameterStoreError, SettingsError
from rotator.renewal.models import Parameter
from rotator.renewal.results import RotationFailed

NAMES = ("a", "b", "c")
WORKERS = Settings(rotation=None, rotations_path="/rotations", queue_url="https://queue", workers=2)


class Context:
    """Lambda's context with a remaining time of one minute."""

    aws_request_id = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.fixture
def queue() -> FakeWorkQueue:
    return FakeWorkQueue()


@pytest.fixture
def ports(queue: FakeWorkQueue, monkeypatch: pytest.MonkeyPatch) -> FakePorts:
    """The handler with fakes, workers and three rotations."""
    found = fake_ports.ports(fake_ports.Clock(bootstrap.utc_now()))
    for name in NAMES:
        text = json.dumps({"secret_id": "healthwise/client", "parameter_name": f"/{name}/token"})
        document = Parameter(value=text, version=1, type="String")
        found.parameters.parameters[f"/rotations/{name}"] = document
    rotator = bootstrap.Rotator(settings=WORKERS, ports=found, open_queue=lambda: queue)
    monkeypatch.setattr(handler, "_rotator", lambda: rotator)
    return found


def event(*bodies: Any) -> dict[str, Any]:
    """Return Lambda's event for messages with these bodies and the ids m-0, m-1, ..."""
    return {
        "Records": [
            {
                "messageId": f"m-{place}",
                "eventSource": "aws:sqs",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1"},
            }
            for place, body in enumerate(bodies)
        ]
    }


def handle(given: dict[str, Any]) -> list[str]:
    """Return the messages to be delivered again."""
    answer = handler.lambda_handler(given, Context())
    assert answer.keys() == {"batchItemFailures"}
    assert all(each.keys() == {"itemIdentifier"} for each in answer["batchItemFailures"])
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def asking_for(*names: str) -> dict[str, Any]:
    return {"rotations": list(names)}


def test_worker_rotates_only_rotations_in_its_messages(ports: FakePorts, queue: FakeWorkQueue) -> None:
    assert handle(event(asking_for("a"), asking_for("c"))) == []
    assert {"/a/token", "/c/token"} <= ports.parameters.parameters.keys()
    assert "/b/token" not in ports.parameters.parameters
    assert queue.calls == [], "a worker hands nothing over, or the work would go round in a circle"


def test_served_rotations_are_fresh_in_next_scheduled_run(ports: FakePorts, queue: FakeWorkQueue) -> None:
    assert handler.lambda_handler({}, Context())["busy"] == 3
    assert handle(event(*queue.messages)) == []
    assert handler.lambda_handler({}, Context())["fresh"] == 3
    assert len(ports.token_endpoint.requests) == 3


def test_duplicate_messages_cause_one_token_request(ports: FakePorts) -> None:
    assert handle(event(asking_for("a"), asking_for("a"), asking_for("a", "a"))) == []
    assert handle(event(asking_for("a"))) == []
    assert len(ports.token_endpoint.requests) == 1


def test_only_messages_of_failed_rotations_are_batch_failures(ports: FakePorts) -> None:
    ports.parameters.parameters["/rotations/b"] = Parameter(
        value=json.dumps({"secret_id": "other", "parameter_name": "/b/token"}), version=2, type="String"
    )
    assert handle(event(asking_for("a"), asking_for("b"), asking_for("c"), asking_for("b", "c"))) == [
        "m-1",
        "m-3",
    ]
    assert {"/a/token", "/c/token"} <= ports.parameters.parameters.keys()


@pytest.mark.parametrize(
    "poison",
    [
        "",
        "{",
        "[]",
        {"rotations": []},
        asking_for("a") | {"force": True},
        asking_for("missing"),
        asking_for("../a"),
    ],
)
def test_invalid_message_is_batch_failure_and_rest_are_served(poison: Any, ports: FakePorts) -> None:
    assert handle(event(asking_for("a"), poison, asking_for("c"))) == ["m-1"]
    assert {"/a/token", "/c/token"} <= ports.parameters.parameters.keys()


def test_batch_of_invalid_messages_returns_all_as_failures(ports: FakePorts) -> None:
    assert handle(event("{", "", "null")) == ["m-0", "m-1", "m-2"]
    assert ports.parameters.writes == []


def test_failed_parameter_read_fails_the_whole_batch(ports: FakePorts) -> None:
    ports.parameters.fails["read"] = ParameterStoreError("denied", advice="allow it")
    with pytest.raises(ParameterStoreError):
        handler.lambda_handler(event(asking_for("a")), Context())


def test_worker_reports_outcomes_but_no_shortest_token_lifetime(
    ports: FakePorts, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="rotator"):
        handle(event(asking_for("a"), asking_for("b"), "{"))
    (reported,) = embedded_metrics.read(capsys.readouterr().out)
    assert reported.metrics["Rotated"] == 2
    assert "TokenSecondsRemaining" not in reported.metrics
    assert "rotation a: rotated" in caplog.text
    assert "message m-2: it is not a JSON object with the names of 1 to 10 rotations; " in caplog.text


def test_enqueuing_run_emits_shortest_token_lifetime(
    ports: FakePorts, capsys: pytest.CaptureFixture[str]
) -> None:
    handle(event(*map(asking_for, NAMES)))
    capsys.readouterr()
    handler.lambda_handler({}, Context())
    assert embedded_metrics.read(capsys.readouterr().out)[0].metrics["TokenSecondsRemaining"] > 86_000


def test_operator_event_is_served_without_enqueuing(ports: FakePorts, queue: FakeWorkQueue) -> None:
    assert handler.lambda_handler(asking_for("a"), Context())["rotated"] == 1
    assert handler.lambda_handler({"force": True}, Context())["rotated"] == 3
    assert handler.lambda_handler({"dry_run": True}, Context())["dry_run"] is True
    assert queue.calls == []


def test_run_with_broken_document_enqueues_rest_then_raises(ports: FakePorts, queue: FakeWorkQueue) -> None:
    ports.parameters.parameters["/rotations/b"] = Parameter(value="{", version=2, type="String")
    with pytest.raises(RotationFailed, match="1 of 3 rotations failed"):
        handler.lambda_handler({}, Context())
    assert len(queue.messages) == 2


def test_function_without_queue_setting_serves_messages(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = Settings(rotation=None, rotations_path="/rotations")
    monkeypatch.setattr(handler, "_rotator", lambda: bootstrap.Rotator(settings=alone, ports=ports))
    assert handle(event(asking_for("a"), asking_for("missing"))) == ["m-1"]
    assert {name for name in ports.parameters.writes if name.endswith("token")} == {"/a/token"}


def test_messages_can_name_the_single_configured_rotation(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = Settings(rotation=fake_ports.rotation())
    monkeypatch.setattr(handler, "_rotator", lambda: bootstrap.Rotator(settings=alone, ports=ports))
    assert handle(event(asking_for("default"), asking_for("a"))) == ["m-1"]
    assert "/healthwise/token" in ports.parameters.writes


def test_records_from_another_event_source_are_rejected(ports: FakePorts) -> None:
    given = event(asking_for("a"))
    given["Records"][0]["eventSource"] = "aws:s3"
    with pytest.raises(SettingsError, match="unknown key 'Records'"):
        handler.lambda_handler(given, Context())
    assert ports.parameters.writes == []
