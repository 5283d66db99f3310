"""What rotations of one run share, so that many of them cost little more than one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock

from rotator.errors import NETWORK, CredentialsError
from rotator.hanging import Hanging
from rotator.model import ClientCredentials, Rotation, Secret, Stage
from rotator.oauth import TokenRequest, TokenResponse
from rotator.ports import ParameterStore, Run, SecretStore, TokenEndpoint

SECRETS_PER_READ = 20
"""What BatchGetSecretValue takes.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
"""

LONGEST_AHEAD = timedelta(seconds=30)
"""For so long credentials are kept that were read together with others' and not used yet."""

PATIENCE = 10.0
"""Seconds of trying again for one rotation while others wait for the same endpoint."""


class CredentialsAhead:
    """The port SecretStore, which reads many secrets in one call: those that are needed next.

    ``following`` gives the rotations whose turn probably comes next, so many at the most.
    """

    def __init__(
        self, secrets: SecretStore, run: Run, following: Callable[[int], Sequence[Rotation]]
    ) -> None:
        self._secrets = secrets
        self._run = run
        self._following = following
        self._reading = Lock()  # held while a call may hang; what was read is given out without it
        self._asking: dict[str, Rotation] = {}  # by threads that wait for the lock
        self._read: dict[str, tuple[ClientCredentials | CredentialsError, datetime]] = {}
        self._failed_at: datetime | None = None
        self._hanging = Hanging(run)

    def prepare(self, rotation: Rotation) -> None:
        """Have the rotation's credentials ready for ``read``. Raises CredentialsError if there are none."""
        self._asking[rotation.name] = rotation
        with self._reading:
            del self._asking[rotation.name]
            if self._fresh(rotation) is None:
                self._read_together(rotation)
            found = self._fresh(rotation)
        if found is None:
            found = self._read_alone(rotation)
            self._read[rotation.name] = found, self._run.now()
        if isinstance(found, CredentialsError):
            raise found

    def read(self, rotation: Rotation) -> ClientCredentials:
        """Return what was made ready, once; after that, what the secret holds now."""
        found = self._fresh(rotation)
        self._read.pop(rotation.name, None)
        return found if isinstance(found, ClientCredentials) else self._read_alone(rotation)

    def read_together(
        self, rotations: Sequence[Rotation]
    ) -> Mapping[str, ClientCredentials | CredentialsError]:
        """Read many at once; that is not needed from here, but the port has it."""
        return self._secrets.read_together(rotations)

    def read_stage(self, rotation: Rotation, stage: Stage) -> ClientCredentials | None:
        """Another stage is read alone: it is seldom asked for."""
        return self._secrets.read_stage(rotation, stage)

    def _read_alone(self, rotation: Rotation) -> ClientCredentials:
        self._check(rotation)
        with self._hanging.noted():
            return self._secrets.read(rotation)

    def _check(self, rotation: Rotation) -> None:
        """Raise CredentialsError if another call could hang beyond the run's end."""
        if self._hanging.could_outlast_the_run():
            error = CredentialsError(
                f"the secret {rotation.secret_id} was not read: nobody answered when another was, for longer "
                "than the run has left",
                advice=NETWORK,
            )
            error.unreachable = True
            raise error

    def _fresh(self, rotation: Rotation) -> ClientCredentials | CredentialsError | None:
        found, read_at = self._read.get(rotation.name, (None, None))
        if read_at is None or self._run.now() - read_at > LONGEST_AHEAD:
            return None
        return found

    def _read_together(self, rotation: Rotation) -> None:
        next_ones = {**self._asking, **{r.name: r for r in self._following(SECRETS_PER_READ - 1)}}
        others = [r for r in next_ones.values() if self._fresh(r) is None][: SECRETS_PER_READ - 1]
        read_at = self._run.now()
        if not others or (self._failed_at and read_at - self._failed_at <= LONGEST_AHEAD):
            return
        self._check(rotation)
        with self._hanging.noted():
            together = self._secrets.read_together([rotation, *others])
        self._failed_at = None if together else read_at
        for name, found in together.items():
            if isinstance(found, ClientCredentials):
                found = replace(found, read_ahead=True)  # noqa: PLW2901
            self._read[name] = found, read_at


@dataclass(frozen=True)
class ImpatientEndpoint:
    """The port TokenEndpoint, which gives up sooner, so that others get their turn, or the thread."""

    endpoint: TokenEndpoint

    def request(
        self, request: TokenRequest, *, time_left: Callable[[], float], patience: float = math.inf
    ) -> TokenResponse:
        """Request a token, and try again within PATIENCE: a slow answer is waited for as ever."""
        return self.endpoint.request(request, time_left=time_left, patience=min(patience, PATIENCE))

    def contact(self, url: str, *, time_left: Callable[[], float]) -> None:
        """See whether it answers within PATIENCE."""
        self.endpoint.contact(url, time_left=within(PATIENCE, time_left))

    def probe(self, url: str, token: Secret, *, time_left: Callable[[], float]) -> None:
        """Try the token as ever: it was issued, and must not be lost for want of patience."""
        self.endpoint.probe(url, token, time_left=time_left)


def within(seconds: float, time_left: Callable[[], float]) -> Callable[[], float]:
    """Of the time left, so many seconds from now on, or all if it is less."""
    rest = max(0.0, time_left() - seconds)
    return lambda: time_left() - rest


@dataclass(frozen=True)
class SharedPorts:
    """The ports as the rotations of one run share them."""

    parameters: ParameterStore
    secrets: SecretStore
    token_endpoint: TokenEndpoint
