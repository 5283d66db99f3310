"""Secrets read ahead, and patience that ends while others wait."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest

import fakes
from fakes import Clock, FakeSecretStore, rotation
from rotator.errors import CredentialsError
from rotator.model import ClientCredentials, Rotation, Secret, Stage
from rotator.oauth import TokenRequest, TokenResponse, token_request
from rotator.sharing import (
    LONGEST_AHEAD,
    PATIENCE,
    SECRETS_PER_READ,
    CredentialsAhead,
    ImpatientEndpoint,
    within,
)

ALL = [rotation(name=str(n), parameter_name=f"/fleet/{n}") for n in range(50)]


class World:
    """A store whose secrets are read ahead, in the order of the rotations."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = FakeSecretStore()
        self.waiting = list(ALL)
        self.ahead = CredentialsAhead(self.store, fakes.run(self.clock), lambda n: self.waiting[:n])

    def next(self) -> Rotation:
        return self.waiting.pop(0)


def test_the_secrets_that_are_needed_next_are_read_in_one_call() -> None:
    world = World()
    for _ in range(SECRETS_PER_READ):
        taken = world.next()
        world.ahead.prepare(taken)
        assert world.ahead.read(taken).client_id == "client"
    assert world.store.batches == [[str(n) for n in range(SECRETS_PER_READ)]]
    assert world.store.reads == 0


def test_the_last_one_is_read_alone() -> None:
    world = World()
    world.waiting = ALL[:1]
    taken = world.next()
    world.ahead.prepare(taken)
    assert world.ahead.read(taken).client_id == "client"
    assert (world.store.batches, world.store.reads) == ([], 1)


def test_no_more_of_the_next_are_looked_at_than_one_call_takes() -> None:
    world = World()
    world.ahead.prepare(world.next())
    world.ahead.prepare(ALL[-1])
    assert (len(world.store.batches), world.store.reads) == (1, 1)


def test_those_that_ask_while_another_is_served_are_read_together() -> None:
    store = FakeSecretStore()
    first, *others = ALL[:3]
    with ThreadPoolExecutor() as pool:
        asking: list[Future[None]] = []

        def none_but_others_ask(_count: int) -> list[Rotation]:
            if not asking:
                asking.extend(pool.submit(ahead.prepare, each) for each in others)
                while len(ahead._asking) < len(others) and not any(each.done() for each in asking):
                    wait(asking, timeout=0)  # gives way to them
            return []

        ahead = CredentialsAhead(store, fakes.run(Clock()), none_but_others_ask)
        ahead.prepare(first)
        for each in asking:
            each.result(timeout=10)
    assert [sorted(batch) for batch in store.batches] == [["1", "2"]]
    assert store.reads == 1


def test_other_stages_and_other_rotations_are_what_the_store_has() -> None:
    world = World()
    world.store.stage(Stage.PENDING, "pending")
    pending = world.ahead.read_stage(ALL[0], Stage.PENDING)
    assert pending
    assert pending.version_id == "secret-awspending"
    assert world.ahead.read_stage(ALL[0], Stage.PREVIOUS) is None
    assert world.ahead.read_together(ALL[:2]).keys() == {"0", "1"}


def test_one_that_cannot_be_read_together_is_read_alone_which_tells_why() -> None:
    world = World()
    broken = rotation(name="broken", parameter_name="/fleet/broken", secret_id="missing")
    with pytest.raises(CredentialsError, match="the secret missing could not be read"):
        world.ahead.prepare(broken)
    assert world.store.batches


class Malformed(FakeSecretStore):
    """Secrets that can be read and hold nothing of use."""

    def read_together(self, rotations: Sequence[Rotation]) -> Mapping[str, CredentialsError]:
        super().read_together(rotations)
        return {r.name: CredentialsError("it is not JSON", advice="mend it") for r in rotations}


