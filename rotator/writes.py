"""The writes of one run: so many at a time, none after its end, and none that would hang beyond it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Semaphore

from rotator.claim import too_late
from rotator.errors import NETWORK, ParameterStoreError
from rotator.hanging import Hanging
from rotator.model import Parameter, Rotation, Secret
from rotator.ports import ParameterStore, Run, no_patience

WRITES_AT_A_TIME = 12
"""As many as there are connections: each costs a handshake, and 20 ms of CPU before it. Of the renewals under
way, most wait for their token endpoint.
"""


class SharedParameters:
    """The port ParameterStore, as the threads of a run share it."""

    def __init__(self, parameters: ParameterStore, run: Run) -> None:
        self._parameters = parameters
        self._run = run
        self._connections = Semaphore(WRITES_AT_A_TIME)
        self._hanging = Hanging(run)

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Read as ever."""
        return self._parameters.read(names)

    def read_path(
        self, path: str, *, patience: Callable[[], float] = no_patience
    ) -> Iterator[Mapping[str, Parameter]]:
        """Read as ever."""
        return self._parameters.read_path(path, patience=patience)

    def write_token(self, rotation: Rotation, token: Secret) -> int:
        """Store the token when there is a connection, if the claim has not ended meanwhile."""
        name = rotation.parameter_name
        return self._write(name, lambda: self._parameters.write_token(rotation, token), spare=0.0)

    def create_status(self, rotation: Rotation, text: str) -> int:
        """Store the first status when there is a connection."""
        return self._write(rotation.status_name, lambda: self._parameters.create_status(rotation, text))

    def write_status(self, rotation: Rotation, text: str) -> int:
        """Store the status when there is a connection."""
        return self._write(rotation.status_name, lambda: self._parameters.write_status(rotation, text))

    def check(self, name: str) -> None:
        """Raise ParameterStoreError if a write of this parameter could hang beyond the run's end."""
        if self._hanging.could_outlast_the_run():
            error = ParameterStoreError(
                f"the parameter {name} was not written: nobody answered another write, for longer than the "
                "run has left",
                advice=NETWORK,
            )
            error.unreachable = True
            raise error

    def _write(self, name: str, write: Callable[[], int], *, spare: float | None = None) -> int:
        """Write, unless it is too late: the run is over, by so many seconds if it may be at all."""
        spare = self._run.overrun if spare is None else spare
        with self._connections:
            self.check(name)
            if self._run.time_left() + spare <= 0:
                raise too_late(name)
            with self._hanging.noted():
                return write()
