"""The recipe for the Lambda extension, as printed, and the promise that its 300 s cache is safe."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from consumer_guide import block
from consumer_stack import Consuming
from lambda_extension import TTL, ParameterCache, running_extension
from rotator.devstack.authorization_api import TOPICS
from rotator.renewal.guarantee import Guarantee
from rotator.simulation.scenario import DAY, Rates, Scenario
from rotator.simulation.world import World, quiet_logs

HEADING = "4. Lambda"
RECIPE = block(HEADING, "python")


@dataclass
class Lambda:
    """A function of the recipe in an environment that lives on between its calls."""

    handler: Callable[[object, object], Mapping[str, Any]]
    now: float = 0.0

    def call(self) -> int:
        answer = self.handler({}, None)
        assert answer["status"] != 200 or json.loads(answer["body"])["items"] == TOPICS
        return int(answer["status"])


@pytest.fixture
def function(world: Consuming, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lambda]:
    """The recipe beside a stand-in of the extension, both under the consumer's role."""
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    reader = replace(world.consumer, endpoint=world.environment["AWS_ENDPOINT_URL"]).client("ssm")
    made = Lambda(lambda _event, _context: {})
    cache = ParameterCache(
        lambda name: reader.get_parameter(Name=name, WithDecryption=True), clock=lambda: made.now
    )
    with running_extension(cache, world.consumer.credentials["AWS_SESSION_TOKEN"]) as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        names: dict[str, Any] = {}
        exec(compile(RECIPE, "recipe", "exec"), names)
        made.handler = names["handler"]
        yield made


def test_it_reads_through_the_extension_once_in_300_s(world: Consuming, function: Lambda) -> None:
    assert [function.call(), function.call()] == [200, 200]
    function.now = TTL - 1
    assert function.call() == 200
    assert world.gateway.calls == {"GetParameter": 1}
    function.now = TTL
    assert function.call() == 200
    assert world.gateway.calls == {"GetParameter": 2}


def test_a_token_that_was_ended_is_read_past_the_extension_once(world: Consuming, function: Lambda) -> None:
    assert function.call() == 200
    world.rotate(ending=True)
    assert [function.call(), function.call()] == [200, 200]
    assert world.gateway.calls["GetParameter"] == 2
    world.rotate(ending=True)
    assert [function.call(), function.call()] == [200, 200]
    assert world.gateway.calls["GetParameter"] == 3
    function.now = TTL
    assert function.call() == 200
    assert world.gateway.calls["GetParameter"] == 4


def test_a_401_that_a_new_token_does_not_mend_is_told(world: Consuming, function: Lambda) -> None:
    assert function.call() == 200
    world.revoke()
    assert function.call() == 401


def test_while_ssm_is_down_the_cache_serves_until_its_time_is_over(
    world: Consuming, function: Lambda
) -> None:
    assert function.call() == 200
    world.gateway.down = True
    function.now = TTL - 1
    assert function.call() == 200
    function.now = TTL
    with pytest.raises(RuntimeError, match="the extension answered 500 for /healthwise/token"):
        function.call()


def test_the_header_is_required(function: Lambda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of somebody else")
    with pytest.raises(RuntimeError, match="the extension answered 401"):
        function.call()


def test_the_command_sets_the_function_up(world: Consuming, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded AWS has no layer of AWS's, so this one is our own."""
    account = world.deployed.account
    client = account.client("lambda")
    name = world.outputs["FunctionName"]
    before = client.get_function_configuration(FunctionName=name)
    layer = client.publish_layer_version(LayerName="extension", Content={"ZipFile": b"PK\5\6" + bytes(18)})
    environment = {
        **world.environment,
        **account.credentials,
        "FUNCTION": name,
        "LAYER": layer["LayerVersionArn"],
    }
    del environment["AWS_SESSION_TOKEN"]
    subprocess.run(["sh", "-c", block(HEADING, "sh")], env=environment, capture_output=True, check=True)
    after = client.get_function_configuration(FunctionName=name)
    assert [each["Arn"] for each in after["Layers"]] == [layer["LayerVersionArn"]]
    assert after["Environment"]["Variables"] == {
        "TOKEN_PARAMETER": "/healthwise/token",
        "TOPICS_URL": world.environment["TOPICS_URL"],
        "SSM_PARAMETER_STORE_TTL": str(TTL),
        "SSM_PARAMETER_STORE_TIMEOUT_MILLIS": "5000",
    }
    client.update_function_configuration(FunctionName=name, Layers=[], Environment=before["Environment"])


# The promise, in virtual time: the real job rotates, and somebody calls every few seconds.

EVERY = 60
OUTAGE = 7.5 * 3600
ENVIRONMENTS = 20
"""Of the function: each has an extension, and began at another moment."""


def dead_tokens_presented(ttl: float) -> int:
    """How many calls carried a dead token with such a cache and an outage at the worst time."""
    scenario = Scenario(days=3)
    begin = DAY * scenario.rotation.renew_at - scenario.guarantee.schedule_interval
    world = World(scenario, rates_at=lambda now: Rates(endpoint=float(begin <= now < begin + OUTAGE)))
    presented: list[bool] = []

    def read(name: str) -> Mapping[str, object]:
        return {"Value": world.store.parameters[name].value}

    def call(cache: ParameterCache) -> None:
        token = world.provider.issued[str(cache.get(scenario.rotation.parameter_name)["Value"])]
        presented.append(token.is_valid(world.timeline.seconds))
        world.timeline.at(world.timeline.seconds + EVERY, lambda: call(cache))

    world.start_schedule()
    for number in range(1, ENVIRONMENTS + 1):
        cache = ParameterCache(read, lambda: world.timeline.seconds, ttl)
        world.timeline.at(ttl * number / ENVIRONMENTS, partial(call, cache))
    with quiet_logs():
        world.timeline.run_until(scenario.end)
    assert len(presented) > 3 * DAY / EVERY
    return presented.count(False)


def test_no_dead_token_is_presented_through_the_cache_in_days_of_rotations_and_an_outage() -> None:
    assert dead_tokens_presented(TTL) == 0


def test_a_cache_longer_than_the_promised_life_would_present_dead_tokens() -> None:
    guarantee = Guarantee()
    left = guarantee.guaranteed_lifetime(DAY, Scenario().rotation.renew_at, outage=OUTAGE)
    assert TTL <= left < 3600
    assert dead_tokens_presented(3600) > 0


def test_the_stacks_promise_is_the_extensions_cache() -> None:
    assert Guarantee().consumer_cache == TTL
