"""An environment in which the wheel is installed, and a copy of what a release is built of."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from conftest import CHECKOUT

AS_STARTED = dict(os.environ)
"""With the user's package index."""

SOURCES = ("rotator", "infra", "pyproject.toml", "README.md", "CHANGELOG.md", "Makefile", ".gitignore")


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the wheel, the extras that a test asks for, and nothing else."""

    folder: Path
    variables: Mapping[str, str]

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command that the environment has."""
        program, *arguments = command
        return subprocess.run(
            [self.folder / "bin" / program, *arguments],
            env={**self.variables, **variables},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def distributions(self) -> set[str]:
        code = "from importlib.metadata import distributions as d; print(*(each.name for each in d()))"
        return set(self.run("python", "-c", code).stdout.split())


def copy_checkout(folder: Path) -> Path:
    """Copy what a release is built of, as a clone in another folder has it."""
    for name in SOURCES:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(
                CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".terraform")
            )
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, folder)
    return folder
