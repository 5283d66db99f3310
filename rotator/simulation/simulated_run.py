"""One run of the job in the simulated world: its clock, its deadline and its faults.

Every external call may fail before or after it took effect, or be the last action of the process. At its
deadline the process is killed, as Lambda does it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from rotator.adapters.runtime.token_endpoint import HttpTokenEndpoint
from rotator.oauth.client_credentials import TokenResponse
from rotator.oauth.models import Secret
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Rotation
from rotator.renewal.policy import RUN_BUDGET_SECONDS
from rotator.renewal.ports import Run
from rotator.simulation.calls import Call, Fault, Intercepted, Killed, failure
from rotator.simulation.environment import Environment, Tenant

T = TypeVar("T")

CALL_SECONDS = 0.03
"""How long an AWS call takes."""

FAILED_CALL_SECONDS = 7.0
"""How long a failed call takes, including the SDK's retries."""


class SimulatedRun:
    """The ports of one run, and its clock."""

    def __init__(self, world: Environment, name: str, *, forced: bool) -> None:
        self.world = world
        self._end = world.timeline.seconds + RUN_BUDGET_SECONDS
        deadline = Deadline(lambda: self._end - world.timeline.seconds)
        self.run = Run(
            id=name, now=world.timeline.now, deadline=deadline, budget=RUN_BUDGET_SECONDS, force=forced
        )
        self.parameters: Any = Intercepted("parameters", _StoreOfRun(self), self.carry_out)
        self.secrets: Any = Intercepted("secrets", world.secrets, self.carry_out)
        self.token_endpoint = HttpTokenEndpoint(
            self._exchange, now=self.run.now, sleep=self.sleep, spread=world.random.uniform
        )

    def sleep(self, seconds: float) -> None:
        """Let time pass, until this run's deadline at most."""
        remaining = max(0.0, self._end - self.world.timeline.seconds)
        self.world.timeline.sleep(min(seconds, remaining))
        if seconds >= remaining:
            raise Killed

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], *, body: bytes | None, seconds: float
    ) -> TokenResponse:
        assert body is None or url.startswith("https:")  # noqa: S101 - token requests are encrypted
        tenant = self.tenant_of(headers)
        tenant.begin_renewal(self.run.id)
        return self.carry_out(
            Call.REQUEST_TOKEN, lambda: tenant.provider.exchange(self.sleep, method, headers, seconds)
        )

    def tenant_of(self, headers: Mapping[str, str]) -> Tenant:
        """Return the rotation whose client requests a token, or whose token a probe uses."""
        kind, _, value = headers["Authorization"].partition(" ")
        if kind == "Basic":
            return self.world.tenants[base64.b64decode(value).decode().partition(":")[0]]
        return next(each for each in self.world.tenants.values() if value in each.provider.issued)

    def carry_out(self, call: Call, effect: Callable[[], T]) -> T:
        """Make a call with its fault, if it has one, and let its duration pass."""
        if call is not Call.REQUEST_TOKEN:
            self.world.aws_calls += 1
        fault = self.world.next_fault()
        if fault is Fault.KILLED_BEFORE:
            raise Killed
        if fault is Fault.FAILED:
            self._fail(call)
        answer = effect()
        if fault is Fault.KILLED_AFTER:
            raise Killed
        if fault is Fault.LOST:
            self._fail(call)
        self.sleep(0 if call is Call.REQUEST_TOKEN else CALL_SECONDS)
        return answer

    def _fail(self, call: Call) -> NoReturn:
        self.sleep(FAILED_CALL_SECONDS)
        raise failure(call)


@dataclass
class _StoreOfRun:
    """The store as one run writes to it: a token reaches consumers; a status or lease ends a renewal."""

    run: SimulatedRun

    def write_token(self, rotation: Rotation, token: Secret) -> int:
        return self.run.world.tenants[rotation.name].publish(token, forced=self.run.run.force)

    def write_status(self, rotation: Rotation, text: str) -> int:
        self.run.world.tenants[rotation.name].end_renewal(self.run.run.id)
        return self.run.world.store.write_status(rotation, text)

    def write_lease(self, rotation: Rotation, text: str) -> int:
        self.run.world.tenants[rotation.name].end_renewal(self.run.run.id)
        return self.run.world.store.write_lease(rotation, text)

    def __getattr__(self, method: str) -> Any:
        return getattr(self.run.world.store, method)
