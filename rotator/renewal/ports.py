"""What the job needs from the outside world, as Protocols. The adapters implement them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rotator.oauth.client_credentials import TokenRequest, TokenResponse
from rotator.oauth.models import ClientCredentials, Secret, Stage
from rotator.renewal.models import Parameter, Rotation

NAMES_PER_CALL = 10
"""Parameters that Parameter Store reads or deletes in one call.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
"""


def no_patience() -> float:
    """No seconds for trying again what the adapter's own tries could not get."""
    return 0.0


class ParameterStore(Protocol):
    """SSM Parameter Store: versioned values. Nothing here ever decrypts one.

    Every method raises ParameterStoreError when it is denied, throttled or refused.
    """

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Return the parameters that exist, by name; ten at the most in one call."""

    def read_versions(self, name: str, versions: Sequence[int]) -> Mapping[int, Parameter]:
        """Return those of a parameter's versions that are still kept, ten a call."""

    def read_path(
        self, path: str, *, patience: Callable[[], float] = no_patience
    ) -> Iterator[Mapping[str, Parameter]]:
        """Give all parameters below a path, by full name, page by page as they are read.

        A page that is throttled is asked for again while there are seconds of ``patience``.
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
    """The authorization server's token endpoint, and the API that the token opens.

    ``time_left`` returns the seconds that remain for sending, waiting and reading together.
    """

    def request(
        self, request: TokenRequest, *, time_left: Callable[[], float], patience: float = math.inf
    ) -> TokenResponse:
        """Return the endpoint's 2xx answer, retried while that can help and time is left.

        ``patience`` is for how many seconds from now another try may begin; the first has all the time.
        Raises TokenEndpointUnavailable, TokenRequestRejected or TokenRequestError.
        """

    def probe(self, url: str, token: Secret, *, time_left: Callable[[], float]) -> None:
        """Return if a GET with the token answers 2xx; raise TokenVerificationError if not."""


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


WRITE_RESERVE = 10.0
"""Seconds at a run's end that token requests leave to the two writes."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the rotator: who it is, what time it is, and how long it may go on.

    ``time_left`` returns the seconds until the run must end; ``budget`` is what it began with. Lambda
    cuts a run off then; elsewhere a last write may take up to ``overrun`` seconds more.
    """

    id: str
    now: Callable[[], datetime]
    time_left: Callable[[], float]
    budget: float
    overrun: float = 0.0

    def time_for_requests(self) -> float:
        """Return the seconds left for requests to the token endpoint; the writes take the rest."""
        return self.time_left() - min(WRITE_RESERVE, self.budget / 4)
