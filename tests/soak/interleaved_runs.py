"""A few runs of the real job on one store, interleaved call by call, with a fault at any call.

A run is a greenlet that stops after each of its calls to the ports. A choice selects the run that continues,
until the end of its next call, and the fault of that call.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from greenlet import getcurrent, greenlet

from rotator.config.registry import Fleet
from rotator.errors import ConcurrentUpdate, RotatorError
from rotator.fleet.run import run_fleet
from rotator.oauth import token_error
from rotator.oauth.client_credentials import TokenRequest, TokenResponse
from rotator.oauth.models import ClientCredentials, Secret
from rotator.renewal.deadline import Deadline
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Stored
from rotator.renewal.ports import Run
from rotator.renewal.renew import read
from rotator.simulation.aws import MemorySecretStore
from rotator.simulation.calls import Call, Intercepted, Killed
from rotator.simulation.timeline import START
from soak.explored_run import LEASE_WRITES, RENEWAL_CALLS, WRITES, ExploredRun, Fault
from soak.initial_states import ROTATION, SHORT_RUN_SECONDS, Start

CREDENTIALS = ClientCredentials(client_id=ROTATION.name, client_secret=Secret("x"), version_id="v")


class Choice(NamedTuple):
    """The run that continues, and the fault of its call."""

    run: int
    fault: Fault | None = None

    def __str__(self) -> str:
        """Return the choice as a report shows it."""
        return f"run {self.run}" + (f", {self.fault.name.lower()}" if self.fault else "")


class InterleavedRuns:
    """Some runs of the job on one store and one token endpoint."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self.now = START
        self.store = start.store()
        self.secrets = MemorySecretStore({ROTATION.secret_id: CREDENTIALS})
        self.token_requests = 0
        self.path: list[Choice] = []
        self.may_be_unfinished = False  # a renewal that no run finishes
        self.may_stay_held = False  # a lease that no run releases
        self.runs: list[ExploredRun] = []
        for forced in start.forced[:-1]:
            self.add_run(forced=forced)
        self.add_run(forced=start.forced[-1], budget=start.longest)
        self._stored: Stored | None = None
        self._hub = getcurrent()

    @property
    def stored(self) -> Stored:
        """What a run would read; read when it is asked for, which paths to a known state never do."""
        if self._stored is None:
            self._stored = read(ROTATION, self.store, self.now)
        return self._stored

    def add_run(self, *, forced: bool = False, budget: float = SHORT_RUN_SECONDS) -> ExploredRun:
        """Add a run that has not begun, and return it."""
        self.runs.append(ExploredRun(len(self.runs), forced=forced, budget=budget))
        return self.runs[-1]

    def choices(self) -> list[Choice]:
        """Return the runs that may continue, without a fault."""
        return [Choice(run.number) for run in self.runs if not run.is_done and self._may_begin(run)]

    def faults(self) -> list[Fault]:
        """Return the faults that may happen to the next call, whichever it is."""
        if sum(choice.fault is not None for choice in self.path) == self.start.faults:
            return []
        # A write is delayed for less time than a lease lasts.
        may_be_late = all(run.budget for run in self.runs if not run.is_done)
        return [fault for fault in Fault if may_be_late or fault is not Fault.LATE]

    def _may_begin(self, run: ExploredRun) -> bool:
        """Return whether all equal runs before it have begun: which of them is the first is irrelevant."""
        kind = run.forced, run.budget
        before = (each for each in self.runs[: run.number] if (each.forced, each.budget) == kind)
        return all(each.greenlet is not None for each in before)

    def step(self, choice: Choice) -> None:
        """Continue a run until the end of its next call, to which the fault must apply."""
        run = self.runs[choice.run]
        self.path.append(choice)
        if choice.fault is Fault.LATE:
            self.now += timedelta(seconds=SHORT_RUN_SECONDS + 2)
            self.may_be_unfinished |= any(
                each.holds_lease and Call.REQUEST_TOKEN in each.calls for each in self.runs
            )
        run.fault = choice.fault
        if run.greenlet is None:
            run.greenlet = greenlet(partial(self._serve, run), self._hub)
        run.greenlet.switch()
        assert run.fault in (None, Fault.LATE)
        if run.delayed:
            self._add_arrival(run, *run.delayed)
            run.delayed = None
        self._note_fault(choice.fault, run.last_call)
        if choice.fault is Fault.LATE or run.last_call in WRITES:
            self._stored = None

    def _add_arrival(self, writer: ExploredRun, call: Call, effect: Callable[[], object]) -> None:
        """Let a delayed write arrive at any later time."""
        arrival = self.add_run(forced=writer.forced, budget=0)

        def arrive() -> None:
            with suppress(ConcurrentUpdate):
                effect()
            arrival.calls.append(call)
            arrival.outcome = "arrived"

        arrival.answers.append(f"of run {writer.number}")
        arrival.greenlet = greenlet(arrive, self._hub)

    def _note_fault(self, fault: Fault | None, call: Call | None) -> None:
        """Record the possible effects of a fault, which exempt the state from some invariants."""
        has_failed = fault in (Fault.FAILED, Fault.LOST, Fault.DELAYED)
        self.may_be_unfinished |= fault is Fault.KILLED_AFTER or (has_failed and call in RENEWAL_CALLS)
        self.may_stay_held |= has_failed and call in LEASE_WRITES

    def _serve(self, explored: ExploredRun) -> None:
        """Carry out the job in one run, in the calling greenlet."""
        end = self.now + timedelta(seconds=explored.budget)
        explored.expires_at = end + timedelta(seconds=1)
        run = Run(
            id=f"run-{explored.number}",
            now=lambda: self.now,
            deadline=Deadline(lambda: (end - self.now) / timedelta(seconds=1)),
            budget=explored.budget,
            force=explored.forced,
        )
        fleet = Fleet(rotations=(ROTATION,))
        try:
            summary = run_fleet(fleet, _Ports(self, explored), run, Guarantee())
        except Killed:
            explored.outcome = "killed"
            return
        (result,) = summary.results
        explored.outcome = result.outcome.value
        if result.error_kind == RotatorError.__name__:  # of an unforeseen exception; no port raises it
            explored.defect = result.error

    def key(self) -> int:
        """Return a number that is equal for equal states of the store and of the runs."""
        written = tuple(
            (name, version, parameter.value)
            for name, versions in sorted(self.store.history.items())
            for version, parameter in versions.items()
        )
        runs = tuple(
            (tuple(run.calls), tuple(run.answers), run.outcome, run.greenlet is None) for run in self.runs
        )
        faults = tuple(sorted(choice.fault.name for choice in self.path if choice.fault))
        flags = self.may_be_unfinished, self.may_stay_held
        return hash((written, runs, faults, flags, self.token_requests, self.now))

    def kill_all(self) -> None:
        """Kill the runs that are not over: a greenlet stays in memory until it finishes."""
        for run in self.runs:
            if run.greenlet:  # false before it begins and after it has finished
                run.greenlet.throw(Killed)


