"""One run of the job in the simulated world: its clock, its end, and what goes wrong on its way.

Every call to the outside may fail before or after it did what it was asked to, or be the last thing
that the process does. At the end of its time the process is killed, as Lambda does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cached_property
from random import Random
from typing import Any, NoReturn, Protocol, TypeVar

from rotator.adapters.runtime.token_endpoint import HttpTokenEndpoint
from rotator.errors import CredentialsError, ParameterStoreError
from rotator.oauth.client_credentials import TokenResponse
from rotator.oauth.models import ClientCredentials, Secret, Stage
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Parameter, Rotation
from rotator.renewal.policy import RUN_BUDGET_SECONDS
from rotator.renewal.ports import Run
from rotator.simulation.aws import MemoryParameterStore, MemorySecretStore
from rotator.simulation.provider import no_answer
from rotator.simulation.timeline import Timeline

T = TypeVar("T")

CALL = 0.03
"""Seconds that an AWS call takes."""

SDK_WAITS = (0.5, 1.0, 0.0)
"""Seconds that the SDK waits after each attempt of a call that is throttled."""

FAILING_CALL = 7.0
"""Seconds that a call takes which fails, the SDK's retries included."""


class Killed(BaseException):
    """The process ends here and now, and none of its code may do anything about it."""


class Fault(Enum):
    """What goes wrong with a call."""

    REFUSED = "it fails and has done nothing"
    LOST = "it fails and has done what it was asked to"
    KILLED_BEFORE = "the process dies before it"
    KILLED_AFTER = "the process dies after it"


class Surroundings(Protocol):
    """What a run meets: the store, the secrets, the rotations with their providers, and what goes wrong."""

    timeline: Timeline
    random: Random
    store: MemoryParameterStore
    secrets: MemorySecretStore
    tenants: dict[str, Any]
    fault: Callable[[], Fault | None]
    aws_calls: int

    def tenant_of(self, headers: Mapping[str, str]) -> Any:
        """Return the rotation for which a request is sent."""

    def note_request(self, run: SimulatedRun, tenant: Any) -> None:
        """Count a token request."""

    def takes_write(self) -> bool:
        """Whether the account's rate of writes lets another one pass now."""


class SimulatedRun:
    """The ports as one run has them, and the run's own clock."""

    def __init__(self, world: Surroundings, name: str, *, forced: bool) -> None:
        self._world = world
        self._timeline = world.timeline
        self._end = world.timeline.seconds + RUN_BUDGET_SECONDS
        self.forced = forced
        self.is_dead = False
        self.on_throttled: Callable[[], None] = lambda: None
        self.run = Run(
            id=name, now=world.timeline.now, deadline=Deadline(self.time_left), budget=RUN_BUDGET_SECONDS
        )
        self.parameters = _Parameters(self, world)
        self.secrets = _Secrets(self, world)

    def time_left(self) -> float:
        """Seconds until this process is killed."""
        return self._end - self._timeline.seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass, to this run's end at most."""
        left = self.time_left()
        if seconds >= left:
            self._timeline.sleep(max(0.0, left))
            self.die()
        self._timeline.sleep(seconds)
        if self.is_dead:
            raise Killed

    def die(self) -> NoReturn:
        """End the process, and with it whatever else it does at this moment."""
        self.is_dead = True
        raise Killed

    @cached_property
    def token_endpoint(self) -> HttpTokenEndpoint:
        """The production retry layer, on the simulated provider."""
        return HttpTokenEndpoint(
            self._exchange,
            now=self._timeline.now,
            sleep=self.sleep,
            spread=self._world.random.uniform,
        )

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], *, body: bytes | None, seconds: float
    ) -> TokenResponse:
        assert body is None or url.startswith("https:")  # noqa: S101 - a token request goes nowhere else
        tenant = self._world.tenant_of(headers)
        tenant.note_request(self)
        self._world.note_request(self, tenant)
        response: TokenResponse = self.call(
            lambda: tenant.provider.exchange(self.sleep, method, headers, seconds), no_answer, takes=0
        )
        return response

    def call(self, effect: Callable[[], T], error: Callable[[], Exception], takes: float = CALL) -> T:
        """Do what a call does, unless something is wrong with it."""
        fault = self._world.fault()
        if fault is Fault.KILLED_BEFORE:
            self.die()
        if fault is Fault.REFUSED:
            self.sleep(FAILING_CALL)
            raise error()
        result = effect()
        if fault is Fault.KILLED_AFTER:
            self.die()
        if fault is Fault.LOST:
            self.sleep(FAILING_CALL)
            raise error()
        self.sleep(takes)
        return result


class _Parameters:
    def __init__(self, run: SimulatedRun, world: Surroundings) -> None:
        self._run = run
        self._world = world

    def _call(self, effect: Callable[[], T]) -> T:
        self._world.aws_calls += 1
        return self._run.call(effect, _unavailable)

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        return self._call(lambda: self._world.store.read(names))

    def read_versions(self, name: str, versions: Sequence[int]) -> Mapping[int, Parameter]:
        return self._call(lambda: self._world.store.read_versions(name, versions))

    def read_path(
        self, path: str, *, retry_until: Deadline | None = None
    ) -> Iterator[Mapping[str, Parameter]]:
        return self._call(lambda: self._world.store.read_path(path, retry_until=retry_until))

    def write_token(self, rotation: Rotation, token: Secret) -> int:
        tenant = self._world.tenants[rotation.name]
        return self._write(lambda: tenant.publish(token, forced=self._run.forced))

    def write_status(self, rotation: Rotation, text: str) -> int:
        return self._end(rotation, lambda: self._world.store.write_status(rotation, text))

    def create_lease(self, rotation: Rotation, text: str) -> int:
        return self._write(lambda: self._world.store.create_lease(rotation, text))

    def write_lease(self, rotation: Rotation, text: str) -> int:
        return self._end(rotation, lambda: self._world.store.write_lease(rotation, text))

    def _end(self, rotation: Rotation, write: Callable[[], int]) -> int:
        """Write what, after a token request, ends the lease."""

        def effect() -> int:
            version = write()
            self._world.tenants[rotation.name].note_end(self._run)
            return version

        return self._write(effect)

    def _write(self, effect: Callable[[], int]) -> int:
        """Write as the SDK does: it waits and repeats a write that is throttled."""
        for wait in SDK_WAITS:
            if self._world.takes_write():
                return self._call(effect)
            self._run.on_throttled()
            self._run.sleep(wait)
        raise _unavailable()


class _Secrets:
    def __init__(self, run: SimulatedRun, world: Surroundings) -> None:
        self._run = run
        self._world = world

    def read(self, rotation: Rotation) -> ClientCredentials:
        return self._call(lambda: self._world.secrets.read(rotation))

    def read_stage(self, rotation: Rotation, stage: Stage) -> ClientCredentials | None:
        return self._call(lambda: self._world.secrets.read_stage(rotation, stage))

    def _call(self, read: Callable[[], T]) -> T:
        self._world.aws_calls += 1
        return self._run.call(
            read, lambda: CredentialsError("the secret could not be read: Unreachable", advice="wait")
        )


def _unavailable() -> ParameterStoreError:
    return ParameterStoreError("Parameter Store failed: ThrottlingException", advice="wait")