def test_what_is_wrong_with_a_secret_is_told_without_another_read() -> None:
    world = World()
    store = Malformed()
    ahead = CredentialsAhead(store, fakes.run(world.clock), lambda n: world.waiting[:n])
    with pytest.raises(CredentialsError, match="it is not JSON"):
        ahead.prepare(world.next())
    assert store.reads == 0


def test_what_was_made_ready_is_given_once_and_then_read_anew() -> None:
    world = World()
    taken = world.next()
    world.ahead.prepare(taken)
    assert world.ahead.read(taken).read_ahead
    assert not world.ahead.read(taken).read_ahead
    assert world.store.reads == 1


def test_what_was_read_too_long_ago_is_read_again() -> None:
    world = World()
    world.ahead.prepare(world.next())
    later = world.next()
    world.clock.sleep(LONGEST_AHEAD.total_seconds() + 1)
    world.ahead.prepare(later)
    assert [batch[0] for batch in world.store.batches] == ["0", "1"]


def test_until_then_it_is_not() -> None:
    world = World()
    taken = world.next()
    world.ahead.prepare(taken)
    world.clock.sleep(LONGEST_AHEAD.total_seconds())
    assert world.ahead.read(taken).read_ahead
    assert world.store.reads == 0


def test_no_call_is_larger_than_it_may_be_however_many_come_next() -> None:
    store = FakeSecretStore()
    CredentialsAhead(store, fakes.run(Clock()), lambda _count: ALL[1:]).prepare(ALL[0])
    assert [len(batch) for batch in store.batches] == [SECRETS_PER_READ]


class Troubled(FakeSecretStore):
    """Reads nothing together, or fails, while it is told to."""

    tells_nothing = False
    error: CredentialsError | None = None

    def read_together(self, rotations: Sequence[Rotation]) -> Mapping[str, Any]:
        found = super().read_together(rotations)
        if self.error:
            raise self.error
        return {} if self.tells_nothing else found


def troubled() -> tuple[World, Troubled]:
    world = World()
    world.store = store = Troubled()
    world.ahead = CredentialsAhead(store, fakes.run(world.clock), lambda n: world.waiting[:n])
    return world, store


def test_a_call_that_told_nothing_is_made_again_after_a_while_and_after_one_that_did_at_once() -> None:
    world, store = troubled()
    store.tells_nothing = True
    for seconds, batches in ((0, 1), (LONGEST_AHEAD.total_seconds(), 1), (1, 2)):
        world.clock.sleep(seconds)
        world.ahead.prepare(world.next())
        assert len(store.batches) == batches
    store.tells_nothing = False
    world.clock.sleep(LONGEST_AHEAD.total_seconds() + 1)
    for batches in (3, 4):
        world.ahead.prepare(world.next())
        assert len(store.batches) == batches
        del world.waiting[: SECRETS_PER_READ - 1]


class Hanging(FakeSecretStore):
    """Nobody answers for so long, while it is told to hang; it may tell nothing of many together."""

    def __init__(self, clock: Clock, seconds: float, *, together: bool) -> None:
        super().__init__()
        self.clock, self.seconds, self.together = clock, seconds, together
        self.hangs = True
        self.asked = 0

    def hang(self) -> None:
        self.asked += 1
        if self.hangs:
            self.clock.sleep(self.seconds)
            error = CredentialsError("the secret could not be read: Unreachable", advice="check the network")
            error.unreachable = True
            raise error

    def read_together(
        self, rotations: Sequence[Rotation]
    ) -> Mapping[str, ClientCredentials | CredentialsError]:
        if not self.together:
            return {}
        self.hang()
        return super().read_together(rotations)

    def read(self, rotation: Rotation) -> ClientCredentials:
        self.hang()
        return super().read(rotation)


def hanging(seconds: float, *, together: bool) -> tuple[World, Hanging]:
    world = World()
    store = Hanging(world.clock, seconds, together=together)
    world.ahead = CredentialsAhead(store, fakes.run(world.clock), lambda n: world.waiting[:n])
    return world, store


