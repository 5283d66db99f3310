"""The recipe for AWS CLI and shell, as printed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from consumer_guide import blocks
from consumer_stack import Consuming, conversation
from rotator.devstack.authorization_api import TOPICS

RECIPE, WITH_EXEC = blocks("shell", "sh")
FUNCTIONS = RECIPE.removesuffix('healthwise "$TOPICS_URL"\n')

AGAIN = """
while read -r _; do
    healthwise "$TOPICS_URL" > answer && code=0 || code=$?
    echo "$code $(cat answer)"
done
"""
"""The recipe's function, called once for every line."""

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")


@pytest.fixture(params=["sh", "bash"])
def shell(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    return shutil.which(name) or pytest.skip(f"{name} is not installed")


@pytest.fixture
def spied(tmp_path: Path, world: Consuming) -> dict[str, str]:
    """An environment in which aws and curl write down how they were started, and then are what they are."""
    folder = tmp_path / "bin"
    folder.mkdir()
    path = world.environment["PATH"]
    for name in ("aws", "curl"):
        spy = folder / name
        real = shutil.which(name, path=path)
        spy.write_text(f'#!/bin/sh\n{{ echo "{name} $*"; env; }} >> "{tmp_path}/seen"\nexec {real} "$@"\n')
        spy.chmod(0o755)
    return {**world.environment, "PATH": f"{folder}{os.pathsep}{path}"}


def run(shell: str, text: str, environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shell, "-c", text], env=environment, cwd=folder, text=True, capture_output=True, check=False
    )


def test_recipe_prints_the_topics(shell: str, world: Consuming, tmp_path: Path) -> None:
    done = run(shell, RECIPE, dict(world.environment), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["items"] == TOPICS


def test_exec_recipe_prints_topics_without_a_token_argument(
    shell: str, spied: dict[str, str], world: Consuming, tmp_path: Path
) -> None:
    done = run(shell, WITH_EXEC, spied, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["items"] == TOPICS
    [started] = [line for line in (tmp_path / "seen").read_text().splitlines() if line.startswith("curl ")]
    assert world.token() not in started


def test_the_token_is_in_no_argument_list_and_no_environment(
    shell: str, world: Consuming, spied: dict[str, str], tmp_path: Path
) -> None:
    assert run(shell, RECIPE, spied, tmp_path).returncode == 0
    seen = (tmp_path / "seen").read_text()
    assert "aws ssm get-parameter --name /healthwise/token" in seen
    assert f"curl -sS -H @- -w %{{http_code}} {world.environment['TOPICS_URL']}" in seen
    assert world.token() not in seen


def test_the_token_is_read_once_and_again_on_a_401(shell: str, world: Consuming, tmp_path: Path) -> None:
    with conversation([shell, "-c", FUNCTIONS + AGAIN], world.environment, tmp_path) as call:
        assert call.ask().startswith('0 {"items":')
        assert call.ask().startswith('0 {"items":')
        assert world.gateway.calls == {"GetParameter": 1}
        world.rotate(revoking=True)
        assert call.ask().startswith('0 {"items":')
        assert world.gateway.calls["GetParameter"] == 2


def test_401_without_a_newer_token_is_returned_and_not_resent(
    shell: str, world: Consuming, spied: dict[str, str], tmp_path: Path
) -> None:
    world.revoke()
    done = run(shell, RECIPE, spied, tmp_path)
    assert done.returncode == 1
    assert "invalid_token" in done.stdout
    assert (tmp_path / "seen").read_text().count("\ncurl ") == 1


def test_ssm_outage_sends_no_request(
    shell: str, world: Consuming, spied: dict[str, str], tmp_path: Path
) -> None:
    world.gateway.down = True
    done = run(shell, RECIPE, spied, tmp_path)
    assert done.returncode != 0
    assert "GetParameter" in done.stderr
    assert "curl " not in (tmp_path / "seen").read_text()
