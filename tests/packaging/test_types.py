"""``mypy --strict`` of a consumer, in an environment that has no stubs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from packaging_environment import Environment

CONSUMER = """\
import requests

from rotator.consumer import TokenAuth, TokenExpired, TokenSource, TokenUnavailable

source = TokenSource("/healthwise/token", margin=90.0)


def topics(url: str) -> bytes:
    try:
        return requests.get(url, auth=TokenAuth(source), timeout=10).content
    except (TokenExpired, TokenUnavailable) as error:
        raise SystemExit(f"no token: {error}, {source.seconds_left():.0f} s") from error
"""

CLIENT = """\
from collections.abc import Mapping

from rotator.consumer import TokenSource


class Client:
    def get_parameters(self, *, Names: list[str], WithDecryption: bool) -> Mapping[str, object]:
        return {}

    def get_parameter(self, *, Name: str, WithDecryption: bool) -> Mapping[str, object]:
        return {}


TokenSource("/healthwise/token", client=Client())
"""


def check(source: str, environment: Environment, folder: Path) -> subprocess.CompletedProcess[str]:
    """What mypy reports of a consumer's source, as it would in the environment."""
    (folder / "consumer.py").write_text(source)
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", environment.python]
    return subprocess.run(
        [*command, "--config-file=", f"--cache-dir={environment.folder.parent}/mypy", "consumer.py"],
        cwd=folder,
        env={**environment.variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("source", [CONSUMER, CLIENT], ids=["with requests", "with a client of its own"])
def test_consumer_passes_strict_mypy(
    source: str, consumer_with_requests: Environment, tmp_path: Path
) -> None:
    done = check(source, consumer_with_requests, tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_consumer_without_requests_passes_strict_mypy(consumer: Environment, tmp_path: Path) -> None:
    source = 'from rotator.consumer import TokenSource\n\nprint(TokenSource("/a/b").token().upper())\n'
    done = check(source, consumer, tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("source.token() + 1", "operator"),
        ("TokenSource(1)", "arg-type"),
        ('TokenSource("/a/b", client=object())', "arg-type"),
        ('TokenSource("/a/b", ttl="5m")', "arg-type"),
    ],
    ids=["token is text", "name is text", "client", "seconds are a number"],
)
def test_wrong_type_is_reported(
    line: str, code: str, consumer_with_requests: Environment, tmp_path: Path
) -> None:
    done = check(f"{CONSUMER}\n\n{line}\n", consumer_with_requests, tmp_path)
    assert done.returncode == 1
    assert f"[{code}]" in done.stdout
