"""A parameter and the clocks around it, for tests of the reading side."""

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
    """AWS's clock, which is right, and the two of a machine, which tests can put wrong."""

    def __init__(self) -> None:
        self.true = START
        self.wall = START
        self.steady = 1000.0

    def go_on(self, seconds: float) -> None:
        self.true += timedelta(seconds=seconds)
        self.wall += timedelta(seconds=seconds)
        self.steady += seconds

    def jump(self, seconds: float) -> None:
        """Put the time of day forward, or back."""
        self.wall += timedelta(seconds=seconds)

    def freeze(self, seconds: float) -> None:
        """Freeze the machine, which stops its steady clock."""
        self.true += timedelta(seconds=seconds)
        self.wall += timedelta(seconds=seconds)

    def clock(self) -> Moment:
        return Moment(now=self.wall, monotonic=self.steady)


def status_of(token: str, issued_at: datetime, *, life: float = DAY, version: int = 1, **changes: str) -> str:
    """The status parameter, as the rotator writes it."""
    status = Status(
        parameter_version=version,
        issued_at=issued_at,
        expires_at=issued_at + timedelta(seconds=life),
        renew_at=issued_at + timedelta(seconds=life * 2 / 3),
        scope="*",
        token_sha256=Secret(changes.get("speaks_of", token)).fingerprint,
        secret_version_id="v1",
        rotator_version="0",
    )
    return status_text.dump(status)


class FakeReader:
    """The port ParameterReader in memory.

    ``failure`` is raised instead of an answer. While ``gate`` is set to an event, reads wait for that,
    with an answer that they have already if ``answer_first``.
    An answer is ``latency`` seconds on its way.
    """

    def __init__(self, clocks: Clocks, *, tells_time: bool = True) -> None:
        self.clocks = clocks
        self.tells_time = tells_time
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
        at = self.clocks.true.replace(microsecond=0) if self.tells_time else None
        self.clocks.go_on(self.latency)
        return Found(token=self.found.token, version=self.found.version, status=self.found.status, read_at=at)

    def publish(self, token: str, *, life: float = DAY, status: bool = True) -> None:
        """Store a token that was issued just now."""
        version = self.found.version + 1 if self.found else 1
        text = status_of(token, self.clocks.true, life=life, version=version) if status else None
        self.found = Found(token=token, version=version, status=text)

    def fail(self, message: str = "Unreachable") -> None:
        self.failure = TokenUnavailable(f"could not be read: {message}", advice="check the network")


@dataclass
class Consumer:
    """A source on a fake parameter, and its clocks."""

    clocks: Clocks
    reader: FakeReader
    source: TokenSource

    def settle(self) -> None:
        """Wait until no read is in flight."""
        flight = self.source._reads.in_flight
        if flight:
            assert flight.wait(30)

    def token(self) -> str:
        """The token, once whatever asking for it began in the background is done."""
        token = self.source.token()
        self.settle()
        return token

    def tokens_in(self, seconds: int, *, every: int = 1) -> list[str]:
        """The tokens given while so many seconds pass, or in place of one the name of its error."""
        given = []
        for _ in range(0, seconds, every):
            self.clocks.go_on(every)
            given.append(self.token_or_error())
        return given

    def token_or_error(self) -> str:
        try:
            return self.token()
        except RotatorError as error:
            return type(error).__name__


def consumer(*, tells_time: bool = True, margin: float = 60, ttl: float = 300) -> Consumer:
    """A consumer of a parameter in which nothing is stored yet."""
    clocks = Clocks()
    reader = FakeReader(clocks, tells_time=tells_time)
    source = TokenSource(NAME, reader=reader, clock=clocks.clock, margin=margin, ttl=ttl)
    return Consumer(clocks, reader, source)


def in_threads(count: int, work: Callable[[], object]) -> list[threading.Thread]:
    """Start threads that all do the same; whoever starts them joins them."""
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads
