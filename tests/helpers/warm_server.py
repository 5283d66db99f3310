"""``python warm_server.py MODULE ADDRESS``: imports a command's module, and forks for every call of it."""

from __future__ import annotations

import atexit
import gc
import marshal
import os
import runpy
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import shared_sdk

CHECKOUT = Path(__file__).resolve().parents[2]
IMPORTED = {
    "awscli": ("awscli.clidriver", "awscli.handlers"),
    "rotator": (
        "rotator.adapters.runtime.http_transport",
        "rotator.adapters.runtime.secrets_manager",
        "rotator.adapters.runtime.token_endpoint",
        "rotator.cli.add",
        "rotator.cli.doctor",
        "rotator.cli.exec",
        "rotator.cli.main",
        "rotator.cli.rotate",
        "rotator.cli.status",
        "rotator.cli.token",
        "rotator.fleet.executor",
        "rotator.handler",
    ),
}
"""What each module imports when it runs, also what it imports late, such as the HTTP client."""

SERVICES = ("cloudformation", "lambda", "logs", "s3", "secretsmanager", "ssm", "sts")
"""Those that the commands call most."""

DESCRIPTIONS = ("service-2", "paginators-1", "waiters-2")
"""The SDK lists its folders of services for each of these."""

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
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            if end.code is None or isinstance(end.code, int):
                leave(end.code or 0)
            raise


def leave(code: int) -> None:
    """End this process as the interpreter does, except that it would write to all memory, and so copy it.

    What can't be written is left to the interpreter.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


@dataclass(frozen=True)
class Running:
    """The process of a call, and the connection to its launcher."""

    process: int
    launcher: socket.socket

    def report(self) -> None:
        """Send the launcher the exit code, negative for a signal."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        with self.launcher, suppress(OSError):  # the launcher was stopped
            self.launcher.send(str(code).encode())


def preload(module: str) -> None:
    """Import what the module imports, and read what it reads of the SDK."""
    sys.path[0] = str(CHECKOUT)
    for name in IMPORTED[module]:
        import_module(name)
    shared_sdk.share()
    from botocore import session, waiter  # with awscli its own

    shorter = SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, LONGEST_PAUSE_SECONDS)))
    waiter.time = shorter  # type: ignore[attr-defined]
    reader = session.get_session()
    for kind in DESCRIPTIONS:
        reader.get_component("data_loader").list_available_services(kind)
    for service in SERVICES:
        reader.create_client(service, "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    if module == "awscli":
        import_module("awscli.clidriver").create_clidriver()
    gc.collect()
    gc.freeze()


def next_call(listener: socket.socket) -> Call | None:
    """Fork for every call: each is returned in a process of its own, and None in this one at the end."""
    running: dict[int, Running] = {}
    while True:
        launchers = {each.launcher: process for process, each in running.items()}
        readable, _, _ = select.select([listener, sys.stdin, *running, *launchers], [], [])
        if sys.stdin in readable:
            return None
        killed = {launchers[each] for each in launchers.keys() & readable}
        for process in killed:
            signal.pidfd_send_signal(process, signal.SIGKILL)
        for ended in killed | (running.keys() & readable):
            os.close(ended)
            running.pop(ended).report()
        if listener in readable:
            connection, _ = listener.accept()
            request, streams, _, _ = socket.recv_fds(connection, MOST_BYTES, 3)
            process = os.fork()
            if not process:
                return Call(streams, *marshal.loads(request))
            close(streams)
            running[os.pidfd_open(process)] = Running(process, connection)


def close(streams: list[int]) -> None:
    for stream in streams:
        os.close(stream)


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
