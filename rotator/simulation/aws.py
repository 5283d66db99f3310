"""Parameter Store and Secrets Manager in memory, as far as the job relies on them.

They pass the same contract tests as the adapters (tests/contract).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rotator.errors import ConcurrentUpdate, CredentialsError, ParameterStoreError
from rotator.oauth.models import ClientCredentials, Secret, Stage
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Parameter, Rotation
from rotator.renewal.ports import NAMES_PER_CALL

VERSIONS_KEPT = 100


class MemoryParameterStore:
    """The port ParameterStore on a dict, which holds what was written, in the clear."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.parameters: dict[str, Parameter] = {}
        self.history: dict[str, dict[int, Parameter]] = {}

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Return the parameters that exist, by name; a SecureString without its value.

        Raises:
            ParameterStoreError: There are more names than a call may have.
        """
        if len(names) > NAMES_PER_CALL:
            raise ParameterStoreError("too many names", advice="send ten")
        return {name: _as_read(self.parameters[name]) for name in names if name in self.parameters}

    def read_decrypted(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Return the parameters that exist, by name, in the clear; raises what ``read`` raises."""
        return {name: self.parameters[name] for name in self.read(names)}

    def read_versions(self, name: str, versions: Sequence[int]) -> Mapping[int, Parameter]:
        """Return those of a parameter's versions that are still kept."""
        kept = self.history.get(name, {}) if name in self.parameters else {}
        return {version: _as_read(kept[version]) for version in versions if version in kept}

    def read_path(
        self,
        path: str,
        *,
        retry_until: Deadline | None = None,  # noqa: ARG002 - it throttles nothing
    ) -> Iterator[Mapping[str, Parameter]]:
        """Yield the parameters below a path, ten a page."""
        below = path.rstrip("/") + "/"
        found = [(name, _as_read(p)) for name, p in self.parameters.items() if name.startswith(below)]
        for start in range(0, len(found) or 1, NAMES_PER_CALL):
            yield dict(found[start : start + NAMES_PER_CALL])

    def write_token(self, rotation: Rotation, token: Secret) -> int:
        """Store the token's next version and return its number."""
        return self.put(rotation.parameter_name, token.value, "SecureString")

    def write_status(self, rotation: Rotation, text: str) -> int:
        """Store the status's next version and return its number."""
        return self.put(rotation.status_name, text, "String")

    def create_lease(self, rotation: Rotation, text: str) -> int:
        """Store the lease's first version and return its number; raises ConcurrentUpdate if there is one."""
        return self.put(rotation.lease_name, text, "String", overwrite=False)

    def write_lease(self, rotation: Rotation, text: str) -> int:
        """Store the lease's next version and return its number."""
        return self.put(rotation.lease_name, text, "String")

    def put(self, name: str, value: str, type_name: str, *, overwrite: bool = True) -> int:
        """Store a parameter's next version and return its number.

        Raises:
            ConcurrentUpdate: The parameter exists and ``overwrite`` is false.
        """
        with self._lock:
            old = self.parameters.get(name)
            if old and not overwrite:
                raise ConcurrentUpdate("it exists", advice="leave it")
            version = old.version + 1 if old else 1
            self.parameters[name] = Parameter(value=value, version=version, type=type_name)
            versions = self.history[name] = self.history.get(name, {}) if old else {}
            versions[version] = self.parameters[name]
            versions.pop(version - VERSIONS_KEPT, None)
            return version


def _as_read(stored: Parameter) -> Parameter:
    return stored if stored.type == "String" else replace(stored, value="encrypted")


class MemorySecretStore:
    """The port SecretStore on dicts: credentials by secret id, and by secret id and stage."""

    def __init__(self, credentials: Mapping[str, ClientCredentials]) -> None:
        self.credentials = dict(credentials)
        self.staged: dict[tuple[str, Stage], ClientCredentials] = {}

    def read(self, rotation: Rotation) -> ClientCredentials:
        """Return the rotation's credentials; raises CredentialsError if there are none."""
        if rotation.secret_id not in self.credentials:
            raise CredentialsError(
                f"the secret {rotation.secret_id} could not be read: ResourceNotFoundException",
                advice="create it",
            )
        return self.credentials[rotation.secret_id]

    def read_stage(self, rotation: Rotation, stage: Stage) -> ClientCredentials | None:
        """Return the credentials that the rotation's secret has in another stage, None if it has none."""
        return self.staged.get((rotation.secret_id, stage))
