"""The behaviour that operators need of a document store: the fake and the adapters have it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import boto3
import pytest

from fake_ports import FakeDocumentStore, FakeParameterStore
from rotator.adapters.operator.document_store import SsmDocumentStore
from rotator.adapters.runtime import aws_client
from rotator.adapters.runtime.parameter_store import SsmParameterStore
from rotator.config.rotation_documents import DocumentStore
from rotator.devstack.aws_emulators import ADMINISTRATOR, client_environment
from rotator.errors import ConcurrentUpdate
from rotator.renewal.models import Parameter
from rotator.renewal.ports import ParameterStore

TEXT = '{"secret_id": "healthwise/client", "token_request_params": {"é": "{\\u007bx}}"}}'


@dataclass
class Backend:
    """Where documents are written, and where the function reads them."""

    documents: DocumentStore
    parameters: ParameterStore
    path: str

    def read(self) -> dict[str, Parameter]:
        """What the function finds, by its name below the path."""
        return {
            name.removeprefix(f"{self.path}/"): parameter
            for page in self.parameters.read_path(self.path)
            for name, parameter in page.items()
        }


@pytest.fixture(params=["fake", "moto", "ministack"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backend:
    path = f"/rotations-{uuid.uuid4().hex[:8]}"  # the embedded AWS keeps what other tests wrote
    if request.param == "fake":
        store = FakeParameterStore()
        return Backend(FakeDocumentStore(store), store, path)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    if request.param == "moto":
        request.getfixturevalue("moto")
    else:
        endpoint = request.getfixturevalue("ministack_endpoint")
        for name, value in client_environment(endpoint, ADMINISTRATOR).items():
            monkeypatch.setenv(name, value)
    client = aws_client.client("ssm")
    made = Backend(SsmDocumentStore(client), SsmParameterStore(client), path)
    assert made.read() == {}  # a first call may be slow and repeated, which only a read bears
    return made


def test_created_document_reads_back_exactly_as_a_string(world: Backend) -> None:
    world.documents.write(f"{world.path}/a", TEXT, overwrite=False)
    (found,) = world.read().values()
    assert (found.type, found.value, found.version) == ("String", TEXT, 1)


def test_creating_an_existing_document_leaves_it_unchanged(world: Backend) -> None:
    world.documents.write(f"{world.path}/a", TEXT, overwrite=False)
    with pytest.raises(ConcurrentUpdate):
        world.documents.write(f"{world.path}/a", "{}", overwrite=False)
    assert world.read()["a"].value == TEXT


def test_a_document_is_replaced_as_a_whole(world: Backend) -> None:
    world.documents.write(f"{world.path}/a", "{}", overwrite=False)
    world.documents.write(f"{world.path}/a", TEXT, overwrite=True)
    assert (world.read()["a"].value, world.read()["a"].type) == (TEXT, "String")


def test_replacing_a_deleted_document_creates_it_again(world: Backend) -> None:
    world.documents.write(f"{world.path}/a", "{}", overwrite=False)
    world.documents.delete(f"{world.path}/a")
    world.documents.write(f"{world.path}/a", TEXT, overwrite=True)
    assert world.read()["a"].value == TEXT


def test_deleting_a_document_keeps_the_others(world: Backend) -> None:
    for name in ("a", "b", "a.b"):
        world.documents.write(f"{world.path}/{name}", TEXT, overwrite=False)
    assert world.documents.delete(f"{world.path}/a") is True
    assert world.read().keys() == {"b", "a.b"}


def test_deleting_a_missing_document_returns_false(world: Backend) -> None:
    assert world.documents.delete(f"{world.path}/a") is False


def test_hundred_documents_are_written_and_deleted(world: Backend) -> None:
    names = {f"tenant-{number}" for number in range(100)}
    for name in names:
        world.documents.write(f"{world.path}/{name}", TEXT, overwrite=False)
    assert world.read().keys() == names
    assert all(world.documents.delete(f"{world.path}/{name}") for name in names)
    assert world.read() == {}
