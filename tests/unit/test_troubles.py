"""Fleets in trouble: what is broken, hangs or is refused takes nothing else down with it, run after run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event
from typing import Any

import pytest

import fakes
from fakes import Clock, FakePorts, rotation
from rotator import renewals
from rotator.agenda import AT_A_TIME, MISSES, Agenda
from rotator.contract import Contract
from rotator.errors import CredentialsError, ParameterStoreError, TokenEndpointUnavailable
from rotator.fleet import Fleet, run_fleet
from rotator.model import ClientCredentials, Outcome, Rotation, Secret, Stage, Summary
from rotator.oauth import TokenRequest, TokenResponse
from rotator.pace import Pace

pytestmark = pytest.mark.usefixtures("nobody_waits_for_ever")

CONTRACT = Contract(schedule_interval=300, consumer_cache=300)
HOUR = 3600


def member(name: str, **settings: Any) -> Rotation:
    return rotation(name=name, parameter_name=f"/fleet/{name}", **settings)


class World:
    """A fleet at two writes a second, and what one process remembers from run to run."""

    def __init__(self, *rotations: Rotation) -> None:
        self.clock = Clock()
        self.ports: FakePorts = fakes.ports(self.clock)
        self.fleet = Fleet(rotations=rotations)
        self.troubled: set[str] = set()
        self.pace = Pace(2, clock=lambda: self.clock.now().timestamp(), sleep=self.clock.sleep)

    def run(self, *, pace: bool = True, **options: Any) -> Summary:
        run = replace(fakes.run(self.clock), troubled=self.troubled)
        return run_fleet(
            self.fleet, self.ports, replace(run, pace=self.pace) if pace else run, CONTRACT, **options
        )

    def store_tokens(self) -> World:
        """Let every rotation have a token, each a little younger than the one before."""
        for each in self.fleet.rotations:
            run_fleet(Fleet(rotations=(each,)), self.ports, fakes.run(self.clock), CONTRACT)
            self.clock.sleep(10)
        self.ports.parameters.writes.clear()
        self.ports.token_endpoint.requests.clear()
        return self


def served(summary: Summary) -> set[str]:
    return {result.name for result in summary.results if result.outcome is Outcome.ROTATED}


# Broken rotations.


def test_secrets_that_are_missing_take_no_turn_from_others() -> None:
    broken = [member(f"b{number:02}", secret_id="missing") for number in range(60)]
    world = World(*broken, member("good"))
    assert served(world.run()) == {"good"}
    assert all("good" in name for name in world.ports.parameters.writes)


class Choosy(fakes.FakeTokenEndpoint):
    """Refuses a client for good."""

    def request(self, request: TokenRequest, *, time_left: Callable[[], float]) -> TokenResponse:
        if request.body.value.endswith("scope=refused"):
            self.answers.appendleft((401, {"error": "invalid_client"}))
        return super().request(request, time_left=time_left)


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
    assert world.troubled == set()


def test_a_token_that_was_kept_is_trouble_until_one_is_rotated() -> None:
    world = World(member("a")).store_tokens()
    world.clock.sleep(17 * HOUR)
    endpoint = world.ports.token_endpoint
    endpoint.answers.append((200, endpoint.token_answer(expires_in=HOUR)))
    assert [result.outcome for result in world.run().results] == [Outcome.KEPT]
    assert world.troubled == {"a"}
    assert served(world.run()) == {"a"}
    assert world.troubled == set()


# Hosts.


class Hanging(fakes.FakeTokenEndpoint):
    """Its bad hosts do not answer, for as long as anybody waits."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.patience: list[float] = []

    def request(self, request: TokenRequest, *, time_left: Callable[[], float]) -> TokenResponse:
        if "hangs" in request.url:
            self.patience.append(time_left())
            raise TokenEndpointUnavailable("it did not answer in time", advice="wait")
        return super().request(request, time_left=time_left)


def test_more_hanging_hosts_than_threads_do_not_keep_the_others_from_being_served() -> None:
    hanging = [
        member(f"a{n}", token_endpoint=f"https://hangs{n}.example.test/") for n in range(AT_A_TIME + 2)
    ]
    good = [member(f"z{n}") for n in range(20)]
    world = World(*hanging, *good)
    world.ports.token_endpoint = endpoint = Hanging(world.clock)
    assert served(world.run(pace=False)) == {each.name for each in good}
    assert len(endpoint.patience) == len(hanging)
    assert max(endpoint.patience) <= 10  # seconds: the thread is needed


def test_addresses_of_tenants_at_a_host_that_is_down_cost_one_contact_and_no_claim() -> None:
    urls = [f"https://idp.example.test/{number}/token" for number in range(30)]
    world = World(*(member(f"t{number}", token_endpoint=url) for number, url in enumerate(urls)))
    world.ports.token_endpoint.down.update(urls)
    summary = world.run()
    assert summary.to_dict()["failed"] == 30
    assert len(world.ports.token_endpoint.contacts) == 1
    assert world.ports.parameters.writes == []


