"""Fleets in trouble: what is broken, hangs or is refused takes nothing else down with it, run after run."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

import fakes
from rotator import oauth, renewals
from rotator.agenda import AT_A_TIME, Agenda
from rotator.fleet import Fleet
from rotator.model import ClientCredentials, Outcome, Secret, Stage
from rotator.oauth import TokenRequest, TokenResponse
from troubles import HOUR, World, member, served

pytestmark = pytest.mark.usefixtures("nobody_waits_for_ever")

# Broken rotations.


def test_secrets_that_are_missing_take_no_turn_from_others() -> None:
    broken = [member(f"b{number:02}", secret_id="missing") for number in range(60)]
    world = World(*broken, member("good"))
    assert served(world.run()) == {"good"}
    assert all("good" in name for name in world.ports.parameters.writes)


class Choosy(fakes.FakeTokenEndpoint):
    """Refuses a client for good."""

    def request(
        self, request: TokenRequest, *, time_left: Callable[[], float], patience: float = math.inf
    ) -> TokenResponse:
        if request.body.value.endswith("scope=refused"):
            now = self.clock.now()
            refusal = TokenResponse(status=401, body=b'{"error": "invalid_client"}', requested_at=now)
            oauth.check_status(request, refusal, now)
        return super().request(request, time_left=time_left, patience=patience)


def with_refused(good: int, refused: int) -> World:
    """Rotations that are served, and between them some that never are any more, all with tokens."""
    names = [f"{number:03}" for number in range(good + refused)]
    every = (good + refused) // refused
    world = World(
        *(member(n, scope="refused" if place % every == 0 else "*") for place, n in enumerate(names))
    )
    world.store_tokens()
    world.ports.token_endpoint = Choosy(world.clock)
    return world


def test_clients_that_are_refused_let_no_other_token_die() -> None:
    """Of a hundred that are good, and as many that fail although their tokens live, all are due at once."""
    world = with_refused(good=100, refused=100)
    good = {each.name for each in world.fleet.rotations if each.scope == "*"}
    world.clock.sleep(16 * HOUR)
    saved: set[str] = set()
    for _ in range(24):
        saved |= served(world.run())
        world.clock.sleep(240)
    assert saved == good


def test_what_failed_and_was_mended_is_served_again_although_others_never_are() -> None:
    world = with_refused(good=60, refused=30)
    refused = {each.name for each in world.fleet.rotations if each.scope == "refused"}
    world.clock.sleep(16 * HOUR)
    for _ in range(6):
        world.run()
        world.clock.sleep(240)
    world.ports.token_endpoint = fakes.FakeTokenEndpoint(world.clock)
    mended: set[str] = set()
    for _ in range(6):
        mended |= served(world.run())
        world.clock.sleep(240)
    assert mended == refused
    assert world.memory.troubled == {}


def test_dead_tokens_that_are_refused_for_good_let_no_other_dead_one_wait_for_ever() -> None:
    """As many as a run has turns for, dead for longer than the one that failed once and is mended."""
    world = World(
        *(member(f"m{number:02}", scope="refused") for number in range(40)), member("once", scope="refused")
    )
    world.store_tokens()
    world.clock.sleep(30 * HOUR)
    world.ports.token_endpoint = Choosy(world.clock)
    for _ in range(3):
        world.run()
        world.clock.sleep(240)
    index = [each.name for each in world.fleet.rotations].index("once")
    mended = member("once")
    world.fleet = Fleet(rotations=(*world.fleet.rotations[:index], mended))
    served_at = next(number for number in range(6) if "once" in served(world.run()))
    assert served_at <= 2


def test_trouble_with_rotations_that_are_gone_is_forgotten() -> None:
    world = World(*(member(f"m{number}", secret_id="missing") for number in range(3)))
    world.run()
    assert world.memory.troubled.keys() == {"m0", "m1", "m2"}
    world.fleet = Fleet(rotations=world.fleet.rotations[:1])
    world.run()
    assert world.memory.troubled.keys() == {"m0"}


def test_a_run_over_some_forgets_nothing_of_the_others() -> None:
    world = World(*(member(f"m{number}", secret_id="missing") for number in range(3)))
    world.run()
    world.fleet = world.fleet.only(["m0"])
    world.run()
    assert world.memory.troubled.keys() == {"m0", "m1", "m2"}


def test_a_token_that_was_kept_is_trouble_until_one_is_rotated() -> None:
    world = World(member("a")).store_tokens()
    world.clock.sleep(17 * HOUR)
    endpoint = world.ports.token_endpoint
    endpoint.answers.append((200, endpoint.token_answer(expires_in=HOUR)))
    assert [result.outcome for result in world.run().results] == [Outcome.KEPT]
    assert world.memory.troubled.keys() == {"a"}
    assert served(world.run()) == {"a"}
    assert world.memory.troubled == {}


# Interruptions.


class Interrupted(ThreadPoolExecutor):
    """Whoever waits for what it does is interrupted, as by Ctrl-C."""

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        future = super().submit(*args, **kwargs)

        def interrupt() -> None:
            raise KeyboardInterrupt

        future.result = interrupt  # type: ignore[assignment]
        return future


def test_what_was_begun_before_an_interruption_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(*(member(f"m{n}", token_endpoint=f"https://h{n}.example.test/") for n in range(200)))
    closed = Event()
    close = Agenda.close

    def close_and_tell(agenda: Agenda) -> None:
        close(agenda)
        closed.set()

    monkeypatch.setattr(Agenda, "close", close_and_tell)
    monkeypatch.setattr(renewals, "ThreadPoolExecutor", Interrupted)

    def hold(_name: str) -> None:
        closed.wait(2)

    world.ports.parameters.before_write = hold
    with pytest.raises(KeyboardInterrupt):
        world.run(pace=False)
    writes = world.ports.parameters.writes
    claimed = {name.split("/")[2] for name in writes}
    assert len(claimed) <= AT_A_TIME
    assert len(writes) == 3 * len(claimed)


# What an operator is told.


def test_what_is_left_of_a_forced_run_is_a_failure() -> None:
    """The next tick would find it fresh, and nobody would renew it."""
    world = World(*(member(f"m{number}") for number in range(100))).store_tokens()
    summary = world.run(force=True)
    assert (len(served(summary)), summary.to_dict()["failed"]) == (31, 69)
    left = [result for result in summary.results if result.error]
    assert {result.error_kind for result in left} == {"NotReached"}
    assert {result.error for result in left} == {
        "not forced: the run's time was over before its turn came; run it again"
    }
    assert {result.next_try for result in left} == {None}
    assert summary.to_dict()["failed_late"] == 0
    [warning] = summary.warnings
    assert warning.startswith("69 rotations were not forced, for the run's time was over: run it again")


def test_what_is_left_of_a_forced_run_and_is_due_has_a_next_try() -> None:
    world = World(*(member(f"m{number}") for number in range(100))).store_tokens()
    world.clock.sleep(17 * HOUR)
    left = [result for result in world.run(force=True).results if result.error]
    assert len(left) == 69
    assert all(result.next_try for result in left)
    assert {str(result.error).partition(":")[0] for result in left} == {"not forced"}


@pytest.mark.parametrize("rollover", [True, False])
def test_a_secret_that_changed_since_it_was_read_ahead_is_read_again(rollover: bool) -> None:
    world = World(*(member(f"m{number}", secret_rollover=rollover) for number in range(3)))
    changed = ClientCredentials(client_id="client", client_secret=Secret("changed"), version_id="secret-v2")

    def change(_name: str) -> None:
        world.ports.secrets.staged["healthwise/client", Stage.CURRENT] = changed

    world.ports.parameters.before_write = change
    world.ports.token_endpoint.answers.append((401, {"error": "invalid_client"}))
    assert world.run().to_dict()["rotated"] == 3
