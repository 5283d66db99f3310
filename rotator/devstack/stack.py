"""The embedded AWS and Authorization API as one process that cleans up after itself.

The parent writes one line of JSON to the standard input of this process, ``{"clients": {id: secret}}``, and
reads a line with the URLs from its standard output. On SIGTERM, or when its input is closed, the process
stops with everything that it started. So nothing keeps running when the parent is killed. After the line
``keep``, the process keeps running without its parent.
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

from rotator.devstack.authorization_api import AuthorizationApi
from rotator.devstack.aws_emulators import running_aws
from rotator.devstack.http_server import serving


@dataclass
class DevStack:
    """The running process as its parent sees it."""

    process: subprocess.Popen[str]
    aws: str
    authorization_api: str

    def keep(self) -> int:
        """Let the process keep running without this one; return its process id."""
        assert self.process.stdin  # noqa: S101 - it was started with a pipe
        self.process.stdin.write("keep\n")
        self.process.stdin.close()
        return self.process.pid


@contextmanager
def running_devstack(clients: Mapping[str, str]) -> Iterator[DevStack]:
    """Run the embedded stack in its own process, which stops with the body unless the body calls ``keep``.

    ``clients`` are secrets by client id. Raises RuntimeError if the process does not start.
    """
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "rotator.devstack.stack"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # an interrupt at the terminal must reach only the parent
        )
        assert process.stdin  # noqa: S101 - for the type checker; both are pipes
        assert process.stdout  # noqa: S101
        try:
            process.stdin.write(json.dumps({"clients": dict(clients)}) + "\n")
            process.stdin.flush()
            ready = process.stdout.readline()
            if not ready:  # the process has exited
                errors.seek(0)
                raise RuntimeError(f"the embedded stack did not start: {errors.read()[-2000:]}")
            yield DevStack(process, **json.loads(ready))
        finally:
            if not process.stdin.closed:  # ``keep`` closes it
                process.stdin.close()
                try:
                    process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()


def main() -> None:
    """Run both servers until SIGTERM or the end of the input."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    api = AuthorizationApi(json.loads(sys.stdin.readline())["clients"])
    with (
        tempfile.TemporaryDirectory(prefix="rotator-devstack-", ignore_cleanup_errors=True) as folder,
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
