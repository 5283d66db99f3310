"""What no emulator enforces of documents: what is sent, and how Parameter Store refuses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import BotoCoreError, EndpointConnectionError
from botocore.stub import Stubber

from leak_check import foreign
from rotator.adapters.operator.document_store import SsmDocumentStore
from rotator.adapters.runtime import aws_client
from rotator.errors import ConcurrentUpdate, ParameterStoreError, RotatorError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

NAME = "/rotations/tenant-a"
QUOTED = "canary in a document"

CREATE = pytest.param("put_parameter", lambda store: store.write(NAME, QUOTED, overwrite=False), id="create")
REPLACE = pytest.param("put_parameter", lambda store: store.write(NAME, QUOTED, overwrite=True), id="replace")
DELETE = pytest.param("delete_parameter", lambda store: store.delete(NAME), id="delete")

Act = Callable[[SsmDocumentStore], object]


@pytest.fixture
def client(access_key: None) -> SSMClient:
    made: SSMClient = aws_client.client("ssm")
    return made


@pytest.fixture
def store(client: SSMClient) -> SsmDocumentStore:
    return SsmDocumentStore(client)


@pytest.mark.parametrize("overwrite", [True, False])
def test_document_is_written_as_a_string(stub: Stubber, store: SsmDocumentStore, overwrite: bool) -> None:
    """Standard would be refused for a document that is Advanced already."""
    sent = {"Name": NAME, "Value": "{}", "Type": "String", "Tier": "Intelligent-Tiering"}
    stub.add_response("put_parameter", {"Version": 1, "Tier": "Standard"}, {**sent, "Overwrite": overwrite})
    store.write(NAME, "{}", overwrite=overwrite)


@pytest.mark.parametrize(("operation", "act"), [CREATE, REPLACE, DELETE])
@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("ThrottlingException", "try again; if the error persists, find out which other callers use up"),
        ("InternalServerError", "try again; if the error persists, check the AWS Health"),
        ("UnrecognizedClientException", "renew the AWS credentials"),
        ("ParameterLimitExceeded", "quota"),
        ("HierarchyTypeMismatchException", "remove the document, wait 30 s, and add it again"),
        ("ValidationException", "check the path"),
        ("SomethingNew", "look up this error code in AWS's documentation"),
    ],
)
def test_refused_call_gives_advice_without_quoting_aws(
    stub: Stubber, store: SsmDocumentStore, operation: str, act: Act, code: str, advice: str
) -> None:
    stub.add_client_error(operation, code, f"Value {QUOTED} was refused", 400)
    with pytest.raises(ParameterStoreError) as caught:
        act(store)
    assert f"the rotation document {NAME} failed: {code}" in caught.value.problem
    assert advice in caught.value.next_step
    assert QUOTED not in str(caught.value)
    assert foreign(caught.value, RotatorError, aws_client.AwsError) == []


@pytest.mark.parametrize(
    ("operation", "act", "action"),
    [(*CREATE.values, "ssm:PutParameter"), (*DELETE.values, "ssm:DeleteParameter")],
)
def test_denied_call_names_the_missing_permission(
    stub: Stubber, store: SsmDocumentStore, operation: str, act: Act, action: str
) -> None:
    stub.add_client_error(operation, "AccessDeniedException")
    with pytest.raises(ParameterStoreError, match=f"allow this caller {action} on the document"):
        act(store)


@pytest.mark.parametrize(("operation", "act"), [CREATE, REPLACE])
@pytest.mark.parametrize("code", ["ParameterAlreadyExists", "TooManyUpdates"])
def test_concurrent_document_write_raises_concurrent_update(
    stub: Stubber, store: SsmDocumentStore, operation: str, act: Act, code: str
) -> None:
    stub.add_client_error(operation, code)
    with pytest.raises(ConcurrentUpdate, match=NAME):
        act(store)


def test_unreachable_aws_is_reported_with_advice(
    store: SsmDocumentStore, fail_with: Callable[[BotoCoreError], None]
) -> None:
    fail_with(EndpointConnectionError(endpoint_url="https://nowhere.invalid", error=QUOTED))
    with pytest.raises(ParameterStoreError, match=r"Unreachable; .*check the network path"):
        store.delete(NAME)
