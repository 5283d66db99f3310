"""The ports: what a renewal needs from the outside, as Protocols that the adapters implement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rotator.oauth.client_credentials import TokenRequest, TokenResponse
from rotator.oauth.models import ClientCredentials, Secret, Stage
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Parameter, Rotation
from rotator.renewal.policy import ExpectedLifetime

NAMES_PER_CALL = 10
"""Parameters that Parameter Store reads or deletes in one call.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
"""


class ParameterStore(Protocol):
    """SSM Parameter Store: versioned values. A value is decrypted for a copy in another Region alone.

    Every method raises ParameterStoreError when it is denied, throttled or refused.
    """

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Return the parameters that exist, by name; at most ten in one call."""

    def read_decrypted(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Return the parameters that exist, by name, with their values in the clear; at most ten."""

    def read_versions(self, name: str, versions: Sequence[int]) -> Mapping[int, Parameter]:
        """Return those of a parameter's versions that are still kept, ten a call."""

    def read_path(
        self, path: str, *, retry_until: Deadline | None = None
    ) -> Iterator[Mapping[str, Parameter]]:
        """Return all parameters below a path, by full name, page by page as they are read.

        Args:
            path: The path.
            retry_until: Until then a page is read again that was throttled more often than the SDK retries.
        """

    def write_token(self, rotation: Rotation, token: Secret) -> int:
        """Store the token as a SecureString under the rotation's key; return its version."""

    def write_status(self, rotation: Rotation, text: str) -> int:
        """Store the status and return its version."""

    def create_lease(self, rotation: Rotation, text: str) -> int:
        """Store the first version of the lease and return its number, 1.

        Raises ConcurrentUpdate if there is a lease already.
        """

    def write_lease(self, rotation: Rotation, text: str) -> int:
        """Store the next version of the lease and return its number.

        Raises ConcurrentUpdate if Parameter Store was writing it for another run at that moment.
        """


class SecretStore(Protocol):
    """AWS Secrets Manager, from which only client credentials are read."""

    def read(self, rotation: Rotation) -> ClientCredentials:
        """Return the credentials in the current version of the rotation's secret.

        Raises CredentialsError when it is missing, denied or malformed.
        """

    def read_stage(self, rotation: Rotation, stage: Stage) -> ClientCredentials | None:
        """Return the credentials in the version with this staging label, or None if no version has it.

        Raises CredentialsError when that version is denied or malformed.
        """


class TokenEndpoint(Protocol):
    """The authorization server's token endpoint, and the API that the token opens."""

    def request(
        self, request: TokenRequest, *, deadline: Deadline, retry_until: Deadline | None = None
    ) -> TokenResponse:
        """Return the endpoint's 2xx answer, retried while that can help and time remains.

        Args:
            request: What is sent.
            deadline: Of sending, waiting and reading together.
            retry_until: No retry begins later, if that is before the deadline.

        Raises:
            TokenEndpointUnavailable: There was no answer, or none that lasts.
            TokenRequestRejected: The endpoint refused the request.
            TokenRequestError: The endpoint cannot be used.
        """

    def probe(
        self, url: str, token: Secret, *, deadline: Deadline, headers: Mapping[str, Secret] | None = None
    ) -> None:
        """Return if a GET with the token and the headers answers 2xx; raise TokenVerificationError if not."""


class Ports(Protocol):
    """The three together. An adapter may be made when it is first asked for."""

    @property
    def parameters(self) -> ParameterStore:
        """Where tokens and their status are kept."""

    @property
    def secrets(self) -> SecretStore:
        """Where client credentials come from."""

    @property
    def token_endpoint(self) -> TokenEndpoint:
        """Where tokens come from."""


WRITE_RESERVE_SECONDS = 10.0
"""At the end of a run, for the writes of token and status."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the rotator.

    Attributes:
        id: Its name, which no other run has.
        now: Returns the time (UTC).
        deadline: When the run must be over. Lambda stops it then.
        budget: The seconds that remained until the deadline when the run began.
        overrun: The seconds for which a last write may last beyond the deadline, where nothing stops a run.
        expected_lifetime: How long tokens live by the settings, if that is known.
    """

    id: str
    now: Callable[[], datetime]
    deadline: Deadline
    budget: float
    overrun: float = 0.0
    expected_lifetime: ExpectedLifetime | None = None

    @property
    def request_deadline(self) -> Deadline:
        """The deadline of requests to the token endpoint; the time after it is for the writes."""
        return self.deadline.earlier_by(min(WRITE_RESERVE_SECONDS, self.budget / 4))