class Overloaded(fakes.FakeTokenEndpoint):
    """Answers contacts, and asks everybody else to come later."""

    asked = 0

    def request(self, request: TokenRequest, *, time_left: Callable[[], float]) -> TokenResponse:
        self.asked += 1
        raise TokenEndpointUnavailable("HTTP 429", advice="wait", retry_after=600)


def test_an_endpoint_that_answers_only_contacts_costs_a_few_claims() -> None:
    world = World(*(member(f"m{number}") for number in range(30)))
    world.ports.token_endpoint = Overloaded(world.clock)
    assert world.run().to_dict()["failed"] == 30
    assert world.ports.token_endpoint.asked == MISSES
    assert len(world.ports.parameters.writes) == 2 * MISSES


def refusing(world: World) -> World:
    """Let the endpoint refuse contacts, as one that is overloaded does, or one that refuses strangers."""
    error = TokenEndpointUnavailable("HTTP 503", advice="wait")
    error.answered = True

    def contact(url: str, *, time_left: Callable[[], float]) -> None:
        raise error

    world.ports.token_endpoint.contact = contact  # type: ignore[method-assign]
    return world


def test_an_endpoint_that_refuses_strangers_is_not_asked_while_there_is_time() -> None:
    world = refusing(World(*(member(f"m{number}") for number in range(30))).store_tokens())
    world.clock.sleep(17 * HOUR)
    assert world.run().to_dict()["failed_late"] == 0
    assert world.ports.parameters.writes == []


def test_an_endpoint_that_refuses_strangers_serves_its_clients_before_their_tokens_end() -> None:
    world = refusing(World(*(member(f"m{number}") for number in range(20))).store_tokens())
    world.clock.sleep(21 * HOUR)
    assert world.run().to_dict()["rotated"] == 20


# AWS.


def unreachable(kind: type[Any], message: str) -> Any:
    error = kind(message, advice="check the network")
    error.unreachable = True
    return error


def test_after_a_write_that_nobody_answered_no_other_renewal_is_begun() -> None:
    world = World(*(member(f"m{n}", token_endpoint=f"https://h{n}.example.test/") for n in range(200)))
    error = unreachable(ParameterStoreError, "writing failed: Unreachable")
    world.ports.parameters.before_write = lambda _name: (_ for _ in ()).throw(error)
    summary = world.run(pace=False)
    tried = [result for result in summary.results if result.error_kind == "ParameterStoreError"]
    assert 1 <= len(tried) <= AT_A_TIME
    assert len(summary.results) == 200


class Unreachable(fakes.FakeSecretStore):
    """Nobody answers."""

    calls = 0

    def read_together(
        self, rotations: Sequence[Rotation]
    ) -> Mapping[str, ClientCredentials | CredentialsError]:
        self.calls += 1
        raise CredentialsError("the secret could not be read: Unreachable", advice="check the network")

    def read(self, rotation: Rotation) -> ClientCredentials:
        self.calls += 1
        raise AssertionError


def test_a_secrets_manager_that_nobody_reaches_is_asked_once() -> None:
    world = World(*(member(f"m{number}") for number in range(50)))
    world.ports.secrets = store = Unreachable()
    assert world.run().to_dict()["failed"] == 50
    assert store.calls == 1


class Unbatched(fakes.FakeSecretStore):
    """Secrets can be read one by one only."""

    def read_together(
        self, rotations: Sequence[Rotation]
    ) -> Mapping[str, ClientCredentials | CredentialsError]:
        super().read_together(rotations)
        return {}


def test_a_batch_that_told_nothing_is_not_tried_again_for_every_rotation() -> None:
    world = World(*(member(f"m{number}") for number in range(50)))
    world.ports.secrets = store = Unbatched()
    assert world.run(pace=False).to_dict()["rotated"] == 50
    assert (len(store.batches), store.reads) == (1, 50)


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
    assert {result.error_kind for result in summary.results if result.error} == {"NotReached"}
    assert summary.to_dict()["failed_late"] == 0


@pytest.mark.parametrize("rollover", [True, False])
def test_a_secret_that_changed_since_it_was_read_ahead_is_read_again(rollover: bool) -> None:
    world = World(*(member(f"m{number}", secret_rollover=rollover) for number in range(3)))
    changed = ClientCredentials(client_id="client", client_secret=Secret("changed"), version_id="secret-v2")

    def change(_name: str) -> None:
        world.ports.secrets.staged["healthwise/client", Stage.CURRENT] = changed

    world.ports.parameters.before_write = change
    world.ports.token_endpoint.answers.append((401, {"error": "invalid_client"}))
    assert world.run().to_dict()["rotated"] == 3
