"""The token of a parameter, for as long as it is good, at the price of one read a renewal.

Most calls take the copy in memory. Where that needs a refresh, one call starts a read in a thread of its own,
and all go on with what they have; only where nothing good is held do they wait. No lock is held meanwhile.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from rotator.consumer.flight import SingleFlight
from rotator.consumer.lifetime import Clock, Copy, Moment, Need, copy_of
from rotator.consumer.pause import Pause
from rotator.consumer.reading import ParameterReader, stored_token
from rotator.consumer.ssm import SsmReader
from rotator.errors import RotatorError, TokenExpired, TokenUnavailable

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

logger = logging.getLogger(__name__)

MARGIN = 60.0
"""Seconds before its end in which a token is not presented if there is a better one."""

TTL = 300.0
"""Seconds for which a token is kept whose end nobody tells: what consumers are promised by default."""

PATIENCE = 2.0
"""Seconds that a call waits for a better token while the one it has is still good."""


@dataclass(frozen=True, kw_only=True)
class _Held:
    """What reads have left: the last good copy, why the last read gave none, and when to read again."""

    copy: Copy | None = None
    failure: RotatorError | None = None
    pause: Pause = field(default_factory=Pause)

    def after(self, read: Copy | RotatorError, moment: Moment) -> _Held:
        """Return what is held after a read."""
        longer = self.pause.longer(moment)
        if isinstance(read, RotatorError):
            return _Held(copy=self.copy, failure=read, pause=longer)
        nothing_new = self.copy is not None and self.copy.token == read.token
        return _Held(copy=read, pause=longer if nothing_new else Pause())


class TokenSource:
    """The current token of a parameter; make one for a process, and share it between its threads.

    The token is kept until its own end less ``margin`` seconds, as the status parameter tells it, or the
    token itself if it is a JWT, whichever is earlier; where neither does, for ``ttl`` seconds. While
    Parameter Store is out of reach the last good token is given until it ends.

    ``client`` is a boto3 client for SSM, by default one of the environment; ``clock`` and ``reader`` are for
    tests.

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
        self.parameter_name = parameter_name
        self._read = reader or SsmReader(parameter_name, client)
        self._margin = margin
        self._ttl = ttl
        self._clock = clock or Clock()
        self._held = _Held()
        self._reads = SingleFlight(self._read_anew)

    def __repr__(self) -> str:
        """Name the parameter, not what is in it."""
        return f"TokenSource({self.parameter_name!r})"

    def token(self) -> str:
        """Return the token: exactly what goes after ``Bearer``.

        Raises TokenExpired if what is stored has ended, TokenUnavailable if there is no good token and
        Parameter Store gives none, SettingsError if the SDK has no Region or profile to go by.
        """
        need = self._need()
        if need is not Need.NOTHING:
            read = self._refresh()
            if read and need is Need.REPLACEMENT:
                read.wait()
            elif read and need is Need.REFRESH_NOW:
                read.wait(PATIENCE)
        return self._good_token() or self._complain()

    def token_at_hand(self) -> str | None:
        """Return the token if that needs no waiting, and None otherwise: for callers that must not block."""
        need = self._need()
        if need is Need.REFRESH_AHEAD:
            self._refresh()
        return self._good_token() if need in (Need.NOTHING, Need.REFRESH_AHEAD) else None

    def seconds_left(self) -> float:
        """Return the seconds of life, or of ``ttl``, that the token in memory has left; 0 without one."""
        copy = self._held.copy
        return max(0.0, copy.left(Moment.of(self._clock))) if copy else 0.0

    def replacement(self, rejected: str) -> str | None:
        """Return another token than the one that was answered 401, or None if there is no other.

        Reads the parameter once, unless that was done since, or just before to no avail.
        """
        read = self._reads.join(lambda: self._good_token() in (rejected, None) and self._may_read())
        if read and self._good_token() in (rejected, None):
            read.wait()
        token = self._good_token()
        return token if token != rejected else None

    def _refresh(self) -> threading.Event | None:
        """Return the read in flight, begun here if none is; None if it must pause, or just ended."""
        return self._reads.join(lambda: self._need() is not Need.NOTHING and self._may_read())

    def _need(self) -> Need:
        copy = self._held.copy
        return copy.need(Moment.of(self._clock)) if copy else Need.REPLACEMENT

    def _may_read(self) -> bool:
        return self._held.pause.is_over(Moment.of(self._clock))

    def _good_token(self) -> str | None:
        copy = self._held.copy
        return copy.token if copy and copy.left(Moment.of(self._clock)) > 0 else None

    def _read_anew(self) -> None:
        """Read the parameter and hold what comes of it; while a token lives, the log tells of failures."""
        try:
            self._held = self._held.after(self._read_copy(), Moment.of(self._clock))
        except Exception as error:  # noqa: BLE001 - also a defect, or what a client that was given raises
            failure = self._foreseen(error)
            self._held = self._held.after(failure, Moment.of(self._clock))
            if self._good_token():
                logger.warning("the last token is used until it ends: %s", failure)

    def _read_copy(self) -> Copy:
        """Read the parameter; raises TokenUnavailable if it gives no token that is alive."""
        asked_at = Moment.of(self._clock)
        found = self._read()
        stored = stored_token(self.parameter_name, found)
        copy = copy_of(stored, asked_at=asked_at, told_at=found.read_at, margin=self._margin, ttl=self._ttl)
        if copy.left(Moment.of(self._clock)) <= 0:
            raise self._expired(f"ended {-copy.life:.0f} s ago")
        return copy

    def _foreseen(self, error: Exception) -> RotatorError:
        """An error of ours as it is; of any other only its type, because nobody knows what it quotes."""
        if isinstance(error, RotatorError):
            return error
        return TokenUnavailable(
            f"reading the parameter {self.parameter_name} failed: unforeseen {type(error).__name__}",
            advice="report it; the next call tries again",
        )

    def _complain(self) -> NoReturn:
        """Raise each caller an error of its own: frames are added to those that are raised."""
        failure = self._held.failure
        if failure is None:
            raise self._expired("has ended, and the last read found no other")
        raise type(failure)(failure.problem, advice=failure.advice)

    def _expired(self, what: str) -> TokenExpired:
        return TokenExpired(
            f"the token in {self.parameter_name} {what}",
            advice="see why it was not renewed: `rotator status`, `rotator doctor`",
        )
