"""Parameter Store and Secrets Manager in memory, with the behaviour that the job relies on.

They pass the same contract tests as the adapters (tests/contract).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rotator.errors import ConcurrentUpdate, CredentialsError, ParameterStoreError
from rotator.oauth.models import ClientCredentials, Secret, Stage
from rotator.renewal.deadline import Deadline
from rotator.renewal.lease import VERSIONS_KEPT
from rotator.renewal.models import Parameter, Rotation
from rotator.renewal.ports import NAMES_PER_CALL


class MemoryParameterStore:
    """The port ParameterStore on a dict, which holds the values in plain text."""

    def __init__(self) -> None:
        self.parameters: dict[str, Parameter] = {}
        self.history: dict[str, dict[int, Parameter]] = {}

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Return those of at most ten parameters that exist, by name; a SecureString without its value."""
        if len(names) > NAMES_PER_CALL:
            raise ParameterStoreError(
                f"Parameter Store refused to read {len(names)} names in one call",
                advice=f"read at most {NAMES_PER_CALL}",
            )
        return {name: _as_read(self.parameters[name]) for name in names if name in self.parameters}

    def read_decrypted(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Return the existing parameters by name, with decrypted values; raises the errors of ``read``."""
        return {name: self.parameters[name] for name in self.read(names)}

    def read_versions(self, name: str, versions: Sequence[int]) -> Mapping[int, Parameter]:
        """Return those of the given versions of a parameter that are still kept."""
        kept = self.history.get(name, {}) if name in self.parameters else {}
        return {version: _as_read(kept[version]) for version in versions if version in kept}

    def read_path(
        self,
        path: str,
        *,
        retry_until: Deadline | None = None,  # noqa: ARG002 - nothing is throttled
    ) -> Iterator[Mapping[str, Parameter]]:
        """Yield the parameters below a path, ten per page."""
        below = path.rstrip("/") + "/"
        found = [(name, _as_read(p)) for name, p in self.parameters.items() if name.startswith(below)]
        for start in range(0, len(found) or 1, NAMES_PER_CALL):
            yield dict(found[start : start + NAMES_PER_CALL])

    def write_token(self, rotation: Rotation, token: Secret) -> int:
        """Store the next version of the token and return its number."""
        return self.put(rotation.parameter_name, token.value, "SecureString")

    def write_status(self, rotation: Rotation, text: str) -> int:
        """Store the next version of the status and return its number."""
        return self.put(rotation.status_name, text, "String")

    def create_lease(self, rotation: Rotation, text: str) -> int:
        """Store the first version of the lease and return its number; ConcurrentUpdate if one exists."""
        return self.put(rotation.lease_name, text, "String", overwrite=False)

    def write_lease(self, rotation: Rotation, text: str) -> int:
        """Store the next version of the lease and return its number."""
        return self.put(rotation.lease_name, text, "String")

    def put(self, name: str, value: str, type_name: str, *, overwrite: bool = True) -> int:
        """Store the next version of a parameter and return its number; see ``create_lease``."""
        old = self.parameters.get(name)
        if old and not overwrite:
            raise ConcurrentUpdate(f"the parameter {name} already exists", advice="read it again")
        version = old.version + 1 if old else 1
        self.parameters[name] = Parameter(value=value, version=version, type=type_name)
        versions = self.history[name] = self.history.get(name, {}) if old else {}
        versions[version] = self.parameters[name]
        versions.pop(version - VERSIONS_KEPT, None)
        return version


def _as_read(stored: Parameter) -> Parameter:
    return stored if stored.type == "String" else replace(stored, value="encrypted")


@dataclass
class MemorySecretStore:
    """The port SecretStore on dicts: credentials by secret id, and by secret id and stage."""

    credentials: dict[str, ClientCredentials]
    staged: dict[tuple[str, Stage], ClientCredentials] = field(default_factory=dict)

    def read(self, rotation: Rotation) -> ClientCredentials:
        """Return the rotation's credentials; raises CredentialsError if its secret does not exist."""
        if rotation.secret_id not in self.credentials:
            raise CredentialsError(
                f"the secret {rotation.secret_id} could not be read: ResourceNotFoundException",
                advice="create the secret",
            )
        return self.credentials[rotation.secret_id]

    def read_stage(self, rotation: Rotation, stage: Stage) -> ClientCredentials | None:
        """Return the credentials in another stage of the rotation's secret, None if it has no such stage."""
        return self.staged.get((rotation.secret_id, stage))
