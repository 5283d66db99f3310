"""The calls that a run makes to its ports, and ports that leave it to a simulation to carry each call out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Protocol, TypeVar

from rotator.errors import CredentialsError, ParameterStoreError, RotatorError, TokenEndpointUnavailable
from rotator.oauth.models import ClientCredentials, Secret, Stage
from rotator.renewal.models import Parameter, Rotation
from rotator.renewal.ports import no_patience
from rotator.simulation.aws import MemoryParameterStore, MemorySecretStore

T = TypeVar("T")


class Call(Enum):
    """A call to one of the ports; the value is what reports name it."""

    READ = "read"
    READ_VERSIONS = "read versions"
    CREATE_LEASE = "create lease"
    WRITE_LEASE = "write lease"
    WRITE_TOKEN = "write token"  # noqa: S105 - a call
    WRITE_STATUS = "write status"
    READ_SECRET = "read secret"  # noqa: S105 - a call
    READ_STAGE = "read stage"
    REQUEST_TOKEN = "request token"  # noqa: S105 - a call


LEASE_WRITES = frozenset({Call.CREATE_LEASE, Call.WRITE_LEASE})
WRITES = frozenset({Call.WRITE_TOKEN, Call.WRITE_STATUS, *LEASE_WRITES})


class Fault(Enum):
    """What goes wrong with a call."""

    FAILED = "it fails and has done nothing"
    LOST = "it fails and has done what it should"
    KILLED_BEFORE = "the process ends before it"
    KILLED_AFTER = "the process ends after it"
    REPEATED = "its answer is lost, the SDK repeats it, and the second answer arrives"
    DELAYED = "it is not answered, and does what it should later"
    REJECTED = "the token endpoint rejects the client"
    LATE = "the run sleeps until the leases of short runs have expired, and makes it then"


class Killed(BaseException):
    """The process ends here and now, and none of its code may do anything about it."""


def failure(call: Call) -> RotatorError:
    """Return the error of a call that failed, as the adapter raises it."""
    if call is Call.REQUEST_TOKEN:
        return TokenEndpointUnavailable(
            "the endpoint did not answer", advice="the next run tries again", may_have_issued=True
        )
    if call in (Call.READ_SECRET, Call.READ_STAGE):
        return CredentialsError("the secret could not be read: Unreachable", advice="wait")
    return ParameterStoreError("Parameter Store failed: ThrottlingException", advice="wait")


class Carrier(Protocol):
    """Carries out a call for a run: returns what ``effect`` returns, or raises what the fault requires."""

    def __call__(self, call: Call, effect: Callable[[], T]) -> T:
        """Return the call's answer."""


class InterceptedParameters:
    """The port ParameterStore on a store in memory."""

    def __init__(self, store: MemoryParameterStore, carry_out: Carrier) -> None:
        self._store = store
        self._carry_out = carry_out

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Return the parameters that exist, by name."""
        return self._carry_out(Call.READ, lambda: self._store.read(names))

    def read_versions(self, name: str, versions: Sequence[int]) -> Mapping[int, Parameter]:
        """Return those of a parameter's versions that are still kept."""
        return self._carry_out(Call.READ_VERSIONS, lambda: self._store.read_versions(name, versions))

    def read_path(
        self, path: str, *, patience: Callable[[], float] = no_patience
    ) -> Iterator[Mapping[str, Parameter]]:
        """Return the pages below a path; no simulated run reads rotation documents."""
        return self._store.read_path(path, patience=patience)

    def write_token(self, rotation: Rotation, token: Secret) -> int:
        """Store the token's next version."""
        return self._carry_out(Call.WRITE_TOKEN, lambda: self._store.write_token(rotation, token))

    def write_status(self, rotation: Rotation, text: str) -> int:
        """Store the status's next version."""
        return self._carry_out(Call.WRITE_STATUS, lambda: self._store.write_status(rotation, text))

    def create_lease(self, rotation: Rotation, text: str) -> int:
        """Store the lease's first version."""
        return self._carry_out(Call.CREATE_LEASE, lambda: self._store.create_lease(rotation, text))

    def write_lease(self, rotation: Rotation, text: str) -> int:
        """Store the lease's next version."""
        return self._carry_out(Call.WRITE_LEASE, lambda: self._store.write_lease(rotation, text))


class InterceptedSecrets:
    """The port SecretStore on a store in memory."""

    def __init__(self, store: MemorySecretStore, carry_out: Carrier) -> None:
        self._store = store
        self._carry_out = carry_out

    def read(self, rotation: Rotation) -> ClientCredentials:
        """Return the rotation's credentials."""
        return self._carry_out(Call.READ_SECRET, lambda: self._store.read(rotation))

    def read_stage(self, rotation: Rotation, stage: Stage) -> ClientCredentials | None:
        """Return the credentials that the rotation's secret has in another stage."""
        return self._carry_out(Call.READ_STAGE, lambda: self._store.read_stage(rotation, stage))
