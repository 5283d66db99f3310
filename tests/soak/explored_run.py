"""One of several interleaved runs: it stops after each of its calls, and a fault may happen to any call."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from greenlet import getcurrent, greenlet

from rotator.errors import ConcurrentUpdate, ParameterStoreError
from rotator.oauth.client_credentials import TokenResponse
from rotator.simulation.calls import Call, Killed, failure
from rotator.simulation.timeline import START

T = TypeVar("T")

LEASE_WRITES = frozenset({Call.CREATE_LEASE, Call.WRITE_LEASE})
WRITES = frozenset({Call.WRITE_TOKEN, Call.WRITE_STATUS, *LEASE_WRITES})

RENEWAL_CALLS = frozenset({Call.REQUEST_TOKEN, Call.WRITE_TOKEN, Call.WRITE_STATUS})
"""The calls whose failure may leave a renewal unfinished."""

HOLDER_CALLS = RENEWAL_CALLS | {Call.READ_SECRET}
"""The calls that a run makes only while it holds the lease."""


class Fault(Enum):
    """A fault of one call of an explored run."""

    KILLED_AFTER = "the process is killed after the call"
    REPEATED = "the first answer is lost, the SDK repeats the call, and the second answer arrives"
    FAILED = "the call fails and has no effect"
    LOST = "the call fails, but has taken effect"
    DELAYED = "the call is not answered, and takes effect later"
    REJECTED = "the token endpoint rejects the client"
    LATE = "the run sleeps until the leases of short runs have expired, and then makes the call"


class ExploredRun:
    """One run: its greenlet, the calls that it made, and how they were answered.

    A delayed write is a run, too: it does nothing but arrive, and has no ``budget``.
    """

    def __init__(self, number: int, *, forced: bool, budget: float) -> None:
        self.number = number
        self.forced = forced
        self.budget = budget
        self.expires_at = START
        self.greenlet: greenlet | None = None
        self.fault: Fault | None = None
        self.calls: list[Call] = []
        self.answers: list[str] = []
        self.delayed: tuple[Call, Callable[[], object]] | None = None
        self.outcome: str | None = None
        self.defect: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether the run has finished, or was killed."""
        return self.outcome is not None

    @property
    def last_call(self) -> Call | None:
        """The call that it made last."""
        return self.calls[-1] if self.calls else None

    @property
    def holds_lease(self) -> bool:
        """Whether it has made calls of a lease holder, and has not released the lease since."""
        return not self.is_done and not HOLDER_CALLS.isdisjoint(self.calls) and not self._has_released_lease

    @property
    def _has_released_lease(self) -> bool:
        is_published = Call.WRITE_TOKEN in self.calls and self.last_call is Call.WRITE_STATUS
        return is_published or sum(call in LEASE_WRITES for call in self.calls) > 1  # acquired, released

    def carry_out(self, call: Call, effect: Callable[[], T]) -> T:
        """Make a call, with the fault that was chosen for it, and stop until this run is chosen again."""
        if call is Call.READ_STAGE:  # no run changes a secret: the moment makes no difference
            return effect()
        answer = self._answer(call, effect)
        self.calls.append(call)
        self.answers.append(_shown(answer))
        getcurrent().parent.switch()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _answer(self, call: Call, effect: Callable[[], T]) -> T | Exception:
        answer = self._answer_with_fault(call, effect)
        self.fault = None
        return answer

    def _answer_with_fault(self, call: Call, effect: Callable[[], T]) -> T | Exception:
        if self.fault is Fault.FAILED:
            return failure(call)
        if self.fault is Fault.DELAYED:
            self.delayed = call, effect
            return ParameterStoreError("no answer", advice="wait", unreachable=True)
        try:
            answer: T | Exception = effect()
            if self.fault is Fault.REPEATED:
                answer = effect()
        except ConcurrentUpdate as conflict:
            answer = conflict
        if self.fault is Fault.KILLED_AFTER:
            self.fault = None
            self.calls.append(call)
            raise Killed
        return failure(call) if self.fault is Fault.LOST else answer


def applies(fault: Fault, call: Call | None) -> bool:
    """Return whether a fault may happen to a call; None is a run's end, before which it may only be late."""
    if fault in (Fault.REPEATED, Fault.DELAYED):
        return call in WRITES
    if fault is Fault.REJECTED:
        return call is Call.REQUEST_TOKEN
    return fault is Fault.LATE or call is not None


def _shown(answer: object) -> str:
    """Return an answer as text that is equal for equal answers."""
    if isinstance(answer, TokenResponse):
        return f"{answer.status} {answer.body!r} {answer.requested_at}"
    return repr(answer)
