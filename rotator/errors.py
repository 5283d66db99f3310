"""Everything that can go wrong, as one tree.

::

    RotatorError
    +- SettingsError                 names the setting, what it got, what it takes
    +- CredentialsError              the secret or the signing key is missing, denied or malformed
    +- TokenRequestError             the token endpoint could not be used (e.g. its certificate)
    |  +- TokenEndpointUnavailable   worth a retry; carries ``retry_after``
    |  +- TokenRequestRejected       carries the RFC 6749 error code and the HTTP status
    |  +- InvalidTokenResponse       2xx, but not a token we would publish
    +- TokenVerificationError        ``verify_url`` did not accept the token
    +- ParameterStoreError           denied, throttled, too large, wrong type, key unusable
    |  +- ConcurrentUpdate           another run wrote first
    |  +- TokenNotPublished          a token was issued and could not be stored
    |  +- StatusNotWritten           the new token is stored; carries the status that is not (renewal.status)
    +- NotReached                    the run's time was over before the renewal began
    +- WorkNotSent                   a rotation that is due could not be enqueued for the workers
    +- RotationFailed                the run's: holds the summary (renewal.results)
    +- TokenUnavailable              the reading side has no token
    |  +- TokenExpired               the stored token has expired
    +- CommandNotRun                 of `rotator exec`; carries the exit code

A message says what happened and what to do next, and never holds a token, a secret or a
response body. For the same reason the adapters do not chain the SDK's or the HTTP library's
exceptions: those carry the request, and with it the secret, wherever the exception travels.
"""

from __future__ import annotations

import logging
import traceback
from enum import StrEnum
from typing import Self

logger = logging.getLogger(__name__)

# Settings have one name with those who deploy a stack, and another with those who run by hand.
MORE_TIME = "raise TimeoutSeconds of the stack"
MORE_WRITES = (
    "raise WritesPerSecond of the stack (ROTATOR_WRITES_PER_SECOND) if the account's quota allows it"
)
FEWER_WORKERS = "lower Workers of the stack (ROTATOR_WORKERS)"


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
"""The error codes with which servers refuse the client itself; RFC 6749, 5.2 means the first for that."""


def is_client_refused(status: int, code: str | None) -> bool:
    """Whether a refusal is of the client, and not of what it asked for: any 401, and some codes."""
    return status == 401 or code in CLIENT_REFUSED_CODES


class Retry(StrEnum):
    """Who tries again what failed."""

    NEXT_RUN = "the next run tries again"
    NEXT_CALL = "the next call tries again"
    BY_HAND = "try again"


def next_step(advice: str, retry: Retry | None) -> str:
    """Return what to do about an error, after who tries again."""
    return f"{retry}; if it lasts, {advice}" if retry else advice


