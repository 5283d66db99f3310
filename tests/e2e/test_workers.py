"""Scheduled runs, queue and workers on the embedded AWS: each due rotation is served once."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import embedded_metrics
from command_line import Shell
from deployed_stack import SECRET_NAME, Deployed, code_folder, less
from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.deployment import Account

NAMES = [f"tenant-{number:02}" for number in range(23)]
BROKEN = "tenant-broken"
"""Its secret holds no credentials."""

TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class Fleet:
    """A stack with workers, and what is known of it."""

    account: Account
    outputs: dict[str, str]
    reported: dict[str, Any]
    """The summary of its first scheduled run."""

    @property
    def poisoned(self) -> list[str]:
        """The bodies of all messages in the dead-letter queue, which stay there."""
        sqs, url, bodies = self.account.client("sqs"), self.outputs["PoisonedQueueUrl"], []
        while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=30).get(
            "Messages"
        ):
            bodies += [message["Body"] for message in found]
        return sorted(bodies)

    def count(self, queue: str) -> int:
        """Return the number of messages in a queue, also those that are being processed."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        sqs = self.account.client("sqs")
        counts = sqs.get_queue_attributes(QueueUrl=self.outputs[queue], AttributeNames=names)["Attributes"]
        return sum(map(int, counts.values()))

    def version(self, name: str) -> int:
        """The version of a rotation's token: how often one was published."""
        return int(
            self.account.client("ssm").get_parameter(Name=f"/healthwise/{name}/token")["Parameter"]["Version"]
        )


STRANGE = {
    "not JSON": "{",
    "not an object": '["tenant-00"]',
    "a rotation that is not there": '{"rotations": ["missing"]}',
    "a rotation by force": '{"rotations": ["tenant-00"], "force": true}',
}
"""What others may send."""


@pytest.fixture(scope="module")
def fleet(deployed: Deployed) -> Iterator[Fleet]:
    """A fleet of due rotations, its first scheduled run, and foreign messages among those of the run."""
    account, endpoint = deployed.account, f"{deployed.authorization_api}/oauth2/token"
    broken = account.client("secretsmanager").create_secret(Name="healthwise/broken", SecretString="{}")[
        "ARN"
    ]
    ssm, sqs = account.client("ssm"), account.client("sqs")
    for name in [*NAMES, BROKEN]:
        secret = broken if name == BROKEN else SECRET_NAME
        document = {
            "secret_id": secret,
            "parameter_name": f"/healthwise/{name}/token",
            "token_endpoint": endpoint,
        }
        ssm.put_parameter(Name=f"/rotator/rotations/{name}", Value=json.dumps(document), Type="String")
    settings = {"Workers": "2", "TimeoutSeconds": "10"}
    outputs = account.create_stack(deployed.multiple | settings, stack="fleet")
    mapping = _mapping(account, outputs, enabled=False)
    reported = account.invoke(outputs["FunctionName"], {})
    for body in [*STRANGE.values(), *[json.dumps({"rotations": NAMES[:2]})] * 5]:
        sqs.send_message(QueueUrl=outputs["WorkQueueUrl"], MessageBody=body)
    account.client("lambda").update_event_source_mapping(UUID=mapping, Enabled=True)
    found = Fleet(account, outputs, reported)
    until(lambda: found.count("WorkQueueUrl") == 0)
    yield found
    _mapping(account, outputs, enabled=False)


def _mapping(account: Account, outputs: dict[str, str], *, enabled: bool) -> str:
    """Turn the workers on or off."""
    client = account.client("lambda")
    (found,) = client.list_event_source_mappings(FunctionName=outputs["FunctionName"])["EventSourceMappings"]
    client.update_event_source_mapping(UUID=found["UUID"], Enabled=enabled)
    return str(found["UUID"])


def until(happened: Callable[[], bool]) -> None:
    """Wait for something that takes as long as messages stay invisible."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.5)


def test_scheduled_run_enqueues_due_rotations_and_renews_none(fleet: Fleet) -> None:
    assert (fleet.reported["busy"], fleet.reported["rotated"], fleet.reported["failed"]) == (
        len(NAMES) + 1,
        0,
        0,
    )


def test_workers_renew_repeated_requests_once(fleet: Fleet) -> None:
    assert {name: fleet.version(name) for name in NAMES} == dict.fromkeys(NAMES, 1)
    reported = embedded_metrics.read("\n".join(fleet.account.log_lines(fleet.outputs["LogGroupName"])))
    assert sum(line.metrics.get("TokenRequests", 0) for line in reported) == len(NAMES)


def test_failed_and_invalid_messages_are_dead_lettered(fleet: Fleet) -> None:
    assert fleet.poisoned == sorted([json.dumps({"rotations": [BROKEN]}), *STRANGE.values()])


def test_next_run_enqueues_only_rotations_still_due(fleet: Fleet) -> None:
    reported = fleet.account.invoke(fleet.outputs["FunctionName"], {})
    assert (reported["fresh"], reported["busy"]) == (len(NAMES), 1)


def doctor(fleet: Fleet, environment: Mapping[str, str]) -> dict[str, Any]:
    """What the doctor says of the workers."""
    shell = Shell({**environment, **client_environment(fleet.account.endpoint)}, fleet.account)
    done = shell.run("doctor", NAMES[0], "--stack", "fleet", "--no-token", "--json")
    (reported,) = [check for check in json.loads(done.stdout)["checks"] if check["check"] == "workers"]
    return dict(reported)


def test_doctor_reports_whether_workers_are_enabled(
    fleet: Fleet, clean_environment: Mapping[str, str]
) -> None:
    well = doctor(fleet, clean_environment)
    assert (well["state"], well["found"].partition(";")[0]) == ("ok", "2 workers")
    mapping = _mapping(fleet.account, fleet.outputs, enabled=False)
    turned_off = doctor(fleet, clean_environment)
    _mapping(fleet.account, fleet.outputs, enabled=True)
    assert (turned_off["state"], turned_off["rotation"]) == ("failed", None)
    assert turned_off["next_step"] == (
        f"enable them: aws lambda update-event-source-mapping --uuid {mapping} --enabled"
    )


@pytest.mark.usefixtures("fleet")
def test_processes_of_the_function_share_its_extracted_zip(function_zip: Path) -> None:
    shared = code_folder(function_zip) / sha256(function_zip.read_bytes()).hexdigest()
    with zipfile.ZipFile(function_zip) as archive:
        assert [name for name in archive.namelist() if not (shared / name).is_file()] == []


def test_function_names_a_missing_workers_permission(fleet: Fleet) -> None:
    function, outputs = fleet.outputs["FunctionName"], fleet.outputs
    message = {"messageId": "m", "eventSource": "aws:sqs", "body": json.dumps({"rotations": NAMES[:1]})}
    with less(fleet.account, outputs, "EnqueueWork"), pytest.raises(RuntimeError, match="sqs:SendMessage"):
        fleet.account.invoke(function, {})
    with (
        less(fleet.account, outputs, "ReadNamedRotations"),
        pytest.raises(RuntimeError, match="ssm:GetParameters "),
    ):
        fleet.account.invoke(function, {"Records": [message]})
    assert fleet.account.invoke(function, {"Records": [message]}) == {"batchItemFailures": []}


def test_operator_event_is_renewed_in_the_same_invocation(fleet: Fleet) -> None:
    reported = fleet.account.invoke(fleet.outputs["FunctionName"], {"rotations": NAMES[2:3], "force": True})
    assert reported["rotated"] == 1
    assert fleet.version(NAMES[2]) == 2
