"""The token of a parameter, for as long as it is good, at the price of one read a renewal.

Most calls take the copy in memory. Where that needs a refresh, one call starts a read in a thread of its own,
and all go on with what they have; only where nothing good is held do they wait. No lock is held meanwhile.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from typing import TYPE_CHECKING, NoReturn

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
        self._copy: Copy | None = None
        self._failure: RotatorError | None = None
        self._flight: threading.Event | None = None
        self._pause = Pause()
        self._lock = threading.Lock()
        _sources.add(self)

    def __repr__(self) -> str:
        """Name the parameter, not what is in it."""
        return f"TokenSource({self.parameter_name!r})"

    def token(self) -> str:
        """Return the token: exactly what goes after ``Bearer``.

        Raises TokenExpired if what is stored has ended, TokenUnavailable if there is no good token and
        Parameter Store gives none, SettingsError if the SDK has no Region or profile to go by.
        """
        need, flight = self._look()
        if flight and need is Need.REFRESH_NOW:
            flight.wait(PATIENCE)
        elif flight and need is Need.REPLACEMENT:
            flight.wait()
        return self._token_held() or self._complain()

    def token_at_hand(self) -> str | None:
        """Return the token if that needs no waiting, and None otherwise: for callers that must not block."""
        need, _ = self._look()
        return self._token_held() if need in (Need.NOTHING, Need.REFRESH_AHEAD) else None

    def seconds_left(self) -> float:
        """Return the seconds of life, or of ``ttl``, that the token in memory has left; 0 without one."""
        copy = self._copy
        return max(0.0, copy.left(Moment.of(self._clock))) if copy else 0.0

    def replacement(self, rejected: str) -> str | None:
        """Return another token than the one that was answered 401, or None if there is no other.

        Reads the parameter once, unless that was done since, or just before to no avail.
        """
        held = self._token_held()
        if held and held != rejected:
            return held
        flight = self._take_off()
        if flight:
            flight.wait()
        held = self._token_held()
        return held if held != rejected else None

    def _look(self) -> tuple[Need, threading.Event | None]:
        """Judge the copy, and see to the read that it needs; one is in flight then, unless it must pause."""
        copy = self._copy
        need = copy.need(Moment.of(self._clock)) if copy else Need.REPLACEMENT
        return need, None if need is Need.NOTHING else self._take_off()

    def _token_held(self) -> str | None:
        copy = self._copy
        return copy.token if copy and copy.left(Moment.of(self._clock)) > 0 else None

    def _take_off(self) -> threading.Event | None:
        """Return the read that is in flight, started here if none is; None if it must pause."""
        with self._lock:
            if self._flight:
                return self._flight
            if not self._pause.is_over(Moment.of(self._clock)):
                return None
            self._flight = flight = threading.Event()
        try:
            threading.Thread(target=self._fly, args=(flight,), name="token", daemon=True).start()
        except RuntimeError:  # no thread can be had any more when an interpreter ends
            self._fly(flight)
        return flight

    def _fly(self, flight: threading.Event) -> None:
        """Read the parameter, and tell those who wait; nothing may leave them waiting."""
        copy: Copy | None = None
        failure: RotatorError | None = None
        try:
            copy = self._read_copy()
        except Exception as error:  # noqa: BLE001 - also a defect, or what a client that was given raises
            failure = self._foreseen(error)
            if self._token_held():
                logger.warning("the last token is used until it ends: %s", failure)
        finally:
            self._land(flight, copy, failure)

    def _foreseen(self, error: Exception) -> RotatorError:
        """An error of ours as it is; of any other only its type, because nobody knows what it quotes."""
        if isinstance(error, RotatorError):
            return error
        return TokenUnavailable(
            f"reading the parameter {self.parameter_name} failed: unforeseen {type(error).__name__}",
            advice="report it; the next call tries again",
        )

    def _read_copy(self) -> Copy:
        """Read the parameter; raises TokenUnavailable if it gives no token that is alive."""
        asked_at = Moment.of(self._clock)
        found = self._read()
        stored = stored_token(self.parameter_name, found)
        copy = copy_of(stored, asked_at=asked_at, told_at=found.read_at, margin=self._margin, ttl=self._ttl)
        if copy.left(Moment.of(self._clock)) <= 0:
            raise self._expired(f"ended {-copy.life:.0f} s ago")
        return copy

    def _land(self, flight: threading.Event, copy: Copy | None, failure: RotatorError | None) -> None:
        with self._lock:
            nothing_new = copy is None or (self._copy is not None and copy.token == self._copy.token)
            self._pause = self._pause.longer(Moment.of(self._clock)) if nothing_new else Pause()
            self._copy = copy or self._copy
            self._failure = failure
            self._flight = None
        flight.set()

    def _complain(self) -> NoReturn:
        failure = self._failure
        if failure is None:
            raise self._expired("has ended, and the last read found no other")
        raise type(failure)(
            failure.problem, advice=failure.advice
        )  # each caller's own: frames are added to it

    def _expired(self, what: str) -> TokenExpired:
        return TokenExpired(
            f"the token in {self.parameter_name} {what}",
            advice="see why it was not renewed: `rotator status`, `rotator doctor`",
        )

    def _begin_anew(self) -> None:
        """Begin with a free lock and no read: a forked child has its parent's, and none of its threads."""
        self._lock = threading.Lock()
        self._flight = None
        self._pause = Pause()
        if isinstance(self._read, SsmReader):
            self._read.forget_connections()


_sources: weakref.WeakSet[TokenSource] = weakref.WeakSet()


def _begin_anew_in_a_child() -> None:
    for source in list(_sources):
        source._begin_anew()  # noqa: SLF001 - of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_a_child)
