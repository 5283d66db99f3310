"""Measure a process: what it took from its start to its end, and what each run took that it was asked for."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.ground import HERE, Ground


class MeasurementFailed(Exception):
    """A measured process failed; the text has the end of what it said."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds and bytes of a process or a run, and its calls by operation; ``peak`` is the process's."""

    wall: float
    cpu: float
    peak: int
    calls: Mapping[str, int]

    @property
    def aws_calls(self) -> int:
        """All but the token requests."""
        return sum(count for operation, count in self.calls.items() if operation != "token")


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Several runs of one process. ``cold`` is the first, counted from the start of the process."""

    cold: Cost
    warm: tuple[Cost, ...]


def cold(ground: Ground, module: str, *, due: bool) -> Cost:
    """Let a new process serve one rotation, from its start to its end."""
    ground.fill(1, due=due)
    with _process(ground, module, ground.single(module)):
        pass
    used = _used(ground)
    return Cost(wall=used["wall"], cpu=used["cpu"], peak=int(used["peak"]), calls=ground.calls())


def repeated(ground: Ground, module: str, rotations: int, *, due: bool, warm: int) -> Runs:
    """Let one process serve this many rotations, and after that as often again; a comparator serves one."""
    environment = ground.multiple() if module == "rotator.handler" else ground.single(module)
    reported: list[tuple[dict[str, float], dict[str, int]]] = []
    ground.fill(rotations, due=due)
    began = time.perf_counter()
    with _process(ground, module, environment, str(1 + warm)) as process:
        for number in range(1 + warm):
            if number:
                ground.fill(rotations, due=due)
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
            run = _reported(ground, process.stdout)
            if not number:
                run["wall"] = time.perf_counter() - began
            reported.append((run, ground.calls()))
    peak = int(_used(ground)["peak"])
    first, *others = (Cost(**run, peak=peak, calls=calls) for run, calls in reported)
    return Runs(cold=first, warm=tuple(others))


@contextmanager
def _process(
    ground: Ground, module: str, environment: Mapping[str, str], *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a module's handler in a process of its own; raises MeasurementFailed if that fails."""
    subject = [ground.python, "-S", "-P", str(HERE / "subject.py"), module, *arguments]
    launcher = [sys.executable, "-S", "-E", "-P", str(HERE / "launcher.py"), str(_file(ground)), *subject]
    with (
        _log(ground).open("w") as said,
        subprocess.Popen(
            launcher,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if arguments else said,
            stderr=said,
            text=True,
        ) as process,
    ):
        yield process
    if process.returncode:
        raise MeasurementFailed(f"{module} failed:\n{_log(ground).read_text()[-2000:]}")


def _reported(ground: Ground, output: IO[str] | None) -> dict[str, float]:
    """Return the subject's next line; the function's metrics are among the lines."""
    for line in output or ():
        if line.startswith('{"wall"'):
            run: dict[str, float] = json.loads(line)
            return run
    raise MeasurementFailed(f"a run failed:\n{_log(ground).read_text()[-2000:]}")


def _used(ground: Ground) -> dict[str, float]:
    used: dict[str, float] = json.loads(_file(ground).read_text())
    return used


def _file(ground: Ground) -> Path:
    return ground.folder / "used.json"


def _log(ground: Ground) -> Path:
    return ground.folder / "said"
