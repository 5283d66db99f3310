"""The behaviour that the job needs of a token endpoint: the fake and the adapters have it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from fake_ports import CANARY_SECRET, START, Clock, FakeTokenEndpoint, rotation
from misbehaving_api import MisbehavingApi
from rotator.adapters.runtime.http_transport import HttpTransport
from rotator.adapters.runtime.token_endpoint import HttpTokenEndpoint
from rotator.devstack.http_server import serving
from rotator.errors import TokenEndpointUnavailable, TokenRequestRejected
from rotator.oauth import client_credentials
from rotator.oauth.client_credentials import TokenRequest, TokenResponse
from rotator.oauth.models import ClientCredentials, Secret
from rotator.renewal.deadline import Deadline
from rotator.renewal.ports import TokenEndpoint

CREDENTIALS = ClientCredentials(client_id="client", client_secret=Secret(CANARY_SECRET), version_id="v1")
BUDGET = 60.0
LATENCY = 2.0


@dataclass(frozen=True)
class Refusal:
    """An answer that holds no token."""

    status: int
    error: str = "server_error"
    retry_after: str | None = None


@dataclass
class Backend:
    """An endpoint that issues tokens unless it is set to refuse, and needs LATENCY for each answer."""

    clock: Clock
    endpoint: TokenEndpoint
    asked: TokenRequest
    refuse: Callable[[list[Refusal]], None]
    requests: Callable[[], int]

    def request(self, *, retry_seconds: float = math.inf) -> TokenResponse:
        """Ask for a token, with the budget to spend."""
        end = START + timedelta(seconds=BUDGET)
        deadline = Deadline(lambda: (end - self.clock.now()).total_seconds())
        return self.endpoint.request(
            self.asked, deadline=deadline, retry_until=deadline.at_most(retry_seconds)
        )

    def elapsed(self, since: datetime = START) -> float:
        return (self.clock.now() - since).total_seconds()


@pytest.fixture
def fake() -> Backend:
    clock = Clock()
    endpoint = FakeTokenEndpoint(clock)
    endpoint.latency = LATENCY

    def refuse(refusals: list[Refusal]) -> None:
        endpoint.answers.extend(
            (r.status, {"error": r.error, "retry_after": r.retry_after}) for r in refusals
        )

    asked = client_credentials.token_request(rotation(), CREDENTIALS)
    return Backend(clock, endpoint, asked, refuse, lambda: len(endpoint.requests))


@pytest.fixture
def http() -> Iterator[Backend]:
    clock = Clock()
    api = MisbehavingApi({CREDENTIALS.client_id: CREDENTIALS.client_secret.value})

    def slow(environ: Any, start_response: Any) -> Any:
        clock.sleep(LATENCY)
        return api.app(environ, start_response)

    def refuse(refusals: list[Refusal]) -> None:
        api.misbehaviour.plan(*map(_planned, refusals))

    with serving(slow) as address:
        asked = client_credentials.token_request(
            rotation(token_endpoint=f"{address}/oauth2/token"), CREDENTIALS
        )
        endpoint = HttpTokenEndpoint(HttpTransport(now=clock.now), now=clock.now, sleep=clock.sleep)
        yield Backend(clock, endpoint, asked, refuse, lambda: api.misbehaviour.token_requests)


def _planned(refusal: Refusal) -> dict[str, Any]:
    headers = {"Retry-After": refusal.retry_after} if refusal.retry_after else {}
    return {"status": refusal.status, "headers": headers, "body": json.dumps({"error": refusal.error})}


@pytest.fixture(params=["fake", "http"])
def world(request: pytest.FixtureRequest) -> Backend:
    chosen: Backend = request.getfixturevalue(request.param)
    return chosen


def test_token_response_is_returned_unchanged(world: Backend) -> None:
    response = world.request()
    assert response.status == 200
    assert json.loads(response.body)["token_type"] == "Bearer"


def test_requested_at_is_taken_before_the_request(world: Backend) -> None:
    assert world.request().requested_at == START
    assert world.elapsed() >= LATENCY


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_transient_refusal_is_retried(world: Backend, status: int) -> None:
    world.refuse([Refusal(status)])
    assert world.request().status == 200
    assert world.requests() == 2


def test_requested_at_is_that_of_the_answered_retry(world: Backend) -> None:
    world.refuse([Refusal(503)])
    requested_at = world.request().requested_at
    assert requested_at > START
    assert world.elapsed(requested_at) == LATENCY


def test_retry_waits_at_least_as_long_as_retry_after(world: Backend) -> None:
    world.refuse([Refusal(429, retry_after="7")])
    requested_at = world.request().requested_at
    assert requested_at >= START + timedelta(seconds=LATENCY + 7)


def test_refused_client_is_not_retried(world: Backend) -> None:
    world.refuse([Refusal(401, error="invalid_client")])
    with pytest.raises(TokenRequestRejected) as caught:
        world.request()
    assert (caught.value.code, caught.value.status, world.requests()) == ("invalid_client", 401, 1)


def test_refused_requests_are_not_counted_as_unanswered(world: Backend) -> None:
    world.refuse([Refusal(503), Refusal(429)])
    assert not world.request().unanswered_before
    assert world.requests() == 3


def test_unavailable_endpoint_fails_within_the_time_budget(world: Backend) -> None:
    world.refuse([Refusal(503)] * 100)
    with pytest.raises(TokenEndpointUnavailable):
        world.request()
    assert world.requests() > 1
    assert world.elapsed() <= BUDGET + LATENCY  # the last request began in time


def test_retry_after_beyond_the_time_budget_fails_at_once(world: Backend) -> None:
    world.refuse([Refusal(503, retry_after="120")])
    with pytest.raises(TokenEndpointUnavailable) as caught:
        world.request()
    assert (caught.value.retry_after, world.requests(), world.elapsed()) == (120, 1, LATENCY)


def test_retry_budget_does_not_limit_the_first_attempt(world: Backend) -> None:
    assert world.request(retry_seconds=LATENCY / 2).status == 200
    assert world.requests() == 1


def test_unavailable_endpoint_fails_within_the_retry_budget(world: Backend) -> None:
    world.refuse([Refusal(503)] * 100)
    with pytest.raises(TokenEndpointUnavailable, match="HTTP 503"):
        world.request(retry_seconds=10)
    assert LATENCY < world.elapsed() <= 10 + LATENCY
    assert world.requests() > 1


def test_retry_after_beyond_the_retry_budget_fails_at_once(world: Backend) -> None:
    world.refuse([Refusal(503, retry_after="20")])
    with pytest.raises(TokenEndpointUnavailable, match="503"):
        world.request(retry_seconds=10)
    assert (world.requests(), world.elapsed()) == (1, LATENCY)
