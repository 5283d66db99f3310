"""A few runs of the real job on one store, of which each goes on from call to call, with a fault at any call.

A run is a greenlet that stops after each of its calls to the ports. A choice is which run goes on, to the end
of its next call, and what happens to that call. A world is what is stored and what every run has been
answered so far, and checks what must hold in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import partial
from typing import Any, NamedTuple, TypeVar

from greenlet import getcurrent, greenlet

from rotator.config.registry import Fleet
from rotator.errors import ConcurrentUpdate, CredentialsError, ParameterStoreError, TokenEndpointUnavailable
from rotator.fleet.run import run_fleet
from rotator.oauth import client_credentials
from rotator.oauth.client_credentials import TokenRequest, TokenResponse
from rotator.oauth.models import ClientCredentials, Secret
from rotator.renewal import policy, status
from rotator.renewal.guarantee import Contract
from rotator.renewal.models import Outcome, Parameter, Rotation, Status, Stored
from rotator.renewal.policy import TokenState
from rotator.renewal.ports import Run
from rotator.renewal.renew import read
from rotator.simulation.aws import MemoryParameterStore
from rotator.simulation.timeline import START

T = TypeVar("T")

ROTATION = Rotation(name="explored", secret_id="explored", parameter_name="/explored")  # noqa: S106
LIFETIME = timedelta(days=1)
FRESH, DUE = timedelta(hours=1), timedelta(hours=17)
SHORT, LONG = 60.0, 900.0
"""Seconds that a run may take: an operator's, and the longest of a function."""

WRITES = frozenset({"write token", "write status", "create lease", "write lease"})
OF_A_HOLDER = frozenset({"read secret", "request token", "write token", "write status"})
"""The calls that only a run makes which holds the lease."""


OF_A_RENEWAL = frozenset({"request token", "write token", "write status"})
"""The calls whose failure may leave a renewal unfinished."""


class Fault(Enum):
    """What happens to a call."""

    NONE = "it is answered"
    CRASH = "it does what it should, and the process ends"
    REPEATED = "its answer is lost, the SDK repeats it, and the second answer arrives"
    FAILED = "it fails and has done nothing"
    LOST = "it does what it should, and fails"
    DELAYED = "it is not answered, and does what it should later"
    REFUSED = "the token endpoint refuses it"
    LATE = "the run sleeps until the leases of short runs have expired, and makes it then"


class Choice(NamedTuple):
    """Which run goes on, and what happens to its call."""

    run: int
    fault: Fault

    def __str__(self) -> str:
        """Return what is printed of it."""
        return f"run {self.run}" + (f", {self.fault.name.lower()}" if self.fault is not Fault.NONE else "")


@dataclass(frozen=True, kw_only=True)
class Start:
    """What is stored when the runs begin, which of them are forced, and how many faults occur at most.

    ``age`` is the stored token's, None if there is none; ``lease`` says whether there is a lease parameter.
    The last run may take ``longest`` seconds, every other SHORT ones.
    """

    name: str
    forced: tuple[bool, ...]
    faults: int
    age: timedelta | None = DUE
    lease: bool = True
    longest: float = SHORT


class Broken(Exception):
    """A world in which something does not hold that must; ``path`` is how to get there."""

    def __init__(self, what: str, start: Start, path: Sequence[Choice]) -> None:
        super().__init__(f"{start.name}: {what}, after " + "; ".join(map(str, path)))


class Killed(BaseException):
    """The process ends here and now, and none of its code may do anything about it."""


class _Explored:
    """One run: its greenlet, the calls that it made, and what they were answered."""

    def __init__(self, number: int, *, forced: bool, budget: float) -> None:
        self.number = number
        self.forced = forced
        self.budget = budget
        self.calls: list[str] = []
        self.answers: list[str] = []
        self.outcome: str | None = None
        self.greenlet: greenlet | None = None
        self.fault = Fault.NONE
        self.expires_at = START

    @property
    def is_done(self) -> bool:
        return self.outcome is not None

    @property
    def holds(self) -> bool:
        """Whether it has made calls of a holder, and not yet the last one."""
        return not self.is_done and bool(OF_A_HOLDER & {*self.calls}) and not self._has_ended_its_lease

    @property
    def _has_ended_its_lease(self) -> bool:
        is_published = "write token" in self.calls and self.calls[-1] == "write status"
        return is_published or sum(call.endswith("lease") for call in self.calls) > 1


