"""Answers that are not AWS's: a proxy or a portal in between, to each call that is made of AWS."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from fake_ports import CANARY_TOKEN, rotation
from rotator.adapters.operator import lambda_invoke, stack_settings
from rotator.adapters.operator.document_store import SsmDocumentStore
from rotator.adapters.operator.inspector import AwsInspector
from rotator.adapters.runtime import aws_client
from rotator.adapters.runtime.parameter_store import SsmParameterStore
from rotator.adapters.runtime.secrets_manager import SecretsManager
from rotator.adapters.runtime.sqs import SqsWorkQueue
from rotator.consumer import ssm
from rotator.errors import ParameterStoreError, RotatorError, WorkNotSent
from rotator.oauth.models import Secret, Stage
from scripted_server import Peer, Serve, answer

ROTATION = rotation()
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/work"
SINCE = datetime(2026, 1, 1, tzinfo=UTC)

PAGE = b"<html><body>Please accept our terms.</body></html>"
ANSWERS: dict[str, tuple[int, bytes, str]] = {
    "a page": (200, PAGE, "text/html"),
    "a page that says it is JSON": (200, PAGE, "application/x-amz-json-1.1"),
    "a page that is no XML": (200, b"<html><p>Please", "text/html; charset=utf-8"),
    "nothing": (200, b"", "text/html"),
    "a list": (200, b"[]", "application/json"),
    "a text": (200, b'"' + CANARY_TOKEN.encode() + b'"', "application/json"),
    "another object": (200, b'{"Parameters": null, "Version": null}', "application/json"),
    "members of another type": (
        200,
        b'{"Parameters": [1], "Stacks": 2, "Version": []}',
        "application/json",
    ),
    "a parameter without a value": (
        200,
        b'{"Parameters": [{"Name": "/healthwise/token", "Version": 1, "Type": "String"}], "Version": null}',
        "application/json",
    ),
    "a page with 403": (403, PAGE, "text/html"),
    "nothing with 403": (403, b"", "text/html"),
    "a page with 407": (407, PAGE, "text/html"),
    "a page with 302": (302, PAGE, "text/html"),
}


@pytest.fixture(params=ANSWERS)
def peer(
    request: pytest.FixtureRequest, serve: Serve, access_key: None, monkeypatch: pytest.MonkeyPatch
) -> Peer:
    """What stands in AWS's place, and answers every call so."""
    status, body, kind = ANSWERS[request.param]
    made = serve(answer(status, body, Content_Type=kind))
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
    return made


def store() -> SsmParameterStore:
    return SsmParameterStore(aws_client.client("ssm"))


PARAMETERS: dict[str, Callable[[], Any]] = {
    "GetParameters": lambda: store().read(["/a", "/b"]),
    "GetParameters of versions": lambda: store().read_versions("/a", [1, 2]),
    "GetParametersByPath": lambda: list(store().read_path("/rotations")),
    "PutParameter of a token": lambda: store().write_token(ROTATION, Secret(CANARY_TOKEN)),
    "PutParameter of a status": lambda: store().write_status(ROTATION, "{}"),
    "PutParameter of a lease": lambda: store().create_lease(ROTATION, "{}"),
    "PutParameter of the next lease": lambda: store().write_lease(ROTATION, "{}"),
    "PutParameter of a document": lambda: SsmDocumentStore(aws_client.client("ssm")).write(
        "/a", "{}", overwrite=False
    ),
}
OTHERS: dict[str, Callable[[], Any]] = {
    "GetSecretValue": lambda: SecretsManager(aws_client.client("secretsmanager")).read(ROTATION),
    "GetSecretValue of a stage": lambda: SecretsManager(aws_client.client("secretsmanager")).read_stage(
        ROTATION, Stage.PENDING
    ),
    "GetCallerIdentity": lambda: AwsInspector().identity(),
    "AWS's time": lambda: AwsInspector().aws_date(),
    "may write": lambda: AwsInspector().may_write(ROTATION, ROTATION.parameter_name),
    "DescribeKey": lambda: AwsInspector().key("alias/a"),
    "DescribeStacks of one": lambda: AwsInspector().stack("rotator"),
    "DescribeStacks": lambda: AwsInspector().stacks(),
    "GetSchedule": lambda: AwsInspector().schedule("run", "default"),
    "GetQueueAttributes": lambda: AwsInspector().messages(QUEUE),
    "ListEventSourceMappings": lambda: AwsInspector().event_source_mapping("rotator", QUEUE),
    "FilterLogEvents": lambda: AwsInspector().last_event("/rotator", "run ended", SINCE),
    "the settings of a stack": lambda: stack_settings.stack_variables("rotator"),
    "Invoke": lambda: lambda_invoke.invoke("rotator", {}),
    "a consumer's read": lambda: ssm.SsmReader("/healthwise/token")(),
}


def not_an_answer(error: RotatorError, peer: Peer) -> bool:
    """Whether an error says what it should, and repeats nothing of the answer."""
    assert peer.requests
    said = f"{error} {error!r}"
    assert "terms" not in said
    assert CANARY_TOKEN not in said
    return "a proxy answers instead of AWS" in error.advice


@pytest.mark.parametrize("call", PARAMETERS)
def test_non_aws_answer_raises_parameter_store_error(call: str, peer: Peer) -> None:
    with pytest.raises(ParameterStoreError) as caught:
        PARAMETERS[call]()
    assert not_an_answer(caught.value, peer)
    kind = caught.value.transient, caught.value.unreachable, caught.value.foreign
    assert kind == (False, False, call != "PutParameter of a document")


@pytest.mark.parametrize("call", OTHERS)
def test_non_aws_answer_to_another_call_raises_rotator_error(call: str, peer: Peer) -> None:
    with pytest.raises(RotatorError) as caught:
        OTHERS[call]()
    assert not_an_answer(caught.value, peer)


def test_non_aws_answer_reports_every_message_as_not_sent(peer: Peer) -> None:
    queue = SqsWorkQueue(aws_client.client("sqs"), QUEUE)
    try:
        refused = dict(queue.send(["a", "b"]))
    except WorkNotSent as error:
        refused = dict.fromkeys((0, 1), error)
    assert refused.keys() == {0, 1}
    assert all(not_an_answer(error, peer) for error in refused.values())


def test_html_page_is_not_accepted_as_a_deletion(
    serve: Serve, access_key: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DeleteParameter's own answer has no members."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", serve(answer(200, PAGE, Content_Type="text/html")).url)
    with pytest.raises(ParameterStoreError, match="NotAnAnswer"):
        SsmDocumentStore(aws_client.client("ssm")).delete("/a")
