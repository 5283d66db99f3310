"""The job on fakes: a world in which it runs, and what may go wrong there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import fake_ports
from fake_ports import DAY, Clock, FakePorts, rotation
from rotator.errors import RotatorError, TokenEndpointUnavailable, TokenRequestRejected
from rotator.renewal.models import Outcome, Result, Stored
from rotator.renewal.renew import read, rotate

TOKEN = "/healthwise/token"
STATUS = "/healthwise/token/status"
LEASE = "/healthwise/token/lease"
HOUR = 3600


class SingleRotation:
    """A clock, the ports on it, and scheduled runs."""

    def __init__(self, *answers: Any, **settings: Any) -> None:
        self.clock = Clock()
        self.rotation = rotation(**settings)
        self.ports: FakePorts = fake_ports.ports(self.clock, *answers)

    def stored(self) -> Stored:
        return read(self.rotation, self.ports.parameters, self.clock.now())

    def run_once(
        self, *, name: str = "run-1", budget: float = 60, stored: Stored | None = None, **options: Any
    ) -> Result:
        run = replace(fake_ports.run(self.clock, name=name, budget=budget), **options)
        return rotate(self.rotation, stored or Stored(), self.ports, run)

    def later(self, seconds: float) -> SingleRotation:
        self.clock.sleep(seconds)
        return self

    @property
    def token(self) -> str | None:
        found = self.ports.parameters.parameters.get(TOKEN)
        return found.value if found else None

    @property
    def status(self) -> dict[str, Any]:
        return self.ports.parameters.status()

    @property
    def lease(self) -> dict[str, Any]:
        return self.ports.parameters.status(LEASE)


def assert_failed(result: Result, kind: type[RotatorError] = RotatorError, text: str = "") -> None:
    """Assert that a result is a failure with an error of exactly this class, or of any."""
    assert result.outcome is Outcome.FAILED
    assert kind is RotatorError or result.error_kind == kind.__name__
    assert text in str(result.error)


def rotated(*answers: Any, **settings: Any) -> SingleRotation:
    """A world in which the first scheduled run has stored a token, and the answers come after that."""
    world = SingleRotation(**settings)
    assert world.run_once().outcome is Outcome.ROTATED
    world.ports.token_endpoint.answers.extend(answers)
    world.ports.parameters.writes.clear()
    return world


def fakes_answer(**changes: Any) -> dict[str, Any]:
    return {"access_token": "other", "token_type": "Bearer", "expires_in": DAY, **changes}


class Crashed(BaseException):
    """The process ends here and now: nothing of ours may catch it."""


def stop(here: bool) -> None:
    if here:
        raise Crashed


REFUSED = TokenRequestRejected("refused", advice="mend", status=401, code="invalid_client")
UNAVAILABLE = TokenEndpointUnavailable("down", advice="wait")
UNANSWERED = TokenEndpointUnavailable("no answer", advice="wait", may_have_issued=True)


def crash_before_token(world: SingleRotation, **options: Any) -> SingleRotation:
    """Let a run end without a word when it has been issued a token."""
    world.ports.parameters.before_write = lambda name: stop(name == TOKEN)
    with pytest.raises(Crashed):
        world.run_once(name="crashed", **options)
    world.ports.parameters.before_write = lambda name: None
    return world
