"""The command line as a process, with settings of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from conftest import CHECKOUT
from rotator.devstack.deployment import Account

ROTATOR = (sys.executable, "-m", "rotator")
TIMEOUT_SECONDS = 60


@dataclass
class Shell:
    """A shell with settings, in which commands are run."""

    environment: dict[str, str]
    account: Account

    def run(self, *args: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run ``rotator``, the warm command, with the settings and these changes; empty ones are unset."""
        return subprocess.run(
            ["rotator", *args],
            env=self.variables(**changes),
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def start(self, *args: str, **options: Any) -> subprocess.Popen[str]:
        """Start ``python -m rotator``, for a test that runs beside it; streams are pipes by default."""
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(
            [*ROTATOR, *args], env=self.variables(), cwd=CHECKOUT, text=True, **{**pipes, **options}
        )

    def variables(self, **changes: str) -> dict[str, str]:
        """The environment with these changes."""
        return {name: value for name, value in {**self.environment, **changes}.items() if value}

    def parameter(self, name: str) -> Any:
        return self.account.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]