@pytest.mark.parametrize("together", [True, False])
def test_a_store_that_hangs_is_not_asked_again_if_the_run_would_be_cut_off(together: bool) -> None:
    world, store = hanging(35, together=together)
    for problem in ("Unreachable", "the secret healthwise/client was not read: nobody answered when another"):
        with pytest.raises(CredentialsError, match=problem) as caught:
            world.ahead.prepare(world.next())
        assert caught.value.unreachable
    assert store.asked == 1


def test_a_secret_that_is_not_even_read_alone_says_so_of_itself() -> None:
    """The batch told nothing a moment ago, so that is not tried again either."""
    world, store = hanging(25, together=False)
    world.ahead = CredentialsAhead(store, fakes.run(world.clock, budget=45), lambda n: world.waiting[:n])
    with pytest.raises(CredentialsError, match="Unreachable"):
        world.ahead.prepare(world.next())
    with pytest.raises(CredentialsError) as caught:
        world.ahead.prepare(world.next())
    assert str(caught.value) == (
        "the secret healthwise/client was not read: nobody answered when another was, for longer than the "
        "run has left; check the network path to AWS and AWS_ENDPOINT_URL; the next run tries again"
    )


@pytest.mark.parametrize("together", [True, False])
def test_a_store_that_failed_to_answer_for_a_moment_is_asked_for_the_next(together: bool) -> None:
    world, store = hanging(5, together=together)
    with pytest.raises(CredentialsError, match="Unreachable"):
        world.ahead.prepare(world.next())
    store.hangs = False
    world.clock.sleep(30)
    taken = world.next()
    world.ahead.prepare(taken)
    world.clock.sleep(17)  # three seconds are left: it has answered since
    world.ahead.prepare(world.next())
    assert world.ahead.read(taken).client_id == "client"


def test_nothing_is_made_ready_for_one_that_did_not_ask() -> None:
    world = World()
    assert not world.ahead.read(ALL[0]).read_ahead
    assert world.store.batches == []


class Watched(fakes.FakeTokenEndpoint):
    """Notes for how long it may try."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.patience: list[float] = []

    def request(
        self, request: TokenRequest, *, time_left: Callable[[], float], patience: float = math.inf
    ) -> TokenResponse:
        self.patience += [time_left(), patience]
        return super().request(request, time_left=time_left, patience=patience)

    def contact(self, url: str, *, time_left: Callable[[], float]) -> None:
        self.patience.append(time_left())
        super().contact(url, time_left=time_left)

    def probe(self, url: str, token: Secret, *, time_left: Callable[[], float]) -> None:
        self.patience.append(time_left())
        super().probe(url, token, time_left=time_left)


def test_an_impatient_endpoint_is_asked_the_same_and_has_less_time_for_trying_again() -> None:
    clock = Clock()
    endpoint = Watched(clock)
    impatient = ImpatientEndpoint(endpoint)
    left = fakes.run(clock, budget=60).time_left
    credentials = FakeSecretStore().read(ALL[0])
    request = token_request(ALL[0], credentials)
    assert impatient.request(request, time_left=left).status == 200
    impatient.contact("https://auth.example.test/", time_left=left)
    impatient.probe("https://api.example.test/", Secret("token"), time_left=left)
    assert endpoint.requests == [request]
    assert endpoint.contacts == ["https://auth.example.test/"]
    assert endpoint.probes == [("https://api.example.test/", "token")]
    assert endpoint.patience == [60, PATIENCE, PATIENCE, 60]


def test_patience_ends_before_the_time_does() -> None:
    clock = Clock()
    run = fakes.run(clock)
    left = within(PATIENCE, run.time_left)
    assert left() == PATIENCE
    clock.sleep(4)
    assert left() == PATIENCE - 4


def test_patience_is_never_longer_than_the_time_left() -> None:
    clock = Clock()
    run = fakes.run(clock, budget=3)
    left = within(PATIENCE, run.time_left)
    clock.sleep(1)
    assert left() == 2
