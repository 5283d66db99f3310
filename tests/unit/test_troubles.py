"""Fleets in trouble: what is broken, hangs or is refused takes nothing else down with it, run after run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any

import pytest

import fakes
from fakes import Clock, FakePorts, rotation
from rotator import oauth, renewals
from rotator.agenda import AT_A_TIME, MISSES, Agenda
from rotator.contract import Contract
from rotator.errors import ConcurrentUpdate, CredentialsError, ParameterStoreError, TokenEndpointUnavailable
from rotator.fleet import Fleet, run_fleet
from rotator.memory import Memory
from rotator.model import ClientCredentials, Outcome, Rotation, Secret, Stage, Summary
from rotator.oauth import TokenRequest, TokenResponse
from rotator.pace import Pace
from rotator.writes import WRITES_AT_A_TIME

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
        self.memory = Memory()
        self.pace = Pace(2, clock=lambda: self.clock.now().timestamp(), sleep=self.clock.sleep)

    def run(self, *, pace: bool = True, **options: Any) -> Summary:
        run = replace(fakes.run(self.clock), memory=self.memory)
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


# Hosts.


class Hung(fakes.FakeParameterStore):
    """Takes claims, and then nobody answers."""

    def __init__(self, kind: str, clock: Clock) -> None:
        super().__init__()
        self.kind, self.clock = kind, clock

    def put(self, name: str, value: str, type_name: str, *, overwrite: bool = True) -> int:
        is_claim = name.endswith("/status") and '"claimed_by"' in value
        if not is_claim and name.endswith("/status") == (self.kind == "status"):
            hang(self.clock)
            raise unreachable(ParameterStoreError, "writing failed: Unreachable")
        return super().put(name, value, type_name, overwrite=overwrite)


class Hanging(fakes.FakeTokenEndpoint):
    """Its bad hosts do not answer, for as long as anybody waits."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.patience: list[float] = []

    def request(
        self, request: TokenRequest, *, time_left: Callable[[], float], patience: float = math.inf
    ) -> TokenResponse:
        if "hangs" in request.url:
            self.patience.append(patience)
            raise TokenEndpointUnavailable("it did not answer in time", advice="wait")
        return super().request(request, time_left=time_left, patience=patience)


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


class Silent(fakes.FakeTokenEndpoint):
    """Takes connections, and answers no stranger; its clients neither, unless it ``serves`` them."""

    def __init__(self, clock: Clock, *, serves: bool) -> None:
        super().__init__(clock)
        self.serves = serves

    def contact(self, url: str, *, time_left: Callable[[], float]) -> None:
        self.contacts.append(url)
        raise self.silence()

    def request(
        self, request: TokenRequest, *, time_left: Callable[[], float], patience: float = math.inf
    ) -> TokenResponse:
        if not self.serves:
            self.requests.append(request)
            raise self.silence()
        return super().request(request, time_left=time_left, patience=patience)

    @staticmethod
    def silence() -> TokenEndpointUnavailable:
        error = TokenEndpointUnavailable("it closed the connection", advice="wait")
        error.connected = True
        return error


def test_a_host_that_answers_no_stranger_serves_its_clients_before_they_suffer() -> None:
    world = World(*(member(f"m{number}") for number in range(20)))
    world.ports.token_endpoint = Silent(world.clock, serves=True)
    assert world.run().to_dict()["rotated"] == 20
    assert world.memory.down == {}


def test_a_host_that_answers_no_stranger_is_left_alone_while_there_is_time() -> None:
    world = World(*(member(f"m{number}") for number in range(20))).store_tokens()
    world.ports.token_endpoint = Silent(world.clock, serves=True)
    world.clock.sleep(17 * HOUR)
    assert world.run().to_dict()["failed_late"] == 0
    assert world.ports.parameters.writes == []


def test_a_host_that_answers_nobody_costs_a_contact_and_a_claim_whatever_its_addresses() -> None:
    urls = [f"https://idp.example.test/{number}/token" for number in range(30)]
    world = World(*(member(f"t{number}", token_endpoint=url) for number, url in enumerate(urls)))
    world.ports.token_endpoint = silent = Silent(world.clock, serves=False)
    summary = world.run()
    assert summary.to_dict()["failed"] == 30
    assert (len(silent.contacts), len(silent.requests)) == (1, 1)
    assert len(world.ports.parameters.writes) == 2  # a claim, and its end
    told = {str(result.error) for result in summary.results}
    assert told == {
        "it closed the connection; wait",
        "not requested, since for others of its endpoint or host: it closed the connection; wait",
    }


def test_what_never_came_to_the_endpoint_does_not_speak_for_it() -> None:
    """Every third secret is missing: that the endpoint asks everybody to come later shows as soon."""
    world = World(
        *(
            member(f"m{number:02}", secret_id="healthwise/client" if number % 3 else "missing")
            for number in range(60)
        )
    )
    world.ports.token_endpoint = overloaded = Overloaded(world.clock)
    world.run(pace=False)
    assert overloaded.asked == MISSES


def test_what_another_run_took_first_does_not_speak_for_the_endpoint_either() -> None:
    world = World(*(member(f"m{number:02}") for number in range(60)))

    def take_every_third(name: str) -> None:
        if int(name.split("/")[2][1:]) % 3 == 0:
            raise ConcurrentUpdate("another was faster", advice="wait")

    world.ports.parameters.before_write = take_every_third
    world.ports.token_endpoint = overloaded = Overloaded(world.clock)
    world.run(pace=False)
    assert overloaded.asked == MISSES


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

    def request(
        self, request: TokenRequest, *, time_left: Callable[[], float], patience: float = math.inf
    ) -> TokenResponse:
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


def hang(clock: Clock) -> None:
    """Find nobody for 35 seconds, from the run's beginning on."""
    clock.time = max(clock.time, fakes.START + timedelta(seconds=35))


def test_after_a_write_that_nobody_answered_no_other_is_begun_and_each_rotation_is_told_why() -> None:
    world = World(*(member(f"m{n}", token_endpoint=f"https://h{n}.example.test/") for n in range(200)))
    tried: list[str] = []

    def find_nobody(name: str) -> None:
        tried.append(name)
        hang(world.clock)
        raise unreachable(ParameterStoreError, "writing failed: Unreachable")

    world.ports.parameters.before_write = find_nobody
    summary = world.run()
    assert 1 <= len(tried) <= 2 * WRITES_AT_A_TIME
    assert {result.error_kind for result in summary.results} == {"ParameterStoreError"}
    assert sum("nobody answered another write" in str(result.error) for result in summary.results) >= 160
    assert len(summary.results) == 200


def test_a_write_that_nobody_answered_for_a_moment_stops_nothing() -> None:
    world = World(*(member(f"m{n}", token_endpoint=f"https://h{n}.example.test/") for n in range(200)))

    def fail_once(_name: str) -> None:
        world.ports.parameters.before_write = lambda _name: None
        raise unreachable(ParameterStoreError, "writing failed: Unreachable")

    world.ports.parameters.before_write = fail_once
    assert world.run(pace=False).to_dict()["failed"] == 1


@pytest.mark.parametrize("kind", ["token", "status"])
def test_after_a_token_or_status_that_nobody_took_no_other_token_is_asked_for(kind: str) -> None:
    world = World(*(member(f"m{n}", token_endpoint=f"https://h{n}.example.test/") for n in range(200)))

    world.ports.parameters = Hung(kind, world.clock)
    summary = world.run(pace=False)
    assert len(world.ports.token_endpoint.requests) <= AT_A_TIME
    assert {result.outcome for result in summary.results} == {Outcome.FAILED}
    assert len(summary.results) == 200


class Unreachable(fakes.FakeSecretStore):
    """Nobody answers, whether secrets are asked for together, if that is allowed at all, or alone."""

    def __init__(self, clock: Clock, *, together: bool) -> None:
        super().__init__()
        self.clock, self.together = clock, together
        self.calls = 0

    def read_together(
        self, rotations: Sequence[Rotation]
    ) -> Mapping[str, ClientCredentials | CredentialsError]:
        if not self.together:
            return {}
        return {rotations[0].name: self.read(rotations[0])}

    def read(self, rotation: Rotation) -> ClientCredentials:
        self.calls += 1
        hang(self.clock)
        raise unreachable(CredentialsError, f"{rotation.secret_id} could not be read: Unreachable")


@pytest.mark.parametrize(("together", "calls"), [(True, 1), (False, AT_A_TIME)])
def test_a_secrets_manager_that_nobody_reaches_is_not_asked_again(together: bool, calls: int) -> None:
    world = World(
        *(member(f"m{n}", secret_id=f"s{n}", token_endpoint=f"https://h{n}.test/") for n in range(200))
    )
    world.ports.secrets = store = Unreachable(world.clock, together=together)
    summary = world.run(pace=False)
    assert 1 <= store.calls <= calls
    assert world.ports.parameters.writes == []
    assert {result.outcome for result in summary.results} == {Outcome.FAILED}
    told = {r.name: str(r.error) for r in summary.results if r.error_kind == "CredentialsError"}
    assert all(f"s{name[1:]} " in error for name, error in told.items())


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
