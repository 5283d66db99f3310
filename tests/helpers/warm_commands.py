"""A command as processes that are forked from one that has imported its module already.

The start of an interpreter and its imports are most of what a process of ``aws`` or ``rotator`` costs. A
forked one is a process all the same, with arguments, environment, folder, streams and exit code of its own.
Its launcher runs the module from the start instead where a fork would differ: at a terminal, with variables
of the interpreter's, and in another home, which the SDK reads when it is imported. The process is
killed when its launcher ends; no signal is passed on.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import warm_server

LAUNCHER = """#!{python} -IS
import _socket, marshal, os, sys  # the imports of json and socket take longer than the rest
differs = os.environ.get("HOME") != {home!r} or any(name.startswith("PYTHON") for name in os.environ)
try:
    if differs or any(map(os.isatty, range(3))):
        raise OSError
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    server.connect({address!r})
    request = marshal.dumps([sys.argv[1:], dict(os.environ), os.getcwd()])
    streams = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
    server.sendmsg([request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
except OSError:
    os.execv({python!r}, [{python!r}, "-m", {module!r}, *sys.argv[1:]])
code = int(server.recv(10) or 255)
if code < 0:
    import signal
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by this interpreter
        signal.signal(ignored, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


@contextmanager
def warm(module: str, launcher: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """Run that process while the body runs, and put its launcher there, a ``python -m MODULE``."""
    address = launcher.with_name(f"{launcher.name}.socket")
    values = {"python": sys.executable, "home": environment["HOME"], "address": str(address)}
    launcher.write_text(LAUNCHER.format(module=module, **values))
    launcher.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, warm_server.__file__, module, str(address)],
        env=environment,
        stdin=subprocess.PIPE,  # ends with this process, however that ends, and the server does then
        stdout=subprocess.PIPE,
        start_new_session=True,  # a group of its own, with what it forks
    ) as server:
        try:
            assert server.stdout
            assert server.stdout.readline(), f"the server for {module} did not start"
            yield launcher
        finally:
            os.killpg(server.pid, signal.SIGKILL)
