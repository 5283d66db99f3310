"""Returns the valid token of a parameter, with one read per renewal.

Most calls return the cached token. When it needs a refresh, one call starts a read in a thread of its own,
and all calls continue with the cached token. They wait only if there is no valid token, and then hold no
lock.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator

from rotator.consumer.cache import Cache, expired
from rotator.consumer.parse import ParameterReader, token_times
from rotator.consumer.single_flight import SingleFlight
from rotator.consumer.ssm import SsmClient, SsmReader
from rotator.consumer.token_clock import CachedToken, Moment, Need, cached_token, current_moment
from rotator.errors import Retry, RotatorError, TokenUnavailable

logger = logging.getLogger(__name__)

MARGIN_SECONDS = 60.0
"""The last seconds of a token's lifetime, in which it is used only if no other can be read."""

TTL_SECONDS = 300.0
"""How long a token of unknown expiry is kept: the cache time that rotations assume by default."""

REFRESH_WAIT_SECONDS = 2.0
"""How long a call waits for another token while the cached one is still valid."""

LONGEST_WAIT_SECONDS = 30.0
"""How long a call waits if there is no valid token; a read by the default client takes at most 20 s."""


class TokenSource:
    """The current token of a parameter. Make one per process, and share it between threads.

    The token is cached until ``margin`` seconds before it expires. The expiry is in its status parameter, and
    in the token itself if it is a JWT; the earlier time counts. A token of unknown expiry is cached for
    ``ttl`` seconds. While Parameter Store is unavailable, the last valid token is returned until it expires.

    Args:
        parameter_name: The token parameter's name, or its ARN, which is read in the ARN's Region.
        client: A boto3 client for SSM, of that Region; by default one is made from the environment.
        margin: In seconds.
        ttl: In seconds.
        clock: For tests.
        reader: For tests.

    Raises:
        ValueError: ``ttl`` or ``margin`` is out of range.

    Example:
        >>> source = TokenSource("/healthwise/token")
        >>> requests.get(url, auth=TokenAuth(source))
    """

    def __init__(
        self,
        parameter_name: str,
        *,
        client: SsmClient | None = None,
        margin: float = MARGIN_SECONDS,
        ttl: float = TTL_SECONDS,
        clock: Callable[[], Moment] = current_moment,
        reader: ParameterReader | None = None,
    ) -> None:
        if not (ttl > 0 and margin >= 0):
            raise ValueError("ttl must be more than 0 seconds, and margin must not be negative")
        self.parameter_name = parameter_name
        self._read = reader or SsmReader(parameter_name, client)
        self._margin = margin
        self._ttl = ttl
        self._now = clock
        self._cache = Cache(now=clock)
        self._reads = SingleFlight(self._refresh)

    def __repr__(self) -> str:
        """Return the parameter's name, and not its value."""
        return f"TokenSource({self.parameter_name!r})"

    def token(self) -> str:
        """Return the token, without ``Bearer``.

        Raises:
            TokenExpired: The stored token has expired.
            TokenUnavailable: There is no valid token, and none could be read.
            SettingsError: The SDK finds no Region or profile, or the ARN cannot be used.
        """
        read, seconds = self.read_to_await()
        if read:
            read.wait(seconds)
        return self.token_at_hand()

    def replacement(self, rejected: str) -> str | None:
        """Return a token other than the one that a 401 rejected, None if there is no other.

        Reads the parameter once, unless it was read since, or was just read without a new token.
        """
        for read in self.reads_for_another(rejected):
            read.wait(LONGEST_WAIT_SECONDS)
        return self.another_at_hand(rejected)

    def read_to_await(self) -> tuple[threading.Event | None, float]:
        """Begin a read if one is needed; return its event, if the caller must wait for it, and the timeout.

        This method and the next three replace ``token`` and ``replacement`` for callers that wait in their
        own way, for example in an event loop.
        """
        need = self._cache.need()
        if need is Need.NOTHING:
            return None, 0
        read = self._reads.join(lambda: self._cache.need() is not Need.NOTHING and self._cache.may_read())
        if need is Need.REFRESH_AHEAD:
            return None, 0
        return read, LONGEST_WAIT_SECONDS if need is Need.REPLACEMENT else REFRESH_WAIT_SECONDS

    def token_at_hand(self) -> str:
        """Return the token without waiting; raises the same errors as ``token``."""
        token = self._cache.valid_token()
        if token is None:
            raise self._cache.error(self.parameter_name)
        return token

    def reads_for_another(self, rejected: str) -> Iterator[threading.Event]:
        """Yield the events to wait for until a read that began after the rejection is done."""
        in_flight = self._reads.in_flight
        read = self._reads.join(lambda: self._is_without(rejected) and self._cache.may_read())
        if read and self._is_without(rejected):
            yield read
            # A read that was in flight may have read the old token before the 401.
            if read is in_flight and self._is_without(rejected):
                read = self._reads.join(lambda: self._is_without(rejected))
                if read:
                    yield read

    def another_at_hand(self, rejected: str) -> str | None:
        """Return a valid token other than the rejected one without waiting; None if there is none."""
        return None if self._is_without(rejected) else self._cache.valid_token()

    def _is_without(self, rejected: str) -> bool:
        """Return whether there is no valid token other than the rejected one."""
        return self._cache.valid_token() in (rejected, None)

    def seconds_left(self) -> float:
        """Return the remaining lifetime, or ``ttl``, of the cached token in seconds; 0 without one."""
        cached = self._cache.cached
        return max(0.0, cached.remaining(self._now())) if cached else 0.0

    def _refresh(self) -> None:
        """Read the parameter into the cache. Log a failure only if no caller gets it, as a token is valid."""
        try:
            self._cache = self._cache.after(self._read_token())
        except BaseException as error:  # including defects, and errors of a given client
            failure = self._as_ours(error)
            is_repeated = str(failure) == str(self._cache.failure)
            self._cache = self._cache.after(failure)
            if self._cache.valid_token():
                text = "the cached token is used until it expires, because it could not be refreshed: %s"
                logger.log(logging.DEBUG if is_repeated else logging.WARNING, text, failure)
            if not isinstance(error, Exception):
                raise

    def _read_token(self) -> CachedToken:
        """Return the parameter's token; raises TokenUnavailable if it contains no valid one."""
        requested_at = self._now()
        found = self._read()
        expires_at, renew_at = token_times(self.parameter_name, found)
        token = cached_token(
            found,
            expires_at=expires_at,
            renew_at=renew_at,
            requested_at=requested_at,
            margin=self._margin,
            ttl=self._ttl,
            spread=random.random(),  # noqa: S311 - no secret
        )
        if token.remaining(self._now()) <= 0:
            raise expired(self.parameter_name, f"expired {-token.lifetime:.0f} s ago")
        return token

    def _as_ours(self, error: BaseException) -> RotatorError:
        """Return a RotatorError; it has only the type of any other error, whose text may quote the token."""
        if isinstance(error, RotatorError):
            return error
        return TokenUnavailable(
            f"reading the parameter {self.parameter_name} failed: unexpected {type(error).__name__}",
            advice="report it as a bug",
            retry=Retry.NEXT_CALL,
        )
