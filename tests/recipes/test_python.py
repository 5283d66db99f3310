"""The recipes for Python, as printed; what follows them in a process does again what they did."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import CHECKOUT
from consumer_guide import block, blocks
from consumer_stack import Consuming, Conversation, conversation
from rotator.devstack.authorization_api import TOPICS

REQUESTS, HTTPX, BOTO3 = blocks("python", "python")

AGAIN = """
import sys, time
real_time = time.time
for line in sys.stdin:
    time.time = lambda: real_time() + float(line)
    try:
        print({call}, flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)
"""
"""Once for each line, which has the seconds by which ``time.time`` is put forward."""

LIVE = {
    "requests": REQUESTS
    + AGAIN.format(call="requests.get(answer.url, auth=TokenAuth(source), timeout=10).status_code"),
    "boto3": BOTO3 + AGAIN.format(call='get(os.environ["TOPICS_URL"]).status'),
}

NOW, END = "0", 86400


@contextmanager
def living(name: str, world: Consuming, folder: Path) -> Iterator[Conversation]:
    """The recipe's process, once it has read the token and printed what the API answered."""
    with conversation([sys.executable, "-c", LIVE[name]], world.environment, folder) as call:
        assert call.ask(NOW).startswith('{"items":')
        assert call.hear() == "200"
        assert world.gateway.calls == {"GetParameters": 1}
        yield call


@pytest.mark.parametrize(
    ("recipe", "calls"), [(REQUESTS, 1), (HTTPX, 2), (BOTO3, 1)], ids=["requests", "httpx", "boto3"]
)
def test_recipe_prints_the_topics(recipe: str, calls: int, world: Consuming, tmp_path: Path) -> None:
    command = [sys.executable, "-c", recipe]
    done = subprocess.run(command, env=world.environment, cwd=tmp_path, capture_output=True, check=True)
    assert [json.loads(line)["items"] for line in done.stdout.splitlines() if line] == [TOPICS] * calls
    assert world.gateway.calls == {"GetParameters": 1}


@pytest.mark.parametrize("name", LIVE)
@pytest.mark.parametrize(("revoking", "reads"), [(False, 1), (True, 2)], ids=["valid", "revoked"])
def test_replaced_token_is_read_again_only_on_a_401(
    revoking: bool, reads: int, name: str, world: Consuming, tmp_path: Path
) -> None:
    with living(name, world, tmp_path) as call:
        world.rotate(revoking=revoking)
        assert call.ask(NOW) == "200"
        assert world.gateway.calls["GetParameters"] == reads


@pytest.mark.parametrize("name", LIVE)
def test_401_without_a_newer_token_is_returned(name: str, world: Consuming, tmp_path: Path) -> None:
    with living(name, world, tmp_path) as call:
        world.revoke()
        assert call.ask(NOW) == "401"
        assert world.gateway.calls["GetParameters"] == 2


@pytest.mark.parametrize("name", LIVE)
def test_a_token_is_used_while_ssm_is_down(name: str, world: Consuming, tmp_path: Path) -> None:
    with living(name, world, tmp_path) as call:
        world.gateway.down = True
        assert call.ask(NOW) == "200"


@pytest.mark.parametrize(("name", "error"), [("requests", "TokenUnavailable"), ("boto3", "ClientError")])
def test_missing_token_is_reported_at_start(name: str, error: str, world: Consuming, tmp_path: Path) -> None:
    world.gateway.down = True
    command = [sys.executable, "-c", LIVE[name]]
    done = subprocess.run(
        command, env=world.environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"{error}:" in done.stderr.splitlines()[-1]


# What boto3's recipe does itself, and rotator.consumer is tested for elsewhere.


@pytest.mark.parametrize(("later", "reads"), [(END - 300, 1), (END - 30, 2), (END + 30, 2)])
def test_boto3_caches_the_token_until_a_minute_before_expiry(
    later: int, reads: int, world: Consuming, tmp_path: Path
) -> None:
    with living("boto3", world, tmp_path) as call:
        assert call.ask(str(later)) == "200"
        assert world.gateway.calls["GetParameters"] == reads


@pytest.mark.parametrize(("later", "reads"), [(30, 1), (90, 2)])
def test_boto3_caches_token_without_matching_status_a_minute(
    later: int, reads: int, world: Consuming, tmp_path: Path
) -> None:
    ssm = world.deployed.account.client("ssm")
    ssm.put_parameter(Name="/healthwise/token", Value=world.token(), Overwrite=True)
    with living("boto3", world, tmp_path) as call:
        assert call.ask(str(later)) == "200"
        assert world.gateway.calls["GetParameters"] == reads


def test_the_package_installs_from_a_repository_as_printed(world: Consuming, tmp_path: Path) -> None:
    """Without what it depends on, which is here already, and without a package index."""
    install = block("python", "sh")
    environment = {
        **world.environment,
        "ROTATOR": CHECKOUT.as_uri(),
        "PIP_TARGET": str(tmp_path / "site"),
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's way to say that there is none
        "PIP_NO_INDEX": "1",
    }
    subprocess.run(["sh", "-c", install], env=environment, cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / "site" / "rotator" / "consumer" / "__init__.py").exists()


def test_readme_example_works_on_another_host(world: Consuming, tmp_path: Path) -> None:
    [printed] = re.findall(
        r"^```python\n(.*?)^```$", (CHECKOUT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    here = printed.replace("https://content.healthwise.net/topics", world.environment["TOPICS_URL"])
    assert here != printed
    answered = here.replace("requests.get(", "answer = requests.get(") + "\nprint(answer.text)"
    command = [sys.executable, "-c", answered]
    done = subprocess.run(command, env=world.environment, cwd=tmp_path, capture_output=True, check=True)
    assert json.loads(done.stdout)["items"] == TOPICS