class RotatorError(Exception):
    """The base of every error of this package. ``str()`` gives the problem and the next step.

    Attributes:
        problem: What happened, and to what.
        advice: What to do about it.
        retry: Who tries again, if the same may succeed later without a change.
        may_have_issued: Whether the token endpoint may have issued a token that was not published.
    """

    def __init__(
        self, problem: str, *, advice: str, retry: Retry | None = None, may_have_issued: bool = False
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.advice = advice
        self.retry = retry
        self.may_have_issued = may_have_issued

    def __str__(self) -> str:
        """Return the message."""
        return f"{self.problem}; {self.next_step}"

    @property
    def next_step(self) -> str:
        """The advice, after who tries again."""
        return next_step(self.advice, self.retry)

    def at(self, place: str) -> Self:
        """Return the same error, of the same type, whose message begins with the place where it happened."""
        placed = self.again()
        placed.problem = f"{place}: {self.problem}"
        placed.args = (placed.problem,)
        return placed

    def again(self) -> Self:
        """Return the same error without its traceback and causes, which keep local variables in memory."""
        same = type(self).__new__(type(self))
        same.__dict__ |= self.__dict__
        same.args = self.args
        return same

    def by_hand(self) -> Self:
        """Return the same error as a command reports it: only its operator tries that again."""
        same = self.again()
        same.retry = Retry.BY_HAND if self.retry else None
        return same

    def after(self, earlier: RotatorError | None) -> Self:
        """Return the same error, as it follows an earlier request of the run that failed."""
        if earlier is None or not earlier.may_have_issued:
            return self
        same = self.again()
        same.may_have_issued = True
        return same


class SettingsError(RotatorError):
    """A setting, an event or a command line is not usable as given."""


class CredentialsError(RotatorError):
    """The client credentials could not be read from the secret, or no assertion could be signed with them."""


class TokenRequestError(RotatorError):
    """No token was obtained from the token endpoint."""


class TokenEndpointUnavailable(TokenRequestError):
    """The endpoint did not answer, or asked to be tried again later.

    ``retry_after`` is the wait in seconds it asked for (RFC 9110, 10.2.3), if it did. If not ``retryable``,
    only the next run tries again.
    """

    def __init__(
        self,
        problem: str,
        *,
        advice: str,
        retry_after: float | None = None,
        retryable: bool = True,
        may_have_issued: bool = False,
    ) -> None:
        super().__init__(problem, advice=advice, retry=Retry.NEXT_RUN, may_have_issued=may_have_issued)
        self.retry_after = retry_after
        self.retryable = retryable


class TokenRequestRejected(TokenRequestError):
    """The endpoint refused the request; repeating it would not help.

    ``code`` is the error code if the answer held a known one, as RFC 6749, 5.2 writes it.
    """

    def __init__(
        self, problem: str, *, advice: str, status: int, code: str | None, may_have_issued: bool = False
    ) -> None:
        super().__init__(problem, advice=advice, may_have_issued=may_have_issued)
        self.status = status
        self.code = code

    @property
    def client_refused(self) -> bool:
        """Whether it is the client that was refused, and not what it asked for."""
        return is_client_refused(self.status, self.code)


class InvalidTokenResponse(TokenRequestError):
    """The endpoint answered 2xx, but what it sent is not a token fit to publish."""

    def __init__(self, problem: str, *, advice: str, may_have_issued: bool = True) -> None:
        super().__init__(problem, advice=advice, may_have_issued=may_have_issued)


class TokenVerificationError(RotatorError):
    """The probe of ``verify_url`` with the new token did not answer 2xx."""

    def __init__(self, problem: str, *, advice: str) -> None:
        super().__init__(problem, advice=advice, may_have_issued=True)


class ParameterStoreError(RotatorError):
    """A parameter could not be read or written.

    ``transient`` says that the call was throttled or AWS failed, which may soon be over; ``unreachable`` that
    there was no answer for as long as a call may take; ``foreign`` that something else answered in its place.
    """

    def __init__(  # noqa: PLR0913 - options by name
        self,
        problem: str,
        *,
        advice: str,
        retry: Retry | None = None,
        transient: bool = False,
        unreachable: bool = False,
        foreign: bool = False,
        may_have_issued: bool = False,
    ) -> None:
        super().__init__(problem, advice=advice, retry=retry, may_have_issued=may_have_issued)
        self.transient = transient
        self.unreachable = unreachable
        self.foreign = foreign

    @property
    def is_unavailable(self) -> bool:
        """Whether AWS was not available, so that the parameters of the call have no part in it."""
        return self.transient or self.unreachable or self.foreign


class ConcurrentUpdate(ParameterStoreError):
    """Another writer was faster: ``ParameterAlreadyExists`` or ``TooManyUpdates``."""


class TokenNotPublished(ParameterStoreError):
    """A token was issued but could not be stored: where that revoked the stored one, consumers suffer."""

    def __init__(self, cause: ParameterStoreError) -> None:
        super().__init__(
            "a new token was issued but not stored, and the stored one may be revoked if the endpoint allows "
            f"only one: {cause.problem}",
            advice=cause.advice,
            retry=cause.retry,
            unreachable=cause.unreachable,
            may_have_issued=True,
        )


class NotReached(RotatorError):
    """A rotation was due, and late or ``forced``, and the run had no time left for it."""

    def __init__(self, *, forced: bool = False) -> None:
        problem = "the run's time was over before its renewal began"
        super().__init__(
            f"not forced: {problem}" if forced else problem,
            advice=f"see which endpoints do not respond, {MORE_WRITES}, or {MORE_TIME}",
            retry=Retry.BY_HAND,
        )


class WorkNotSent(RotatorError):
    """A message to the workers was not taken by their queue."""


class TokenUnavailable(RotatorError):
    """A consumer has no valid token, and the parameter has none either (rotator.consumer)."""


class TokenExpired(TokenUnavailable):
    """The parameter was read, but the token in it has expired."""


class CommandNotRun(RotatorError):
    """``rotator exec`` could not begin the command; ``code`` is the exit code that a shell gives."""

    def __init__(self, problem: str, *, advice: str, code: int) -> None:
        super().__init__(problem, advice=advice)
        self.code = code


def as_rotator_error(error: Exception, where: str, *, may_have_issued: bool = False) -> RotatorError:
    """Return an error of ours as it is; of any other only its type, because its text may quote a secret."""
    if isinstance(error, RotatorError):
        return error
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("unforeseen %s in %s\n%s", type(error).__name__, where, frames)
    problem = f"unforeseen {type(error).__name__}"
    return RotatorError(problem, advice="report it with the log's traceback", may_have_issued=may_have_issued)
