"""The recipe for the Lambda extension, as printed, and the guarantee that its 300 s cache is safe."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import boto3
import pytest

from consumer_guide import block
from consumer_stack import Consuming
from lambda_extension import TTL, ParameterCache, running_extension
from rotator.devstack.authorization_api import TOPICS
from rotator.renewal.guarantee import Guarantee
from rotator.simulation.scenario import DAY, Rates, Scenario
from rotator.simulation.world import World, quiet_logs

PLATFORM = "lambda"
RECIPE = block(PLATFORM, "python")


@dataclass
class Lambda:
    """A function of the recipe in an environment that is kept between its calls."""

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
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # the recipe's keeps the consumer's credentials
        names: dict[str, Any] = {}
        exec(compile(RECIPE, "recipe", "exec"), names)
        made.handler = names["handler"]
        yield made


def test_extension_reads_the_parameter_once_in_300_seconds(world: Consuming, function: Lambda) -> None:
    assert [function.call(), function.call()] == [200, 200]
    function.now = TTL - 1
    assert function.call() == 200
    assert world.gateway.calls == {"GetParameter": 1}
    function.now = TTL
    assert function.call() == 200
    assert world.gateway.calls == {"GetParameter": 2}


def test_revoked_token_bypasses_the_extension_cache_once(world: Consuming, function: Lambda) -> None:
    assert function.call() == 200
    world.rotate(revoking=True)
    assert [function.call(), function.call()] == [200, 200]
    assert world.gateway.calls["GetParameter"] == 2
    world.rotate(revoking=True)
    assert [function.call(), function.call()] == [200, 200]
    assert world.gateway.calls["GetParameter"] == 3
    function.now = TTL
    assert function.call() == 200
    assert world.gateway.calls["GetParameter"] == 4


def test_401_without_a_newer_token_is_returned(world: Consuming, function: Lambda) -> None:
    assert function.call() == 200
    world.revoke()
    assert function.call() == 401


def test_ssm_outage_is_covered_until_the_cache_expires(world: Consuming, function: Lambda) -> None:
    assert function.call() == 200
    world.gateway.down = True
    function.now = TTL - 1
    assert function.call() == 200
    function.now = TTL
    with pytest.raises(RuntimeError, match="the extension answered 500 for /healthwise/token"):
        function.call()


def test_extension_requires_the_session_token_header(
    function: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of another caller")
    with pytest.raises(RuntimeError, match="the extension answered 401"):
        function.call()


def test_printed_command_configures_the_function(world: Consuming, monkeypatch: pytest.MonkeyPatch) -> None:
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
    subprocess.run(["sh", "-c", block(PLATFORM, "sh")], env=environment, capture_output=True, check=True)
    after = client.get_function_configuration(FunctionName=name)
    assert [each["Arn"] for each in after["Layers"]] == [layer["LayerVersionArn"]]
    assert after["Environment"]["Variables"] == {
        "TOKEN_PARAMETER": "/healthwise/token",
        "TOPICS_URL": world.environment["TOPICS_URL"],
        "SSM_PARAMETER_STORE_TTL": str(TTL),
        "SSM_PARAMETER_STORE_TIMEOUT_MILLIS": "5000",
    }
    client.update_function_configuration(FunctionName=name, Layers=[], Environment=before["Environment"])


# The guarantee, in virtual time: the real job rotates, and a consumer calls every few seconds.

INTERVAL_SECONDS = 60
OUTAGE = 7.5 * 3600
ENVIRONMENTS = 20
"""Of the function: each has an extension, and began at another moment."""


def dead_tokens_presented(ttl: float) -> int:
    """How many calls carried a revoked or expired token with such a cache and an outage at the worst time."""
    scenario = Scenario(days=3)
    begin = DAY * scenario.rotation.renew_at - scenario.guarantee.schedule_interval
    world = World(scenario, rates_at=lambda now: Rates(endpoint=float(begin <= now < begin + OUTAGE)))
    presented: list[bool] = []

    def read(name: str) -> Mapping[str, object]:
        return {"Value": world.store.parameters[name].value}

    def call(cache: ParameterCache) -> None:
        token = world.provider.issued[str(cache.get(scenario.rotation.parameter_name)["Value"])]
        presented.append(token.is_valid(world.timeline.seconds))
        world.timeline.at(world.timeline.seconds + INTERVAL_SECONDS, lambda: call(cache))

    world.start_schedule()
    for number in range(1, ENVIRONMENTS + 1):
        cache = ParameterCache(read, lambda: world.timeline.seconds, ttl)
        world.timeline.at(ttl * number / ENVIRONMENTS, partial(call, cache))
    with quiet_logs():
        world.timeline.run_until(scenario.end)
    assert len(presented) > 3 * DAY / INTERVAL_SECONDS
    return presented.count(False)


def test_extension_cache_presents_no_expired_token() -> None:
    assert dead_tokens_presented(TTL) == 0


def test_cache_beyond_the_guarantee_presents_expired_tokens() -> None:
    guarantee = Guarantee()
    left = guarantee.guaranteed_lifetime(DAY, Scenario().rotation.renew_at, outage=OUTAGE)
    assert TTL <= left < 3600
    assert dead_tokens_presented(3600) > 0


def test_default_consumer_cache_equals_the_extension_cache() -> None:
    assert Guarantee().consumer_cache == TTL
