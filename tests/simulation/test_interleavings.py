"""Every interleaving of two runs of the real job, and that a broken protocol is detected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from rotator.errors import ConcurrentUpdate, RotatorError
from rotator.fleet import scheduler
from rotator.renewal import lease, renew
from rotator.renewal import status as status_text
from rotator.renewal.lease import HeldLease
from rotator.renewal.lease_text import LeaseText
from rotator.renewal.models import Lease, Outcome, Result, Rotation, Stored
from rotator.renewal.ports import ParameterStore, Ports, Run
from rotator.renewal.results import failed_with
from soak.initial_states import starts
from soak.interleavings import explore

acquire, judge, act = lease.acquire, lease.judge, renew._rotate


@pytest.mark.parametrize(("faults", "at_least"), [(0, 2_000), (1, 15_000)])
def test_every_interleaving_of_two_runs_keeps_every_invariant(
    faults: int, at_least: int, capsys: pytest.CaptureFixture[str]
) -> None:
    explored = [explore(start) for start in starts(2, faults=faults)]
    assert [each.violation for each in explored if each.violation] == []
    assert all(each.is_complete for each in explored)
    states, ends = sum(each.states for each in explored), sum(each.ends for each in explored)
    with capsys.disabled():
        print(f"\ntwo runs, {faults} faults: {states:,} states, {ends:,} of them final")  # noqa: T201 - it says how much was seen
    assert states > at_least


def test_exploration_that_is_cut_off_is_not_complete() -> None:
    answers = iter([True] * 20)
    explored = explore(next(starts(3, faults=2)), go_on=lambda: next(answers, False))
    assert (explored.is_complete, explored.violation) == (False, None)
    assert 20 < explored.states < 1000


class Hopeful:
    """A store that answers every write of a lease with the version that its writer expects."""

    def __init__(self, parameters: ParameterStore, read_version: int) -> None:
        self._parameters = parameters
        self._read_version = read_version

    def write_lease(self, of: Rotation, text: str) -> int:
        self._parameters.write_lease(of, text)
        return self._read_version + 1

    def create_lease(self, of: Rotation, text: str) -> int:
        try:
            return self._parameters.create_lease(of, text)
        except ConcurrentUpdate:
            return 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parameters, name)


def acquire_without_version_check(
    of: Rotation, stored: Stored, parameters: ParameterStore, run: Run
) -> HeldLease | None:
    hopeful: Any = Hopeful(parameters, stored.lease.version)
    held = acquire(of, stored, hopeful, run)
    return held and replace(held, parameters=parameters)


def judge_current_text_alone(texts: Mapping[int, LeaseText], **options: Any) -> Lease:
    """Treat every text of a lease as valid, as a naive variant of the protocol does."""
    newest = max(texts)
    text = texts[newest]
    judged = judge({newest if text.released else text.read_version + 1: text}, **options)
    return replace(judged, version=newest)


def write_status_before_the_lease(of: Rotation, stored: Stored, ports: Ports, run: Run) -> Result:
    """Write the status that was read before the lease was acquired, as version 0.1 did."""
    if stored.token_status:
        ports.parameters.write_status(of, status_text.dump(stored.token_status))
    return act(of, stored, ports, run)


def decide_by_the_check(of: Rotation, checked: Stored, ports: Ports, run: Run) -> Result:
    """Read the lease, but not the token and status again, as version 0.1 did."""
    try:
        found = ports.parameters.read([of.lease_name])
        stored = lease.with_lease(of, checked, found, ports.parameters, run.now())
        return act(of, stored, ports, run)
    except Exception as error:  # noqa: BLE001
        return failed_with(of, checked, error, run)


@contextmanager
def release_after_every_failure(held: HeldLease) -> Iterator[None]:
    """Release the lease also after a write that was not answered and may still arrive."""
    try:
        yield
    except RotatorError as error:
        held.release(Outcome.FAILED, error_kind=type(error).__name__, may_have_issued=error.may_have_issued)
        raise


BREAKS: dict[str, tuple[Any, str, Any, int, str]] = {
    "no version check": (lease, "acquire", acquire_without_version_check, 0, "hold the lease at once"),
    "a loser's text judged alone": (
        lease,
        "judge",
        judge_current_text_alone,
        1,
        "a lease is held although all runs are over",
    ),
    "a status written before the lease is held": (
        renew,
        "_rotate",
        write_status_before_the_lease,
        0,
        "a fresh token is not fresh any more",
    ),
    "a lease released although a write may still arrive": (
        HeldLease,
        "released_on_failure",
        release_after_every_failure,
        1,
        "a fresh token is not fresh any more",
    ),
    "no second read before the decision": (
        scheduler,
        "rotate",
        decide_by_the_check,
        1,
        "there were 2 token requests",
    ),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_broken_protocol_is_detected(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, replacement, faults, found = BREAKS[broken]
    monkeypatch.setattr(module, name, replacement)
    violations = [""]
    for start in starts(2, faults=faults):
        violations.append(explore(start).violation or "")
        if found in violations[-1]:
            break
    assert found in violations[-1]
    assert not any("defect" in each for each in violations)
