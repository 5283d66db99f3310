"""Many runs at once, and processes that overtake each other: one token request, nothing is written over."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from command_line import TIMEOUT_SECONDS, Shell
from conftest import CHECKOUT
from fake_ports import CANARY_SECRET, rotation
from misbehaving_api import MisbehavingApi
from rotator import bootstrap
from rotator.bootstrap import Adapters, Rotator
from rotator.config.environment import Settings
from rotator.devstack.aws_emulators import ADMINISTRATOR, client_environment
from rotator.devstack.deployment import Account
from rotator.devstack.http_server import serving
from rotator.renewal.models import Outcome, Parameter, Rotation, Summary
from stopping_proxy import stopping_proxy

RUNS = 20
API = MisbehavingApi({"client": CANARY_SECRET})


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


def test_only_one_of_twenty_first_runs_requests_a_token(of: Rotation) -> None:
    before = API.misbehaviour.token_requests
    assert outcomes(at_once(of, force=False)) == [Outcome.BUSY] * (RUNS - 1) + [Outcome.ROTATED]
    assert API.misbehaviour.token_requests == before + 1


def test_only_one_of_twenty_renewals_requests_a_token(of: Rotation) -> None:
    at_once(of, force=False)
    before = API.misbehaviour.token_requests
    assert outcomes(at_once(of, force=True)) == [Outcome.BUSY] * (RUNS - 1) + [Outcome.ROTATED]
    assert API.misbehaviour.token_requests == before + 1


def test_run_after_parallel_runs_finds_a_fresh_token(of: Rotation) -> None:
    at_once(of, force=False)
    rotator = Rotator(settings=Settings(rotation=of), ports=Adapters())
    assert outcomes([rotator.run(bootstrap.begin_run("later"))]) == [Outcome.FRESH]


@pytest.fixture
def shell(moto: Account, clean_environment: Mapping[str, str]) -> Iterator[Shell]:
    """With a token that is due."""
    moto.create_secret("healthwise/client", "client", CANARY_SECRET)
    with serving(API.app) as api:
        settings = {
            "ROTATOR_SECRET_ID": "healthwise/client",
            "ROTATOR_PARAMETER_NAME": "/healthwise/token",
            "ROTATOR_TOKEN_ENDPOINT": f"{api}/oauth2/token",
        }
        made = Shell({**clean_environment, **client_environment(moto.endpoint), **settings}, moto)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bootstrap, "utc_now", lambda: datetime.now(UTC) - timedelta(hours=17))
            [result] = bootstrap.build(settings).run(bootstrap.begin_run("yesterday")).results
        assert result.outcome is Outcome.ROTATED
        yield made


WITHOUT_TIMEOUTS = """
import sys
from botocore.config import Config
from rotator.adapters.runtime import aws_client
aws_client.client.__defaults__ = (aws_client.CONFIG.merge(Config(read_timeout=300)),)
from rotator.cli.main import main
main()
"""
"""A call that is held back while the other run passes must not be sent twice on a busy machine."""


def start_without_timeouts(shell: Shell, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WITHOUT_TIMEOUTS, *args],
        env=shell.variables(),
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


OVERTAKEN = {
    "before its check": (1, False, "fresh", "rotated"),
    "after its check": (1, True, "fresh", "rotated"),
    "before its own read": (2, False, "fresh", "rotated"),
    "after its own read": (2, True, "busy", "rotated"),
    "before it wrote the lease": (3, False, "busy", "rotated"),
    "after it wrote the lease": (3, True, "rotated", "busy"),
    "before it read the secret": (4, False, "rotated", "busy"),
    "before its token request": (5, False, "rotated", "busy"),
    "before it wrote the token": (6, False, "rotated", "busy"),
    "before it wrote the status": (7, False, "rotated", "busy"),
}
"""The call of the first run at which the second one passes, and the outcomes of both."""


def outcome(printed: str) -> str:
    return str(json.loads(printed)["rotations"][0]["outcome"])


@pytest.mark.parametrize(
    ("nth", "answered", "overtaken", "overtaking"), OVERTAKEN.values(), ids=list(OVERTAKEN)
)
def test_overtaken_run_keeps_the_result_of_the_other_run(
    nth: int, answered: bool, overtaken: str, overtaking: str, shell: Shell
) -> None:
    before = API.misbehaviour.token_requests
    api = shell.environment["ROTATOR_TOKEN_ENDPOINT"].removesuffix("/oauth2/token")
    with stopping_proxy(shell.account.endpoint, api, nth=nth, answered=answered) as proxy:
        to_the_proxy = {
            "AWS_ENDPOINT_URL": proxy.address,
            "ROTATOR_TOKEN_ENDPOINT": f"{proxy.address}/oauth2/token",
        }
        behind = Shell({**shell.environment, **to_the_proxy}, shell.account)
        with start_without_timeouts(behind, "rotate", "--json") as process:
            assert proxy.stopped.wait(TIMEOUT_SECONDS)
            assert outcome(shell.run("rotate", "--json").stdout) == overtaking
            proxy.let_through()
            printed, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert outcome(printed) == overtaken
    assert API.misbehaviour.token_requests == before + 1
    [shown] = json.loads(shell.run("status", "--json").stdout)["rotations"]
    assert (shown["state"], shown["parameter_version"], shown["leased_until"]) == ("fresh", 2, None)
