"""The ports of a renewal: Protocols that the adapters implement."""

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
"""The most parameters that Parameter Store reads or deletes in one call.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
"""


class ParameterStore(Protocol):
    """SSM Parameter Store: versioned values. They are decrypted only for copies in other Regions.

    Every method raises ParameterStoreError if AWS denies, throttles or refuses the call.
    """

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Return the parameters that exist, by name; at most ten in one call."""

    def read_decrypted(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Return the parameters that exist, by name, with their values in the clear; at most ten."""

    def read_versions(self, name: str, versions: Sequence[int]) -> Mapping[int, Parameter]:
        """Return the requested versions of a parameter that still exist; each call reads ten."""

    def read_path(
        self, path: str, *, retry_until: Deadline | None = None
    ) -> Iterator[Mapping[str, Parameter]]:
        """Yield the parameters below a path by full name, each page as soon as it is read.

        Until ``retry_until``, a page is read again if AWS throttles every attempt of the SDK.
        """

    def write_token(self, rotation: Rotation, token: Secret) -> int:
        """Store the token as a SecureString under the rotation's key; return its version."""

    def write_status(self, rotation: Rotation, text: str) -> int:
        """Store the status and return its version."""

    def create_lease(self, rotation: Rotation, text: str) -> int:
        """Store the first version and return its number, 1; raises ConcurrentUpdate if a version exists."""

    def write_lease(self, rotation: Rotation, text: str) -> int:
        """Store the next version and return its number; raises ConcurrentUpdate if another run does, too."""


class SecretStore(Protocol):
    """AWS Secrets Manager: the source of client credentials."""

    def read(self, rotation: Rotation) -> ClientCredentials:
        """Return the current credentials; raises CredentialsError if they are missing or cannot be used."""

    def read_stage(self, rotation: Rotation, stage: Stage) -> ClientCredentials | None:
        """Return the credentials in the version with this staging label, or None if no version has it.

        Raises CredentialsError if the version is denied or malformed.
        """


class TokenEndpoint(Protocol):
    """The authorization server's token endpoint, and the API at ``verify_url``."""

    def request(
        self, request: TokenRequest, *, deadline: Deadline, retry_until: Deadline | None = None
    ) -> TokenResponse:
        """Return the endpoint's 2xx answer, after retries as long as a retry may help and time remains.

        Sending, waiting and reading must be complete at the deadline. No retry begins after ``retry_until``.
        Raises TokenEndpointUnavailable if no attempt was answered, or if each answer asked for a retry later,
        TokenRequestRejected if the endpoint refused the request, TokenRequestError if it cannot be used.
        """

    def probe(
        self, url: str, token: Secret, *, deadline: Deadline, headers: Mapping[str, Secret] | None = None
    ) -> None:
        """Raise TokenVerificationError unless a GET with the token and the headers answers 2xx."""


class Ports(Protocol):
    """All three ports. An adapter may be created on first use."""

    @property
    def parameters(self) -> ParameterStore:
        """The store of tokens, statuses and leases."""

    @property
    def secrets(self) -> SecretStore:
        """The source of client credentials."""

    @property
    def token_endpoint(self) -> TokenEndpoint:
        """The source of tokens."""


WRITE_RESERVE_SECONDS = 10.0
"""The time at the end of a run that is reserved for writing token and status."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the rotator.

    A dry run stops before the first change, the lease, and returns the result of a run without failures.
    """

    id: str  # unique
    now: Callable[[], datetime]  # returns the time (UTC)
    deadline: Deadline  # when the run must be over; Lambda stops it then
    budget: float  # the seconds from the start of the run to the deadline
    overrun: float = 0.0  # how long a last write may exceed the deadline if Lambda does not stop the run
    expected_lifetime: ExpectedLifetime | None = None  # that the settings lead to expect, if known
    next_run: datetime | None = None  # when the next run begins (UTC), if known
    force: bool = False  # renews fresh tokens as well, and publishes a token even if it expires sooner
    dry_run: bool = False

    @property
    def request_deadline(self) -> Deadline:
        """The deadline of requests to the token endpoint; the time after it is reserved for the writes."""
        return self.deadline.earlier_by(min(WRITE_RESERVE_SECONDS, self.budget / 4))
