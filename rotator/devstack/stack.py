"""The embedded AWS and Authorization API as one process that cleans up after itself.

Whoever starts it writes one line of JSON to its standard input, ``{"clients": {id: secret}}``, and
reads one from its output, the addresses. It ends, with everything it started, on SIGTERM or when
its input ends, so that nothing outlives a starter that was killed; unless that said ``keep``.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rotator.devstack.authorization_api import AuthorizationApi
from rotator.devstack.aws import running_aws
from rotator.devstack.server import serving

STOP_SECONDS = 20


@dataclass
class World:
    """A running world as its starter sees it."""

    process: subprocess.Popen[str]
    aws: str
    authorization_api: str
    kept: bool = False

    @property
    def token_endpoint(self) -> str:
        """Where the Authorization API issues tokens."""
        return f"{self.authorization_api}/oauth2/token"

    @property
    def topics_url(self) -> str:
        """What a token opens."""
        return f"{self.authorization_api}/topics"

    def keep(self) -> int:
        """Let it outlive this process; returns the process id to end it by."""
        assert self.process.stdin  # noqa: S101 - it was started with a pipe
        self.process.stdin.write("keep\n")
        self.process.stdin.flush()
        self.kept = True
        return self.process.pid


@contextmanager
def running_world(clients: Mapping[str, str]) -> Iterator[World]:
    """Run a world in a process of its own, with these clients and the samples' registered.

    It ends with the body unless that has kept it. Raises RuntimeError if it does not start.
    """
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            [sys.executable, "-m", "rotator.devstack.stack"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            start_new_session=True,  # an interrupt at the terminal is its starter's business
        )
        world = None
        try:
            world = _first_words(process, clients)
            if world is None:
                complaints.seek(0)
                raise RuntimeError(f"the embedded world did not start: {complaints.read()[-2000:]}")
            yield world
        finally:
            if not (world and world.kept):
                _stop(process)


def _first_words(process: subprocess.Popen[str], clients: Mapping[str, str]) -> World | None:
    assert process.stdin  # noqa: S101 - for the type checker; both are pipes
    assert process.stdout  # noqa: S101
    process.stdin.write(json.dumps({"clients": dict(clients)}) + "\n")
    process.stdin.flush()
    ready = process.stdout.readline()
    return World(process, **json.loads(ready)) if ready else None


def _stop(process: subprocess.Popen[str]) -> None:
    assert process.stdin  # noqa: S101 - it was started with a pipe
    process.stdin.close()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def main() -> None:
    """Be the world until told to end."""
    signal.signal(signal.SIGTERM, _end)
    clients = json.loads(sys.stdin.readline())["clients"]
    api = AuthorizationApi(clients)
    with (
        tempfile.TemporaryDirectory(prefix="rotator-world-", ignore_cleanup_errors=True) as folder,
        serving(api.app) as authorization_api,
        running_aws(Path(folder)) as aws,
    ):
        sys.stdout.write(json.dumps({"aws": aws, "authorization_api": authorization_api}) + "\n")
        sys.stdout.flush()
        if sys.stdin.readline().strip() == "keep":
            while True:
                signal.pause()


if __name__ == "__main__":
    main()
