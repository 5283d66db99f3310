"""The token of a parameter, for as long as it is good, at the price of one read a renewal.

Most calls take the copy in memory. Where that needs a refresh, one call starts a read in a thread of its own,
and all go on with what they have; only where nothing good is held do they wait. No lock is held meanwhile.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rotator.consumer.cached_token import Held, expired
from rotator.consumer.parse import ParameterReader, stored_token
from rotator.consumer.single_flight import SingleFlight
from rotator.consumer.ssm import SsmReader
from rotator.consumer.token_clock import Clock, Copy, Moment, Need, copy_of
from rotator.errors import RotatorError, TokenUnavailable

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

logger = logging.getLogger(__name__)

MARGIN = 60.0
"""Seconds before its end in which a token is not presented if there is a better one."""

TTL = 300.0
"""Seconds for which a token is kept whose end nobody tells: what consumers are promised by default."""

PATIENCE = 2.0
"""Seconds that a call waits for a better token while the one it has is still good."""

LONGEST_WAIT = 30.0
"""Seconds that a call waits for any token; a read by a client of ours takes 20 at the most."""


class TokenSource:
    """The current token of a parameter; make one for a process, and share it between its threads.

    The token is kept until its own end less ``margin`` seconds, as the status parameter tells it, or the
    token itself if it is a JWT, whichever is earlier; where neither does, for ``ttl`` seconds. While
    Parameter Store is out of reach the last good token is given until it ends.

    ``client`` is a boto3 client for SSM, by default one of the environment; ``clock`` and ``reader`` are for
    tests. Raises ValueError for a ``ttl`` or ``margin`` that makes no sense.

    Example:
        >>> source = TokenSource("/healthwise/token")
        >>> requests.get(url, auth=TokenAuth(source))
    """

    def __init__(
        self,
        parameter_name: str,
        *,
        client: SSMClient | None = None,
        margin: float = MARGIN,
        ttl: float = TTL,
        clock: Clock | None = None,
        reader: ParameterReader | None = None,
    ) -> None:
        if not (ttl > 0 and margin >= 0):
            raise ValueError("ttl is more than 0 seconds, and margin not less")
        self.parameter_name = parameter_name
        self._read = reader or SsmReader(parameter_name, client)
        self._margin = margin
        self._ttl = ttl
        self._clock = clock or Clock()
        self._held = Held()
        self._reads = SingleFlight(self._read_anew)

    def __repr__(self) -> str:
        """Name the parameter, not what is in it."""
        return f"TokenSource({self.parameter_name!r})"

    def token(self) -> str:
        """Return the token: exactly what goes after ``Bearer``.

        Raises TokenExpired if what is stored has ended, TokenUnavailable if there is no good token and
        Parameter Store gives none, SettingsError if the SDK has no Region or profile to go by.
        """
        read, seconds = self.read_to_await()
        if read:
            read.wait(seconds)
        return self.token_at_hand()

    def replacement(self, rejected: str) -> str | None:
        """Return another token than the one that was answered 401, or None if there is no other.

        Reads the parameter once, unless that was done since, or just before to no avail.
        """
        for read in self.reads_for_another(rejected):
            read.wait(LONGEST_WAIT)
        return self.another_at_hand(rejected)

    def read_to_await(self) -> tuple[threading.Event | None, float]:
        """Begin the read that is needed; return what to wait for before a token is at hand, and how long.

        This, and the next three, are ``token`` and ``replacement`` for callers that wait in their own way.
        """
        need = self._need()
        if need is Need.NOTHING:
            return None, 0
        read = self._reads.join(lambda: self._need() is not Need.NOTHING and self._may_read())
        if need is Need.REFRESH_AHEAD:
            return None, 0
        return read, LONGEST_WAIT if need is Need.REPLACEMENT else PATIENCE

    def token_at_hand(self) -> str:
        """Return the token without waiting; raises what ``token`` raises."""
        token = self._good_token()
        if token is None:
            raise self._held.complaint(self.parameter_name, self._now())
        return token

    def reads_for_another(self, rejected: str) -> Iterator[threading.Event]:
        """Give what to wait for before another token is at hand: a read begun after that one was rejected."""
        in_flight = self._reads.in_flight
        read = self._reads.join(lambda: self._is_without(rejected) and self._may_read())
        if read and self._is_without(rejected):
            yield read
            if read is in_flight and self._is_without(rejected):  # it may have been answered before the 401
                read = self._reads.join(lambda: self._is_without(rejected))
                if read:
                    yield read

    def another_at_hand(self, rejected: str) -> str | None:
        """Return a good token other than that one, without waiting; None if there is none."""
        return None if self._is_without(rejected) else self._good_token()

    def _is_without(self, rejected: str) -> bool:
        """Whether there is no good token but the rejected one."""
        return self._good_token() in (rejected, None)

    def seconds_left(self) -> float:
        """Return the seconds of life, or of ``ttl``, that the token in memory has left; 0 without one."""
        copy = self._held.copy
        return max(0.0, copy.left(self._now())) if copy else 0.0

    def _now(self) -> Moment:
        return Moment.of(self._clock)

    def _need(self) -> Need:
        return self._held.need(self._now())

    def _may_read(self) -> bool:
        return self._held.pause.is_over(self._now())

    def _good_token(self) -> str | None:
        return self._held.good_token(self._now())

    def _read_anew(self) -> None:
        """Read the parameter and hold what comes of it; while a token lives, the log tells of failures."""
        try:
            self._held = self._held.after(self._read_copy(), self._now())
        except BaseException as error:  # also a defect, or what a client that was given raises
            failure = self._foreseen(error)
            told_already = str(failure) == str(self._held.failure)
            self._held = self._held.after(failure, self._now())
            if self._good_token():
                level = logging.DEBUG if told_already else logging.WARNING
                logger.log(level, "the last token is used until it ends: %s", failure)
            if not isinstance(error, Exception):
                raise

    def _read_copy(self) -> Copy:
        """Read the parameter; raises TokenUnavailable if it gives no token that is alive."""
        asked_at = self._now()
        found = self._read()
        stored = stored_token(self.parameter_name, found)
        copy = copy_of(
            stored,
            asked_at=asked_at,
            told_at=found.read_at,
            margin=self._margin,
            ttl=self._ttl,
            spread=random.random(),  # noqa: S311 - no secret
        )
        if copy.left(self._now()) <= 0:
            raise expired(self.parameter_name, f"ended {-copy.life:.0f} s ago")
        return copy

    def _foreseen(self, error: BaseException) -> RotatorError:
        """An error of ours as it is; of any other only its type, because nobody knows what it quotes."""
        if isinstance(error, RotatorError):
            return error
        return TokenUnavailable(
            f"reading the parameter {self.parameter_name} failed: unforeseen {type(error).__name__}",
            advice="report it; the next call tries again",
        )
