"""A parameter and the clocks around it, for tests of consumers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fake_ports import DAY, START
from rotator.consumer import TokenSource
from rotator.consumer.parse import Found
from rotator.consumer.token_clock import Moment
from rotator.errors import RotatorError, TokenUnavailable
from rotator.oauth.models import Secret
from rotator.renewal import status as status_text
from rotator.renewal.models import Status

NAME = "/healthwise/token"


class Clocks:
    """The correct clock of AWS, and the two clocks of a machine, which tests can set wrong."""

    def __init__(self) -> None:
        self.true = START
        self.wall = START
        self.steady = 1000.0

    def advance(self, seconds: float) -> None:
        self.true += timedelta(seconds=seconds)
        self.wall += timedelta(seconds=seconds)
        self.steady += seconds

    def jump(self, seconds: float) -> None:
        """Set the time of day forward or back."""
        self.wall += timedelta(seconds=seconds)

    def freeze(self, seconds: float) -> None:
        """Freeze the machine, whose steady clock stops."""
        self.true += timedelta(seconds=seconds)
        self.wall += timedelta(seconds=seconds)

    def clock(self) -> Moment:
        return Moment(now=self.wall, monotonic=self.steady)


def status_of(token: str, issued_at: datetime, *, lifetime: float = DAY, version: int = 1) -> str:
    """Return the value of the status parameter, as the rotator writes it."""
    status = Status(
        parameter_version=version,
        issued_at=issued_at,
        expires_at=issued_at + timedelta(seconds=lifetime),
        renew_at=issued_at + timedelta(seconds=lifetime * 2 / 3),
        scope="*",
        token_sha256=Secret(token).fingerprint,
        secret_version_id="v1",
        rotator_version="0",
    )
    return status_text.dump(status)


class FakeReader:
    """The port ParameterReader in memory.

    ``failure`` is raised instead of an answer. If ``gate`` is an event, reads wait for it; with
    ``answer_first`` they already have their answer then. An answer takes ``latency`` seconds.
    """

    def __init__(self, clocks: Clocks, *, has_time: bool = True) -> None:
        self.clocks = clocks
        self.has_time = has_time
        self.found: Found | None = None
        self.failure: BaseException | None = None
        self.gate: threading.Event | None = None
        self.latency = 0.0
        self.answer_first = False
        self.begun = threading.Semaphore(0)
        self.reads = 0
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()

    def __call__(self) -> Found:
        with self._lock:
            self.reads += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun.release()
        try:
            answer = self._answer() if self.answer_first else None
            if self.gate:
                assert self.gate.wait(30)
            return answer or self._answer()
        finally:
            with self._lock:
                self.at_once -= 1

    def _answer(self) -> Found:
        if self.failure:
            raise self.failure
        if self.found is None:
            raise TokenUnavailable(f"there is no parameter {NAME}", advice="check its name")
        at = self.clocks.true.replace(microsecond=0) if self.has_time else None
        self.clocks.advance(self.latency)
        return Found(token=self.found.token, version=self.found.version, status=self.found.status, read_at=at)

    def publish(self, token: str, *, lifetime: float = DAY, status: bool = True) -> None:
        """Store a token issued at the current time."""
        version = self.found.version + 1 if self.found else 1
        text = status_of(token, self.clocks.true, lifetime=lifetime, version=version) if status else None
        self.found = Found(token=token, version=version, status=text)

    def fail(self, message: str = "Unreachable") -> None:
        self.failure = TokenUnavailable(f"could not be read: {message}", advice="check the network")


@dataclass
class Consumer:
    """A token source with a fake parameter, and its clocks."""

    clocks: Clocks
    reader: FakeReader
    source: TokenSource

    def settle(self) -> None:
        """Wait until no read is in flight."""
        flight = self.source._reads.in_flight
        if flight:
            assert flight.wait(30)

    def token(self) -> str:
        """Return the token, after any background read that the call began."""
        token = self.source.token()
        self.settle()
        return token

    def tokens_in(self, seconds: int, *, every: int = 1) -> list[str]:
        """Return the tokens, or the names of errors, of calls at intervals during n seconds."""
        given = []
        for _ in range(0, seconds, every):
            self.clocks.advance(every)
            given.append(self.token_or_error())
        return given

    def token_or_error(self) -> str:
        try:
            return self.token()
        except RotatorError as error:
            return type(error).__name__


def consumer(*, has_time: bool = True, margin: float = 60, ttl: float = 300) -> Consumer:
    """Return a consumer of a parameter that does not exist yet."""
    clocks = Clocks()
    reader = FakeReader(clocks, has_time=has_time)
    source = TokenSource(NAME, reader=reader, clock=clocks.clock, margin=margin, ttl=ttl)
    return Consumer(clocks, reader, source)


def in_threads(count: int, work: Callable[[], object]) -> list[threading.Thread]:
    """Start threads that all do the same work; the caller joins them."""
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads
