"""Hosts that hang, are down or refuse strangers: they take nothing else down with them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

import fakes
from fakes import Clock
from rotator.agenda import AT_A_TIME, MISSES
from rotator.errors import ConcurrentUpdate, TokenEndpointUnavailable
from rotator.oauth import TokenRequest, TokenResponse
from troubles import HOUR, World, member, served

pytestmark = pytest.mark.usefixtures("nobody_waits_for_ever")


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
