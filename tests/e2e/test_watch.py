"""``rotator status --watch`` as a process: changes during the watch, and its exit."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import pytest

from command_line import TIMEOUT_SECONDS, Shell
from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.deployment import Account

DOCUMENT = '{"secret_id": "healthwise/client", "parameter_name": "/%s/token"}'
WATCH = ("status", "--watch", "--every", "1")


@pytest.fixture
def shell(moto: Account, clean_environment: Mapping[str, str]) -> Shell:
    settings = {"ROTATOR_ROTATIONS_PATH": "/rotations", "COLUMNS": "200"}
    given = Shell({**clean_environment, **client_environment(moto.endpoint), **settings}, moto)
    put(given, "/rotations/a", DOCUMENT % "a")
    return given


def put(shell: Shell, name: str, value: str, kind: Literal["String", "SecureString"] = "String") -> None:
    shell.account.client("ssm").put_parameter(Name=name, Value=value, Type=kind, Overwrite=True)


def make_fresh(shell: Shell, name: str) -> None:
    """Put a token and a status that is good for a day there."""
    status = {
        "schema": 1,
        "parameter_version": 1,
        "issued_at": "2026-01-01T00:00:00Z",
        "expires_at": "2126-01-01T00:00:00Z",
        "renew_at": "2125-01-01T00:00:00Z",
        "scope": "*",
        "token_type": "Bearer",
        "token_sha256": "0" * 16,
        "secret_version_id": "v",
        "rotator_version": "0",
    }
    put(shell, f"/{name}/token", "token", "SecureString")
    put(shell, f"/{name}/token/status", json.dumps(status))


@contextmanager
def watching(shell: Shell, *options: str) -> Iterator[subprocess.Popen[str]]:
    with shell.start(*WATCH, *options) as process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> Any:
    assert process.stdout
    return json.loads(process.stdout.readline())


def states(line: Any) -> dict[str, str]:
    return {each["name"]: each["state"] for each in line["rotations"]}


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("good", "code"), [(True, 0), (False, 1)])
def test_json_prints_lines_and_a_signal_exits_with_the_last_code(
    end: signal.Signals, good: bool, code: int, shell: Shell
) -> None:
    if good:
        make_fresh(shell, "a")
    with watching(shell, "--json") as process:
        lines = [next_line(process), next_line(process)]
        process.send_signal(end)
        _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    assert [states(line) for line in lines] == [{"a": "fresh" if good else "missing"}] * 2
    assert lines[0]["at"] < lines[1]["at"]
    assert (process.returncode, errors) == (code, "")


def test_a_document_that_is_added_appears(shell: Shell) -> None:
    with watching(shell, "--json") as process:
        assert states(next_line(process)) == {"a": "missing"}
        put(shell, "/rotations/b", DOCUMENT % "b")
        seen = [states(next_line(process)) for _ in range(3)]  # a look may have been under way
    assert seen[-1] == {"a": "missing", "b": "missing"}


def test_tables_are_repeated_without_a_terminal(shell: Shell) -> None:
    with watching(shell) as process:
        assert process.stdout
        shown = "".join(process.stdout.readline() for _ in range(8))
    assert shown.count("rotation  state") == 2
    assert "\x1b" not in shown


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_closed_reader_stops_the_watch_without_an_error(options: tuple[str, ...], shell: Shell) -> None:
    with watching(shell, *options) as process:
        assert process.stdout
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr
        assert process.stderr.read() == ""
        assert process.wait(timeout=TIMEOUT_SECONDS) == 1


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        pytest.param(["status", "--every", "5"], "--every needs --watch", id="every without watch"),
        pytest.param([*WATCH[:-1], "0"], "'--every'", id="no time between"),
        pytest.param([*WATCH, "z"], "no rotation named 'z'", id="unknown rotation"),
    ],
)
def test_invalid_watch_arguments_are_refused(args: list[str], problem: str, shell: Shell) -> None:
    done = shell.run(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr
