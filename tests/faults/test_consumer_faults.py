"""A consumer while Parameter Store fails: no call fails until the cached token has expired."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from faults.proxy import Microburst
from faults.world import TOKEN
from rotator.adapters.runtime import aws_client
from rotator.consumer import TokenSource
from rotator.consumer.ssm import CONFIG
from rotator.errors import RotatorError, TokenUnavailable
from token_source_setup import Clocks, status_of

LIFETIME = 3600
CACHE = 300

FAULTS: dict[str, dict[str, Any]] = {
    "throttled": {"error": {"code": "ThrottlingException"}},
    "500": {"error": {"code": "InternalServerError", "status": 500}},
    "reset": {"reset": True},
    "denied": {"error": {"code": "AccessDeniedException", "status": 400}},
    "answer cut off": {"response": {"abort_frac": 0.5}},
}


@dataclass
class FaultySystem:
    """A consumer, the proxy through which it reads and which can fail, and the parameter."""

    ssm: Any
    faults: Microburst
    clocks: Clocks
    source: TokenSource

    def publish(self, token: str) -> None:
        version = self.ssm.put_parameter(Name=TOKEN, Value=token, Type="SecureString", Overwrite=True)
        text = status_of(token, datetime.now(UTC), lifetime=LIFETIME, version=version["Version"])
        self.ssm.put_parameter(Name=f"{TOKEN}/status", Value=text, Type="String", Overwrite=True)

    def break_reads(self, fault: dict[str, Any]) -> None:
        self.faults.break_({"service": "ssm", **fault})

    def tokens_for(self, seconds: int) -> set[str]:
        """Return the tokens, or the names of errors, of one call per minute."""
        given = set()
        for _ in range(0, seconds, 60):
            self.clocks.advance(60)
            try:
                given.add(self.source.token())
            except RotatorError as error:
                given.add(type(error).__name__)
            if self.source._reads.in_flight:
                self.source._reads.in_flight.wait(30)
        return given


@pytest.fixture
def world(
    ssm: Any, settings: None, timing: None, faults: Microburst, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultySystem]:
    clocks = Clocks()
    source = TokenSource(TOKEN, client=aws_client.client("ssm", CONFIG), clock=clocks.clock)
    yield FaultySystem(ssm, faults, clocks, source)
    if source._reads.in_flight:
        source._reads.in_flight.wait(30)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_outage_within_the_token_lifetime_causes_no_error(world: FaultySystem, fault: dict[str, Any]) -> None:
    world.publish("one")
    assert world.source.token() == "one"
    world.break_reads(fault)
    assert world.tokens_for(LIFETIME - 120) == {"one"}
    assert LIFETIME - 120 > 10 * CACHE
    assert world.faults.broken() > 0
    world.faults.heal()
    world.publish("two")
    assert world.tokens_for(120) == {"two"}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_outage_beyond_the_token_lifetime_raises_then_recovers(
    world: FaultySystem, fault: dict[str, Any]
) -> None:
    world.publish("one")
    assert world.source.token() == "one"
    world.break_reads(fault)
    world.tokens_for(LIFETIME)
    with pytest.raises(TokenUnavailable, match=f"the parameter {TOKEN} could not be read: ") as caught:
        world.source.token()
    assert "one" not in str(caught.value).split()
    assert world.tokens_for(300) == {"TokenUnavailable"}
    world.faults.heal()
    world.publish("two")
    assert world.tokens_for(60) == {"two"}


def test_consumer_started_in_an_outage_raises_then_recovers(world: FaultySystem) -> None:
    world.publish("one")
    world.break_reads(FAULTS["500"])
    with pytest.raises(TokenUnavailable, match="InternalServerError; the next call tries again"):
        world.source.token()
    world.faults.heal()
    world.clocks.advance(1)
    assert world.source.token() == "one"
