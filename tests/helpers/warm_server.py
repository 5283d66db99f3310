"""``python warm_server.py MODULE ADDRESS``: imports a command's module, and forks for every call of it."""

from __future__ import annotations

import gc
import json
import os
import runpy
import select
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

CHECKOUT = Path(__file__).resolve().parents[2]
IMPORTED = {
    "awscli": ("awscli.clidriver", "awscli.handlers"),
    "rotator": ("rotator.handler", "rotator.cli.doctor", "rotator.cli.rotate", "rotator.cli.status"),
}
"""What each module imports when it runs."""

SERVICES = ("cloudformation", "lambda", "logs", "s3", "secretsmanager", "ssm", "sts")
"""Those that the commands call most."""

SET_BY_IMPORT = ("AWS_DATA_PATH",)
"""Variables that awscli sets for itself."""

LONGEST_PAUSE_SECONDS = 0.5
"""Between two reads of a stack: the CLI's 30 s are for AWS, which takes longer than an embedded one."""

MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Call:
    """A launcher's streams, arguments, environment and folder."""

    streams: list[int]
    arguments: list[str]
    environment: dict[str, str]
    folder: str

    def run(self, module: str) -> None:
        """Run the module with them, in this process."""
        for number, stream in enumerate(self.streams):
            os.dup2(stream, number)
        close(self.streams)
        set_by_import = {name: os.environ[name] for name in SET_BY_IMPORT if name in os.environ}
        os.environ.clear()
        os.environ.update(set_by_import | self.environment)
        time.tzset()
        os.chdir(self.folder)
        sys.path[0] = self.folder
        sys.argv = [module, *self.arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def preload(module: str) -> None:
    """Import what the module imports, and read what it reads of the SDK."""
    sys.path[0] = str(CHECKOUT)
    for name in IMPORTED[module]:
        import_module(name)
    from botocore import session, waiter  # with awscli its own

    shorter = SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, LONGEST_PAUSE_SECONDS)))
    waiter.time = shorter  # type: ignore[attr-defined]
    session.create_loader = cache(session.create_loader)
    reader = session.get_session()
    for service in SERVICES:
        reader.create_client(service, "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    gc.collect()
    gc.freeze()


def next_call(listener: socket.socket) -> Call | None:
    """Fork for every call: each is returned in a process of its own, and None in this one at the end."""
    while True:
        readable, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in readable:
            return None
        connection, _ = listener.accept()
        with connection:
            request, streams, _, _ = socket.recv_fds(connection, MOST_BYTES, 3)
            if not os.fork():
                if not (command := os.fork()):
                    return Call(streams, *json.loads(request))
                close(streams)
                report(command, connection)
        close(streams)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def close(streams: list[int]) -> None:
    for stream in streams:
        os.close(stream)


def report(command: int, connection: socket.socket) -> NoReturn:
    """Send the launcher the command's exit code, negative for a signal, and exit."""
    code = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    with suppress(OSError):  # the launcher was stopped
        connection.send(str(code).encode())
    os._exit(0)


def main(module: str, address: str) -> None:
    preload(module)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen(100)
        print("ready", flush=True)  # noqa: T201
        call = next_call(listener)
    if call:
        call.run(module)


if __name__ == "__main__":
    main(*sys.argv[1:])
