"""Warm commands do what a process from the start does: most tests run commands in that way."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from command_line import TIMEOUT_SECONDS, Shell
from conftest import CHECKOUT
from stored_tokens import PARAMETER
from warm_commands import warm

COMMANDS = {
    "a version": ("rotator", "--version"),
    "a mistake": ("rotator", "status", "--unknown"),
    "status": ("rotator", "status"),
    "token": ("rotator", "token"),
    "exec": ("rotator", "exec", "--", "sh", "-c", 'read line; echo "$line" >&2; printf %s "$TOKEN"; exit 7'),
    "a killed command": ("rotator", "exec", "--", "sh", "-c", "kill -9 $$"),
    "doctor": ("rotator", "doctor", "--json"),
    "rotate": ("rotator", "rotate"),
    "list": ("rotator", "list"),
    "add": ("rotator", "add", "a"),
    "remove": ("rotator", "remove", "a"),
    "simulate": ("rotator", "simulate", "--days", "1"),
    "aws": ("aws", "ssm", "get-parameter", "--name", PARAMETER, "--output", "text"),
    "aws refused": ("aws", "ssm", "get-parameter", "--name", "/none"),
    "aws configure": ("aws", "configure", "get", "region"),
}


def outcome(command: list[str], environment: dict[str, str], folder: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        command,
        env=environment,
        cwd=folder,
        input="a line\n",
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_warm_command_does_what_a_started_one_does(name: str, shell: Shell, token: str) -> None:
    command, *arguments = COMMANDS[name]
    module = {"aws": "awscli"}.get(command, command)
    started = outcome([sys.executable, "-m", module, *arguments], shell.variables(), CHECKOUT)
    assert outcome([command, *arguments], shell.variables(), CHECKOUT) == started


@pytest.mark.parametrize(("module", "command"), [("rotator", "rotator"), ("awscli", "aws")])
def test_warm_command_fails_as_a_started_one_on_a_full_disk(module: str, command: str, shell: Shell) -> None:
    def failure(*program: str) -> tuple[int, bool]:
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [*program, "--version"],
                env=shell.variables(),
                stdout=full,
                stderr=subprocess.PIPE,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
        return done.returncode, bool(done.stderr)

    assert failure(command) == failure(sys.executable, "-m", module) != (0, False)


@pytest.mark.usefixtures("token")
def test_killing_a_launcher_kills_its_process(shell: Shell) -> None:
    command = ["rotator", "exec", "--", "sh", "-c", "echo $$; exec sleep 600"]
    with subprocess.Popen(command, env=shell.variables(), stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout
        process = psutil.Process(int(launcher.stdout.readline()))
        launcher.kill()
        process.wait(TIMEOUT_SECONDS)
    assert launcher.returncode == -signal.SIGKILL


def test_server_of_warm_commands_stops_with_its_user(
    tmp_path: Path, clean_environment: Mapping[str, str]
) -> None:
    before = {child.pid for child in psutil.Process().children()}
    with warm("rotator", tmp_path / "rotator", clean_environment):
        (server,) = (child for child in psutil.Process().children() if child.pid not in before)
    assert not server.is_running()
