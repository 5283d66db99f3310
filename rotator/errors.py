"""The errors as one tree.

StatusNotWritten and RotationFailed are beside the values that they carry, AwsError is in the AWS adapters.

A message says what happened and what to do next, and never holds a token, a secret or a response body.
For the same reason the adapters do not chain the SDK's or the HTTP library's exceptions: these contain the
request, and therefore the secret.
"""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

logger = logging.getLogger(__name__)

# A stack has template parameters; a run outside Lambda has environment variables.
MORE_TIME = "raise TimeoutSeconds of the stack"
MORE_WRITES = (
    "raise WritesPerSecond of the stack (ROTATOR_WRITES_PER_SECOND) if the account's quota allows it"
)

CLIENT_REFUSED_CODES = frozenset(
    {
        "invalid_client",
        "unauthorized_client",  # Keycloak
        "access_denied",  # Auth0
        "invalid_client_id",  # Salesforce
        "invalid_client_identifier",  # Apigee
        "invalid_client_secret",
        "invalid_client_credentials",
        "invalid_credentials",
    }
)
"""The error codes with which servers refuse the client itself; RFC 6749, 5.2 defines only the first."""


def is_client_refused(status: int, code: str | None) -> bool:
    """Whether the endpoint refused the client, not its request: any HTTP 401, and some error codes."""
    return status == 401 or code in CLIENT_REFUSED_CODES


class Retry(StrEnum):
    """Whether the next run, the next call or the operator repeats a failed operation."""

    NEXT_RUN = "the next run tries again"
    NEXT_CALL = "the next call tries again"
    BY_HAND = "try again"


def next_step(advice: str, retry: Retry | None) -> str:
    """Return the advice, preceded by who repeats the failed operation, if a retry may help."""
    return f"{retry}; if the error persists, {advice}" if retry else advice


@dataclass(eq=False, repr=False, kw_only=True)
class RotatorError(Exception):
    """The base of every error of this package. ``str()`` gives the problem and the next step.

    The problem is the failure, and the rotation, parameter, secret or setting that it concerns.
    """

    problem: str = field(kw_only=False)
    advice: str  # the next step that fixes the cause
    retry: Retry | None = None  # who repeats the operation; None if it cannot succeed without a change
    may_have_issued: bool = False  # whether the endpoint may have issued a token that was not published

    def __post_init__(self) -> None:
        """Set the arguments of the exception, which ``repr`` shows."""
        self.args = (self.problem,)

    def __str__(self) -> str:
        """Return the message."""
        return f"{self.problem}; {self.next_step}"

    @property
    def next_step(self) -> str:
        """The advice, preceded by who repeats the failed operation."""
        return next_step(self.advice, self.retry)

    def again(self, **changes: Any) -> Self:
        """Return a changed copy without traceback and causes, which keep local variables in memory."""
        same = type(self).__new__(type(self))
        same.__dict__ |= self.__dict__ | changes
        same.args = (same.problem,)
        return same

    def by_hand(self) -> Self:
        """Return a copy of the error for a command, which only the operator repeats."""
        return self.again(retry=Retry.BY_HAND if self.retry else None)


class SettingsError(RotatorError):
    """A setting, an event or a command line is not usable as given."""


class CredentialsError(RotatorError):
    """The client credentials could not be read from the secret, or no assertion could be signed with them."""


class TokenRequestError(RotatorError):
    """No token was obtained from the token endpoint, for example because of its certificate."""


@dataclass(eq=False, repr=False, kw_only=True)
class TokenEndpointUnavailable(TokenRequestError):
    """The endpoint did not answer, or asked for a retry later."""

    retry: Retry | None = Retry.NEXT_RUN
    retry_after: float | None = None  # the wait in seconds that the endpoint asked for (RFC 9110, 10.2.3)
    retryable: bool = True  # if not, only the next run tries again


@dataclass(eq=False, repr=False, kw_only=True)
class TokenRequestRejected(TokenRequestError):
    """The endpoint refused the request; repeating the request would not help."""

    status: int
    code: str | None  # in the spelling of RFC 6749, 5.2; None if the answer held no known code

    @property
    def client_refused(self) -> bool:
        """Whether the endpoint refused the client, not its request."""
        return is_client_refused(self.status, self.code)


@dataclass(eq=False, repr=False, kw_only=True)
class InvalidTokenResponse(TokenRequestError):
    """The endpoint answered 2xx, but without a token that may be published."""

    may_have_issued: bool = True


@dataclass(eq=False, repr=False, kw_only=True)
class TokenVerificationError(RotatorError):
    """The probe of ``verify_url`` with the new token did not answer 2xx."""

    may_have_issued: bool = True


@dataclass(eq=False, repr=False, kw_only=True)
class ParameterStoreError(RotatorError):
    """A parameter could not be read or written."""

    transient: bool = False  # AWS throttled the call or failed; a retry may soon succeed
    unreachable: bool = False  # the call timed out without an answer
    foreign: bool = False  # another server, such as a proxy, answered instead of AWS

    @property
    def is_unavailable(self) -> bool:
        """Whether AWS was unavailable; the error then has nothing to do with the parameters of the call."""
        return self.transient or self.unreachable or self.foreign


class ConcurrentUpdate(ParameterStoreError):
    """Another run wrote the parameter first: ``ParameterAlreadyExists`` or ``TooManyUpdates``."""


class TokenNotPublished(ParameterStoreError):
    """A token was issued but not stored; some providers revoke the stored token when they issue a new one."""

    def __init__(self, cause: ParameterStoreError) -> None:
        super().__init__(
            "a new token was issued but not stored, and the provider may have revoked the stored token: "
            f"{cause.problem}",
            advice=cause.advice,
            retry=cause.retry,
            unreachable=cause.unreachable,
            may_have_issued=True,
        )


class NotReached(RotatorError):
    """The run had no time for a rotation that was late or ``forced``."""

    def __init__(self, *, forced: bool = False) -> None:
        renewal = "forced renewal" if forced else "renewal"
        super().__init__(
            f"the run's time ran out before this {renewal} began",
            advice=f"check which endpoints respond slowly, {MORE_WRITES}, or {MORE_TIME}",
            retry=Retry.BY_HAND if forced else Retry.NEXT_RUN,
        )


class WorkNotSent(RotatorError):
    """A message for the workers could not be enqueued."""


class TokenUnavailable(RotatorError):
    """A consumer has no valid token and could not read one from the parameter (rotator.consumer)."""


class TokenExpired(TokenUnavailable):
    """The parameter was read, but the token in it has expired."""


@dataclass(eq=False, repr=False, kw_only=True)
class CommandNotRun(RotatorError):
    """``rotator exec`` could not start the command; ``code`` is the exit code of a shell for this."""

    code: int


def as_rotator_error(error: Exception, where: str, *, may_have_issued: bool = False) -> RotatorError:
    """Return a RotatorError unchanged, and any other error by its type only: its text may quote a secret."""
    if isinstance(error, RotatorError):
        return error
    problem = f"unexpected {type(error).__name__}"
    logger.error("%s in %s\n%s", problem, where, "".join(traceback.format_tb(error.__traceback__)))
    advice = "report this error with the traceback in the log"
    return RotatorError(problem, advice=advice, may_have_issued=may_have_issued)
