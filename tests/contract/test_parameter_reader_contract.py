"""The contract of ParameterReader, for the fake and the adapter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from botocore.session import get_session

from fake_ports import CANARY_TOKEN
from rotator.adapters.runtime import aws_client
from rotator.consumer.parse import ParameterReader
from rotator.consumer.ssm import SsmReader
from rotator.devstack.deployment import Account
from rotator.errors import TokenUnavailable
from token_source_setup import NAME, Clocks, FakeReader, status_of


@dataclass
class Backend:
    """A reader, a function that writes the parameter with or without its status, and the correct time."""

    read: ParameterReader
    publish: Callable[[str, bool], None]
    now: Callable[[], datetime]


def _fake() -> Backend:
    clocks = Clocks()
    reader = FakeReader(clocks)
    return Backend(reader, lambda token, status: reader.publish(token, status=status), lambda: clocks.true)


def _amazon(account: Account, name: str = NAME) -> Backend:
    ssm = account.client("ssm")

    def publish(token: str, status: bool) -> None:
        put = {"Overwrite": True, "Name": NAME, "Value": token, "Type": "SecureString"}
        version = ssm.put_parameter(**put)["Version"]
        if status:
            text = status_of(token, datetime.now(UTC), version=version)
            ssm.put_parameter(Name=f"{NAME}/status", Value=text, Type="String", Overwrite=True)

    return Backend(SsmReader(name, ssm), publish, lambda: datetime.now(UTC))


@pytest.fixture(params=["fake", "ssm", "ssm by ARN", "ssm by an environment's client"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backend:
    if request.param == "fake":
        return _fake()
    account: Account = request.getfixturevalue("moto")
    made = _amazon(account)
    if request.param == "ssm by ARN":
        made.read = SsmReader(f"arn:aws:ssm:us-east-1:123456789012:parameter{NAME}", account.client("ssm"))
    if request.param == "ssm by an environment's client":
        monkeypatch.setattr(aws_client, "session", cache(get_session))
        made.read = SsmReader(NAME)
    return made


def test_token_and_status_are_read_together(world: Backend) -> None:
    world.publish(CANARY_TOKEN, True)
    found = world.read()
    assert (found.token, found.version) == (CANARY_TOKEN, 1)
    assert found.status
    assert '"parameter_version": 1' in found.status


def test_each_published_token_has_the_next_version(world: Backend) -> None:
    world.publish("one", True)
    world.publish("two", True)
    found = world.read()
    assert (found.token, found.version) == ("two", 2)


def test_token_without_a_status_is_read(world: Backend) -> None:
    world.publish(CANARY_TOKEN, False)
    found = world.read()
    assert (found.token, found.status) == (CANARY_TOKEN, None)


def test_missing_parameter_error_names_it(world: Backend) -> None:
    with pytest.raises(TokenUnavailable, match=f"there is no parameter .*{NAME}"):
        world.read()


def test_read_returns_the_time_of_the_answer(world: Backend) -> None:
    world.publish(CANARY_TOKEN, True)
    read_at = world.read().read_at
    assert read_at is not None
    assert abs(read_at - world.now()) < timedelta(seconds=5)


def test_repr_of_a_read_hides_the_token(world: Backend) -> None:
    world.publish(CANARY_TOKEN, True)
    assert CANARY_TOKEN not in repr(world.read())
