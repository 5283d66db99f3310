"""Twenty runs at once on MiniStack: exactly one token is requested."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fakes import CANARY_SECRET, rotation
from rotator import bootstrap
from rotator.bootstrap import Adapters, Rotator
from rotator.local.authorization_api import AuthorizationApi
from rotator.local.aws import ADMINISTRATOR, client_environment
from rotator.local.deployment import Account
from rotator.local.server import serving
from rotator.model import Outcome, Parameter, Rotation, Summary
from rotator.settings import Settings

RUNS = 20
API = AuthorizationApi({"client": CANARY_SECRET})


class TogetherFromHere:
    """A parameter store in which every run reads before any of them writes."""

    def __init__(self, inner: Any, barrier: threading.Barrier) -> None:
        self._inner = inner
        self._barrier = barrier

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        found: Mapping[str, Parameter] = self._inner.read(names)
        self._barrier.wait(timeout=30)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.fixture
def of(
    ministack_endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Rotation]:
    for name, value in client_environment(ministack_endpoint).items():
        monkeypatch.setenv(name, value)
    name = request.node.name.replace("[", "-").replace("]", "")[-60:]
    Account(ministack_endpoint, ADMINISTRATOR).create_secret(name, "client", CANARY_SECRET)
    with serving(API.app) as address:
        yield rotation(
            secret_id=name, parameter_name=f"/{name}/token", token_endpoint=f"{address}/oauth2/token"
        )


def at_once(of: Rotation, *, force: bool) -> list[Summary]:
    barrier = threading.Barrier(RUNS)

    def one(number: int) -> Summary:
        ports = Adapters()
        ports.__dict__["parameters"] = TogetherFromHere(ports.parameters, barrier)
        rotator = Rotator(settings=Settings(rotation=of), ports=ports)
        return rotator.run(bootstrap.begin_run(f"run-{number}"), force=force)

    with ThreadPoolExecutor(RUNS) as pool:
        return list(pool.map(one, range(RUNS)))


def outcomes(summaries: list[Summary]) -> list[Outcome]:
    return sorted(result.outcome for summary in summaries for result in summary.results)


def test_of_twenty_first_runs_one_requests_a_token(of: Rotation) -> None:
    before = API.misbehaviour.token_requests
    assert outcomes(at_once(of, force=False)) == [Outcome.BUSY] * (RUNS - 1) + [Outcome.ROTATED]
    assert API.misbehaviour.token_requests == before + 1


def test_of_twenty_renewals_one_requests_a_token(of: Rotation) -> None:
    at_once(of, force=False)
    before = API.misbehaviour.token_requests
    assert outcomes(at_once(of, force=True)) == [Outcome.BUSY] * (RUNS - 1) + [Outcome.ROTATED]
    assert API.misbehaviour.token_requests == before + 1


def test_after_the_rush_the_status_is_true_and_carries_no_claim(of: Rotation) -> None:
    at_once(of, force=False)
    rotator = Rotator(settings=Settings(rotation=of), ports=Adapters())
    assert outcomes([rotator.run(bootstrap.begin_run("later"))]) == [Outcome.FRESH]
