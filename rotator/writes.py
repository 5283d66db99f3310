"""The writes of one run: so many at a time, and after one that nobody answered none that may hang as long."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Semaphore

from rotator.errors import ParameterStoreError
from rotator.model import Parameter, Rotation, Secret
from rotator.ports import LONGEST_CALL, ParameterStore, Run, no_patience

WRITES_AT_A_TIME = 12
"""As many as there are connections: each costs a handshake, and 20 ms of CPU before it. Of the renewals under
way, most wait for their token endpoint.
"""


class SharedParameters:
    """The port ParameterStore, as the threads of a run share it.

    A run that is cut off tells nobody what went wrong. So where a call has hung, those that wait for a
    connection do not hang in their turn, unless the run lasts longer than that.
    """

    def __init__(self, parameters: ParameterStore, run: Run) -> None:
        self._parameters = parameters
        self._run = run
        self._connections = Semaphore(WRITES_AT_A_TIME)
        self._hung = False

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Read as ever."""
        return self._parameters.read(names)

    def read_path(
        self, path: str, *, patience: Callable[[], float] = no_patience
    ) -> Iterator[Mapping[str, Parameter]]:
        """Read as ever."""
        return self._parameters.read_path(path, patience=patience)

    def write_token(self, rotation: Rotation, token: Secret) -> int:
        """Store the token when there is a connection."""
        return self._write(rotation.parameter_name, lambda: self._parameters.write_token(rotation, token))

    def create_status(self, rotation: Rotation, text: str) -> int:
        """Store the first status when there is a connection."""
        return self._write(rotation.status_name, lambda: self._parameters.create_status(rotation, text))

    def write_status(self, rotation: Rotation, text: str) -> int:
        """Store the status when there is a connection."""
        return self._write(rotation.status_name, lambda: self._parameters.write_status(rotation, text))

    def _write(self, name: str, write: Callable[[], int]) -> int:
        with self._connections:
            if self._hung and self._run.time_left() < LONGEST_CALL:
                raise _not_tried(name)
            try:
                version = write()
            except ParameterStoreError as error:
                self._hung = error.unreachable
                raise
            self._hung = False
            return version


def _not_tried(name: str) -> ParameterStoreError:
    error = ParameterStoreError(
        f"the parameter {name} was not written: nobody answered the write before, and the run ends soon",
        advice="check the network path to AWS and AWS_ENDPOINT_URL; the next run tries again",
    )
    error.unreachable = True
    return error