class _Ports:
    """The ports of one run."""

    def __init__(self, runs: InterleavedRuns, run: ExploredRun) -> None:
        self.parameters: Any = Intercepted("parameters", runs.store, run.carry_out)
        self.secrets: Any = Intercepted("secrets", runs.secrets, run.carry_out)
        self.token_endpoint = _Endpoint(runs, run)


@dataclass(frozen=True)
class _Endpoint:
    """The port TokenEndpoint of one run: it issues a new token for each request."""

    runs: InterleavedRuns
    run: ExploredRun

    def request(
        self, request: TokenRequest, *, deadline: Deadline, retry_until: Deadline | None = None
    ) -> TokenResponse:
        del deadline, retry_until
        response = self.run.carry_out(Call.REQUEST_TOKEN, self._respond)
        token_error.check_status(request, response, self.runs.now)
        return response

    def _respond(self) -> TokenResponse:
        now = self.runs.now
        if self.run.fault is Fault.REJECTED:
            return TokenResponse(status=401, body=b'{"error": "invalid_client"}', requested_at=now)
        self.runs.token_requests += 1
        token = f"t{self.runs.token_requests}"
        body = json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 86400})
        return TokenResponse(status=200, body=body.encode(), requested_at=now)

    def probe(
        self, url: str, token: Secret, *, deadline: Deadline, headers: Mapping[str, Secret] | None = None
    ) -> None:
        del url, token, deadline, headers