class World:
    """Some runs of the job on one store and one token endpoint."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self.now = START
        self.store = MemoryParameterStore()
        self.requests = 0
        self.path: list[Choice] = []
        self._is_spoilt = False
        self._is_left_held = False
        budgets = [*[SHORT] * (len(start.forced) - 1), start.longest]
        self.runs = [
            _Explored(number, forced=forced, budget=budget)
            for number, (forced, budget) in enumerate(zip(start.forced, budgets, strict=True))
        ]
        self._hub = getcurrent()
        self._store_start()
        self._stored = read(ROTATION, self.store, self.now)

    def _store_start(self) -> None:
        if self.start.age is not None:
            issued_at = START - self.start.age
            stored = Status(
                parameter_version=1,
                issued_at=issued_at,
                expires_at=issued_at + LIFETIME,
                renew_at=issued_at + LIFETIME * 2 / 3,
                scope="*",
                token_sha256="0" * 16,
                secret_version_id="v",  # noqa: S106
                rotator_version="0",
                lease_version=int(self.start.lease),
            )
            self.store.write_token(ROTATION, Secret("stored"))
            self.store.write_status(ROTATION, status.dump(stored))
        if self.start.lease:
            text = (
                '{"schema": 1, "run": "before", "read_version": 0, "expires_at": "2026-01-01T00:00:30Z", '
                '"state": "held", "outcome": null, "error_kind": null, "issued": "no"}'
            )
            if self.start.age is None:
                text = text.replace('"held"', '"released"')
            self.store.create_lease(ROTATION, text)

    # Steps.

    def choices(self) -> Iterator[Choice]:
        """All that may happen next, apart from the kind of the call that it happens to."""
        left = self.start.faults - sum(choice.fault is not Fault.NONE for choice in self.path)
        faults = tuple(Fault) if left else (Fault.NONE,)
        for run in self.runs:
            if not run.is_done and self._may_begin(run):
                # A write is delayed for less time than a lease lasts.
                can_be_late = all(each.budget for each in self.runs if not each.is_done)
                yield from (
                    Choice(run.number, fault) for fault in faults if can_be_late or fault is not Fault.LATE
                )

    def _may_begin(self, run: _Explored) -> bool:
        """Whether it has begun, or all runs of its kind have: it makes no difference which is the first."""
        kind = run.forced, run.budget
        before = (each for each in self.runs[: run.number] if (each.forced, each.budget) == kind)
        return all(each.greenlet is not None for each in before)

    def step(self, choice: Choice, *, check: bool = True) -> bool:
        """Let a run go on to the end of its next call; return whether the fault could happen to that."""
        before = self._stored
        run = self.runs[choice.run]
        self.path.append(choice)
        if choice.fault is Fault.LATE:
            self.now += timedelta(seconds=SHORT + 2)
            self._is_spoilt |= any(each.holds and "request token" in each.calls for each in self.runs)
        run.fault = choice.fault
        if run.greenlet is None:
            run.greenlet = greenlet(partial(self._serve, run), self._hub)
        run.greenlet.switch()
        if run.fault not in (Fault.NONE, Fault.LATE):
            return False  # it made no call that this could happen to
        self._note_fault(choice.fault, run.calls[-1] if run.calls else "")
        if choice.fault is Fault.LATE or (run.calls and run.calls[-1].removesuffix(" arrived") in WRITES):
            self._stored = read(ROTATION, self.store, self.now)
        if check:
            self._check(run, before)
        return True

    def _note_fault(self, fault: Fault, call: str) -> None:
        """Note what a fault may leave behind: an unfinished renewal, or a lease that has no run any more."""
        failed = fault in (Fault.FAILED, Fault.LOST, Fault.DELAYED)
        self._is_spoilt |= fault is Fault.CRASH or (failed and call in OF_A_RENEWAL)
        self._is_left_held |= failed and call.endswith("lease")

    def serve_alone(self) -> str:
        """Let another run, which is not forced, go to its end; return its outcome."""
        run = _Explored(len(self.runs), forced=False, budget=SHORT)
        self.runs.append(run)
        while not run.is_done:
            self.step(Choice(run.number, Fault.NONE))
        assert run.outcome  # noqa: S101
        return run.outcome

    def _serve(self, run: _Explored) -> None:
        end = self.now + timedelta(seconds=run.budget)
        of_job = Run(
            id=f"run-{run.number}",
            now=lambda: self.now,
            time_left=lambda: (end - self.now) / timedelta(seconds=1),
            budget=run.budget,
        )
        run.expires_at = end + timedelta(seconds=1)
        try:
            fleet = Fleet(rotations=(ROTATION,))
            summary = run_fleet(fleet, _Ports(self, run), of_job, Contract(), force=run.forced)
        except Killed:
            run.outcome = "crashed"
            return
        (result,) = summary.results
        run.outcome = result.outcome.value
        if "unforeseen" in str(result.error):
            self._break(f"the job has a defect: {result.error}")

    def call(self, run: _Explored, kind: str, effect: Callable[[], T], error: Callable[[], Exception]) -> T:
        """Make one call of a run, with the fault that was chosen for it, and let others go on."""
        answer = self._apply(run, kind, effect, error)
        run.calls.append(kind)
        run.answers.append(_shown(answer))
        self._hub.switch()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _apply(
        self, run: _Explored, kind: str, effect: Callable[[], T], error: Callable[[], Exception]
    ) -> T | Exception:
        fault = run.fault
        if fault in (Fault.REPEATED, Fault.DELAYED) and kind not in WRITES:
            return error()
        if fault is Fault.REFUSED and kind != "request token":
            return error()
        run.fault = Fault.NONE
        if fault is Fault.FAILED:
            return error()
        if fault is Fault.DELAYED:
            self._delay(run, kind, effect)
            return ParameterStoreError("no answer", advice="wait", unreachable=True)
        if fault is Fault.REFUSED:
            return _answer(401, b'{"error": "invalid_client"}', self)  # type: ignore[return-value]
        try:
            answer: T | Exception = effect()
            if fault is Fault.REPEATED:
                answer = effect()
        except ConcurrentUpdate as conflict:
            answer = conflict
        if fault is Fault.CRASH:
            run.calls.append(kind)
            raise Killed
        return error() if fault is Fault.LOST else answer

    def _delay(self, writer: _Explored, kind: str, effect: Callable[[], object]) -> None:
        """Let a write arrive at any later time, as a run of its own that does nothing else."""
        arrival = _Explored(len(self.runs), forced=writer.forced, budget=0)

        def arrive() -> None:
            with suppress(ConcurrentUpdate):
                effect()
            arrival.calls.append(f"{kind} arrived")
            arrival.outcome = "arrived"

        arrival.answers.append(f"of run {writer.number}")
        arrival.greenlet = greenlet(arrive, self._hub)
        self.runs.append(arrival)

    # What must hold.

    def _check(self, run: _Explored, before: Stored) -> None:
        call = run.calls[-1] if run.calls else ""
        holders = [each.number for each in self.runs if each.holds and self.now < each.expires_at]
        if len(holders) > 1:
            self._break(f"runs {holders} hold the lease at once")
        trusted, stored = before.trusted, self._stored
        if self._is_fresh(before) and not self._is_fresh(stored):
            is_marked = run.forced and call.startswith("write status")
            if not (is_marked or call == "write token"):
                self._break("a fresh token is not fresh any more")
        if trusted and stored.status and stored.status.parameter_version < trusted.parameter_version:
            self._break("the status names an older token than before")
        is_quiet = not any(each.holds for each in self.runs) and not self._is_spoilt
        if is_quiet and stored.token_version and stored.trusted is None:
            self._break("no run is left, and the status names another token than the stored one")

    def check_end(self) -> None:
        """Check what must hold when all runs have ended, and that another run leaves a fresh token."""
        forced = sum(self.start.forced)
        due = self.start.age != FRESH and forced < len(self.start.forced)
        if not (self._is_spoilt or self._has(Fault.REFUSED)) and self.requests > forced + due:
            self._break(f"there were {self.requests} token requests")
        if self.serve_alone() == Outcome.BUSY:
            if not (self._is_spoilt or self._is_left_held or self._has(Fault.REPEATED)):
                self._break("a lease is held although no run is left")
            self.now += timedelta(seconds=self.start.longest + 2)
            self.serve_alone()
        if not self._is_fresh(self._stored):
            self._break("another run leaves a token that is not fresh")

    def _has(self, *faults: Fault) -> bool:
        return any(choice.fault in faults for choice in self.path)

    def _break(self, what: str) -> None:
        raise Broken(what, self.start, self.path)

    def _is_fresh(self, stored: Stored) -> bool:
        return policy.token_state(ROTATION, stored, self.now) is TokenState.FRESH

    def key(self) -> int:
        """Return what tells this world from every other."""
        written = tuple(
            (name, version, parameter.value)
            for name, versions in sorted(self.store.history.items())
            for version, parameter in versions.items()
        )
        runs = tuple(
            (tuple(run.calls), tuple(run.answers), run.outcome, run.greenlet is None) for run in self.runs
        )
        faults = tuple(sorted(choice.fault.name for choice in self.path if choice.fault is not Fault.NONE))
        left = self._is_spoilt, self._is_left_held
        return hash((written, runs, faults, left, self.requests, self.now))

    def end(self) -> None:
        """Let go of the runs that have not ended."""
        for run in self.runs:
            if run.greenlet:  # it has begun, and not ended
                run.greenlet.throw(Killed)


def _shown(answer: object) -> str:
    """Return an answer as text that is the same in every world in which the answer is."""
    if isinstance(answer, TokenResponse):
        return f"{answer.status} {answer.body!r} {answer.requested_at}"
    return repr(answer)


def _answer(status_code: int, body: bytes, world: World) -> TokenResponse:
    return TokenResponse(status=status_code, body=body, requested_at=world.now)


class _Ports:
    """The ports as one run has them."""

    def __init__(self, world: World, run: _Explored) -> None:
        self._world = world
        self._run = run

    @property
    def parameters(self) -> _Ports:
        return self

    @property
    def secrets(self) -> _Secrets:
        return _Secrets(self._world, self._run)

    @property
    def token_endpoint(self) -> _Endpoint:
        return _Endpoint(self._world, self._run)

    def _call(self, kind: str, effect: Callable[[], T]) -> T:
        error = ParameterStoreError("it failed", advice="wait")
        return self._world.call(self._run, kind, effect, lambda: error)

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        return self._call("read", lambda: self._world.store.read(names))

    def read_versions(self, name: str, versions: Sequence[int]) -> Mapping[int, Parameter]:
        if not versions:
            return {}
        return self._call("read versions", lambda: self._world.store.read_versions(name, versions))

    def read_path(self, path: str, **_: object) -> Iterator[Mapping[str, Parameter]]:
        raise NotImplementedError

    def write_token(self, rotation: Rotation, token: Secret) -> int:
        return self._call("write token", lambda: self._world.store.write_token(rotation, token))

    def write_status(self, rotation: Rotation, text: str) -> int:
        return self._call("write status", lambda: self._world.store.write_status(rotation, text))

    def create_lease(self, rotation: Rotation, text: str) -> int:
        return self._call("create lease", lambda: self._world.store.create_lease(rotation, text))

    def write_lease(self, rotation: Rotation, text: str) -> int:
        return self._call("write lease", lambda: self._world.store.write_lease(rotation, text))


@dataclass(frozen=True)
class _Secrets:
    world: World
    run: _Explored

    def read(self, rotation: Rotation) -> ClientCredentials:
        credentials = ClientCredentials(client_id=rotation.name, client_secret=Secret("x"), version_id="v")
        error = CredentialsError("it failed", advice="wait")
        return self.world.call(self.run, "read secret", lambda: credentials, lambda: error)

    def read_stage(self, _rotation: Rotation, _stage: Any) -> None:
        return None


@dataclass(frozen=True)
class _Endpoint:
    world: World
    run: _Explored

    def request(
        self, request: TokenRequest, *, time_left: Callable[[], float], patience: float = math.inf
    ) -> TokenResponse:
        del time_left, patience

        def issue() -> TokenResponse:
            self.world.requests += 1
            token = (
                f'{{"access_token": "t{self.world.requests}", "token_type": "Bearer", "expires_in": 86400}}'
            )
            return _answer(200, token.encode(), self.world)

        error = TokenEndpointUnavailable("no answer", advice="wait", may_have_issued=True)
        response = self.world.call(self.run, "request token", issue, lambda: error)
        client_credentials.check_status(request, response, self.world.now)
        return response

    def probe(self, url: str, token: Secret, *, time_left: Callable[[], float]) -> None:
        del url, token, time_left
