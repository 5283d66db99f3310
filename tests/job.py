"""The job on fakes: a world in which it ticks, and what may go wrong there."""

from __future__ import annotations

from typing import Any

import fakes
from fakes import DAY, Clock, FakePorts, rotation
from rotator import status
from rotator.errors import TokenEndpointUnavailable, TokenRequestRejected
from rotator.model import Outcome, Result, Stored
from rotator.rotation import rotate

TOKEN = "/healthwise/token"
STATUS = "/healthwise/token/status"
HOUR = 3600


class World:
    """A clock, the ports on it, and ticks."""

    def __init__(self, *answers: Any, **settings: Any) -> None:
        self.clock = Clock()
        self.rotation = rotation(**settings)
        self.ports: FakePorts = fakes.ports(self.clock, *answers)

    def stored(self) -> Stored:
        return status.read(self.rotation, self.ports.parameters.read([TOKEN, STATUS]))

    def tick(
        self, *, name: str = "run-1", budget: float = 60, stored: Stored | None = None, **options: bool
    ) -> Result:
        run = fakes.run(self.clock, name=name, budget=budget)
        return rotate(self.rotation, stored or self.stored(), self.ports, run, **options)

    def later(self, seconds: float) -> World:
        self.clock.sleep(seconds)
        return self

    @property
    def token(self) -> str | None:
        found = self.ports.parameters.parameters.get(TOKEN)
        return found.value if found else None

    @property
    def status(self) -> dict[str, Any]:
        return self.ports.parameters.status()


def rotated(*answers: Any, **settings: Any) -> World:
    """A world in which the first tick has stored a token, and the answers come after that."""
    world = World(**settings)
    assert world.tick().outcome is Outcome.ROTATED
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
