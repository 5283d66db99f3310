"""What the adapters' tests share: peers and a caller for HTTP, a scripted client for AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError
from botocore.session import get_session
from botocore.stub import Stubber

from adapters.caller import Caller
from rotator.adapters.runtime import aws_client
from scripted_server import Peer, Serve, serving


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start peers; all of them have ended when the test has."""
    with ExitStack() as stack:
        yield lambda *answers, **options: stack.enter_context(serving(Peer(*answers, **options)))


@pytest.fixture
def caller() -> Caller:
    return Caller()


@pytest.fixture
def trust(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))


@pytest.fixture(autouse=True)
def fresh_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process keeps a session, and that keeps credentials: none of an earlier test's."""
    monkeypatch.setattr(aws_client, "session", cache(get_session))


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def access_key(region: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.fixture
def stub(client: BaseClient) -> Iterator[Stubber]:
    """The script of the client that the test's file makes: all of it must be asked for."""
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def fail_with(client: BaseClient) -> Callable[[BotoCoreError], None]:
    """Let every call of the client fail with an error of the SDK instead of being sent."""

    def registry(error: BotoCoreError) -> None:
        def fail(**_: object) -> None:
            raise error

        client.meta.events.register("before-call", fail)

    return registry
