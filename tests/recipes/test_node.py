"""The recipe for Node, as printed, on a real node with the AWS SDK."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import node_packages
from consumer_guide import blocks
from consumer_stack import Consuming, Conversation, conversation
from rotator.devstack.authorization_api import TOPICS
from rotator.devstack.http_server import free_port

MODULE, PROGRAM = blocks("node", "js")

AGAIN = """
import { createInterface } from "node:readline";
import { healthwise } from "./healthwise.mjs";

const now = Date.now;
for await (const line of createInterface({ input: process.stdin })) {
  const { later = 0, times = 1, options = {} } = JSON.parse(line || "{}");
  Date.now = () => now() + later * 1000;
  const calls = Array.from({ length: times }, () => healthwise(process.env.TOPICS_URL, options));
  const answers = await Promise.all(calls).catch((error) => [{ status: error.name }]);
  console.log([...new Set(answers.map((each) => each.status))].join(" "));
}
"""
"""Calls the recipe for each line, which may have the seconds that pass and the number of concurrent calls."""

END = 86400


@pytest.fixture(scope="session")
def packages() -> Path:
    return node_packages.node_modules()


@pytest.fixture
def folder(packages: Path, tmp_path: Path) -> Path:
    """What a reader of the recipe has."""
    (tmp_path / "node_modules").symlink_to(packages)
    (tmp_path / "healthwise.mjs").write_text(MODULE)
    (tmp_path / "program.mjs").write_text(PROGRAM)
    (tmp_path / "again.mjs").write_text(AGAIN)
    return tmp_path


@contextmanager
def running(world: Consuming, folder: Path) -> Iterator[Conversation]:
    command = [str(node_packages.NODE), "again.mjs"]
    with conversation(command, world.environment, folder) as call:
        yield call


def test_recipe_prints_the_topics(world: Consuming, folder: Path) -> None:
    command = [str(node_packages.NODE), "program.mjs"]
    done = subprocess.run(
        command, env=world.environment, cwd=folder, capture_output=True, text=True, check=True
    )
    status, _, body = done.stdout.partition(" ")
    assert (status, json.loads(body)["items"]) == ("200", TOPICS)
    assert world.gateway.calls == {"GetParameters": 1}


def test_a_hundred_calls_at_once_make_one_read(world: Consuming, folder: Path) -> None:
    with running(world, folder) as call:
        assert call.ask('{"times": 100}') == "200"
        assert world.gateway.calls == {"GetParameters": 1}


@pytest.mark.parametrize(("revoking", "reads"), [(False, 1), (True, 2)], ids=["valid", "revoked"])
def test_replaced_token_is_read_again_only_on_a_401(
    revoking: bool, reads: int, world: Consuming, folder: Path
) -> None:
    with running(world, folder) as call:
        assert call.ask() == "200"
        world.rotate(revoking=revoking)
        assert call.ask('{"times": 20}') == "200"
        assert world.gateway.calls["GetParameters"] == reads


def test_401_without_a_newer_token_is_returned(world: Consuming, folder: Path) -> None:
    with running(world, folder) as call:
        assert call.ask() == "200"
        world.revoke()
        assert call.ask() == "401"
        assert world.gateway.calls["GetParameters"] == 2


@pytest.mark.parametrize(("later", "reads"), [(END - 300, 1), (END - 30, 2)])
def test_token_is_cached_until_a_minute_before_expiry(
    later: int, reads: int, world: Consuming, folder: Path
) -> None:
    """With a clock so wrong AWS refuses what the SDK signs; that the read was tried is the point."""
    with running(world, folder) as call:
        assert call.ask() == "200"
        assert call.ask(json.dumps({"later": later})) == "200"
        assert world.gateway.calls["GetParameters"] == reads


@pytest.mark.parametrize(("later", "reads"), [(30, 1), (90, 2)])
def test_token_without_a_matching_status_is_cached_a_minute(
    later: int, reads: int, world: Consuming, folder: Path
) -> None:
    ssm = world.deployed.account.client("ssm")
    ssm.put_parameter(Name="/healthwise/token", Value=world.token(), Overwrite=True)
    with running(world, folder) as call:
        assert call.ask() == "200"
        assert call.ask(json.dumps({"later": later})) == "200"
        assert world.gateway.calls["GetParameters"] == reads


@pytest.mark.parametrize(
    ("later", "reported"), [(0, "200"), (END - 30, "200"), (END + 30, "ServiceUnavailable")]
)
def test_token_is_used_until_expiry_during_an_ssm_outage(
    later: int, reported: str, world: Consuming, folder: Path
) -> None:
    with running(world, folder) as call:
        assert call.ask() == "200"
        world.gateway.down = True
        assert call.ask(json.dumps({"later": later})) == reported


@pytest.mark.parametrize(
    ("said", "ci", "outcome"),
    [
        ("npm error code ENOTFOUND", "", pytest.skip.Exception),
        ("npm error code ECONNREFUSED", "", pytest.skip.Exception),
        ("npm error code ENOTFOUND", "true", pytest.fail.Exception),
        ("npm error code EINTEGRITY", "", pytest.fail.Exception),
        ("npm error code EUSAGE", "true", pytest.fail.Exception),
    ],
)
def test_unreachable_registry_skips_locally_and_fails_in_ci(
    said: str, ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome):
        node_packages.complain(said)


def test_npm_message_without_a_registry_is_recognized(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = {"dependencies": {"a": "1.0.0"}}
    lock = {"lockfileVersion": 3, "packages": {"": package, "node_modules/a": {"version": "1.0.0"}}}
    (tmp_path / "package.json").write_text(json.dumps(package))
    (tmp_path / "package-lock.json").write_text(json.dumps(lock))
    unreachable = {
        "npm_config_registry": f"http://127.0.0.1:{free_port()}",
        "npm_config_cache": str(tmp_path / "cache"),
    }
    done = node_packages.ci(tmp_path, {**os.environ, **unreachable})
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="registry cannot be reached"):
        node_packages.complain(done.stderr)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="could not install"):
        node_packages.complain(done.stderr)
