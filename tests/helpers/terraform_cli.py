"""Terraform and its provider for AWS as this machine has them: nothing is downloaded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

MIRRORS = (
    *("/usr/share/terraform*", "/usr/local/share/terraform*", "/usr/lib/terraform*", "/opt/*"),
    *("/usr/share/terraform*/*", "/usr/local/share/terraform*/*", "/opt/*/*"),
)
"""Where a filesystem mirror of providers may be."""

PROVIDER = "*/hashicorp/aws/*"
"""A provider in a mirror: HOSTNAME/NAMESPACE/TYPE/VERSION."""


@dataclass(frozen=True)
class Terraform:
    """A folder with a configuration, and the variables of the environment that its commands get."""

    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command, whose standard input is what is given."""
        return subprocess.run(
            [find_terraform(), *arguments],
            env=self._variables,
            cwd=self.folder,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )

    def succeed(self, *arguments: str) -> str:
        """Run a command that must succeed, and return what it prints."""
        done = self.run(*arguments, "-no-color")
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    @contextmanager
    def with_running_provider(self) -> Iterator[Terraform]:
        """Run the installed provider for all commands: each of them would start it again.

        https://developer.hashicorp.com/terraform/plugin/debugging#starting-a-provider-in-debug-mode
        """
        [provider] = (self.folder / ".terraform" / "providers").glob(f"{PROVIDER}/*/terraform-provider-aws*")
        command = [str(provider), "-debug"]
        with subprocess.Popen(command, env=self._variables, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                prefix = "TF_REATTACH_PROVIDERS="
                [address] = islice((each for each in process.stdout if prefix in each), 1)
                value = address.strip().removeprefix(prefix).strip("'")
                yield replace(self, environ={**self.environ, "TF_REATTACH_PROVIDERS": value})
            finally:
                process.kill()

    @property
    def _variables(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "GOGC": "400",  # collects garbage less often: that is a quarter of its work
            "CHECKPOINT_DISABLE": "1",  # asks for newer versions
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            **self.environ,
        }


def find_terraform() -> str:
    return shutil.which("terraform") or pytest.skip("there is no terraform on the PATH")


def provider_installation(folder: Path) -> Path:
    """Write a CLI configuration that takes providers from this machine's mirror; skips without one."""
    mirror = next(_mirrors(), None)
    if mirror is None:
        pytest.skip("there is no filesystem mirror with hashicorp/aws in the usual system folders")
    file = folder / "terraform.rc"
    path = json.dumps(str(mirror))
    file.write_text(f"provider_installation {{\n  filesystem_mirror {{\n    path = {path}\n  }}\n}}\n")
    return file


def _mirrors() -> Iterator[Path]:
    for pattern in MIRRORS:
        for folder in sorted(Path("/").glob(pattern.lstrip("/"))):
            if any(folder.glob(PROVIDER)):
                yield folder


def messages(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Return the messages of a command with ``-json``."""
    return [json.loads(line) for line in done.stdout.splitlines()]
