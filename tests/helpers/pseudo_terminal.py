"""A pseudo-terminal with a process on it, which has it as its controlling one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TIMEOUT_SECONDS = 60


@dataclass
class Terminal:
    """What is typed and shown. ``shown`` grows as it is read."""

    descriptor: int
    process: subprocess.Popen[bytes]
    shown: bytes = field(default=b"", repr=False)

    def type(self, keys: str) -> None:
        os.write(self.descriptor, keys.encode())

    def read(self) -> bool:
        """Read the available output, or wait for it; return False once no process has the terminal open."""
        try:
            chunk = os.read(self.descriptor, 65536)
        except OSError:  # Linux reports the end as EIO
            return False
        self.shown += chunk
        return bool(chunk)

    def wait_for(self, text: str) -> None:
        while text not in self.text:
            if not self.read():
                pytest.fail(f"the terminal never showed {text!r}")

    def end(self) -> int:
        """Read to the end and return the exit code."""
        while self.read():
            pass
        return self.process.wait(TIMEOUT_SECONDS)

    @property
    def text(self) -> str:
        return self.shown.decode(errors="replace").replace("\r\n", "\n")


@contextlib.contextmanager
def terminal(command: Sequence[str], environ: Mapping[str, str], folder: Path) -> Iterator[Terminal]:
    """Run a command on a terminal of its own."""
    outside, inside = pty.openpty()
    try:
        process = subprocess.Popen(
            command,
            env={"TERM": "dumb", **environ},
            cwd=folder,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one call to the kernel
        )
    finally:
        os.close(inside)
    try:
        yield Terminal(outside, process)
    finally:
        process.kill()
        process.wait(TIMEOUT_SECONDS)
        os.close(outside)
