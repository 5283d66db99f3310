"""``rotator token`` as a process: the token alone, never on a terminal by accident."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from command_line import ROTATOR, TIMEOUT_SECONDS, Shell
from conftest import CHECKOUT
from leak_check import secrets_in, token_forms
from pseudo_terminal import terminal
from rotator.devstack.aws_emulators import ADMINISTRATOR, client_environment
from rotator.devstack.deployment import Account
from stored_tokens import PARAMETER, Spoil, assume_powerless_role, put, remove, spoilt, token_expiring_in

DAY = 86400


@pytest.mark.parametrize("args", [(), ("default",), (PARAMETER,), ("--show",)])
def test_the_token_is_printed_alone(args: tuple[str, ...], shell: Shell, token: str) -> None:
    done = shell.run("token", *args)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{token}\n", "")


def test_parameter_name_argument_needs_no_setting(shell: Shell, token: str) -> None:
    assert shell.run("token", PARAMETER, ROTATOR_PARAMETER_NAME="").stdout == f"{token}\n"


def test_multiple_rotations_require_a_name(shell: Shell) -> None:
    ssm = shell.account.client("ssm")
    for name in "ab":
        document = f'{{"secret_id": "x", "parameter_name": "/{name}/token"}}'
        ssm.put_parameter(Name=f"/rotations/{name}", Value=document, Type="String")
        put(shell.account, f"token-{name}", f"/{name}/token")
    multiple = {"ROTATOR_ROTATIONS_PATH": "/rotations", "ROTATOR_PARAMETER_NAME": ""}
    named = shell.run("token", "b", **multiple)
    assert (named.stdout, named.stderr) == ("token-b\n", "")  # without a known expiry: no warning
    unnamed = shell.run("token", **multiple)
    assert (unnamed.returncode, unnamed.stdout) == (2, "")
    assert unnamed.stderr == "rotator: there are 2 rotations, and NAME is missing; name one of: a, b\n"


def test_a_terminal_is_refused_before_anything_is_read(shell: Shell) -> None:
    nowhere = shell.variables(AWS_ENDPOINT_URL="http://127.0.0.1:1")
    with terminal([*ROTATOR, "token"], nowhere, CHECKOUT) as screen:
        assert screen.end() == 2
    assert screen.text == (
        "rotator: standard output is a terminal, where the token would stay visible; "
        "pipe it, run the command that needs it with `rotator exec`, or add --show\n"
    )


def test_show_option_prints_the_token_on_a_terminal(shell: Shell, token: str) -> None:
    with terminal([*ROTATOR, "token", "--show"], shell.variables(), CHECKOUT) as screen:
        assert screen.end() == 0
    assert screen.text == f"{token}\n"


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        pytest.param(remove, f"there is no parameter {PARAMETER}", id="missing"),
        pytest.param(spoilt(" "), "contains spaces", id="as good as empty"),
        pytest.param(spoilt("canary token"), "contains spaces", id="two words"),
        pytest.param(spoilt("canary-token\n"), "line breaks", id="newline at its end"),
        pytest.param(spoilt(token_expiring_in(-DAY)), f"the token in {PARAMETER} expired", id="expired"),
    ],
)
def test_unavailable_token_is_reported_in_one_line(
    spoil: Spoil, problem: str, shell: Shell, token: str
) -> None:
    spoil(shell.account)
    for command in (["token"], ["exec", "--", "echo", "it ran"]):
        done = shell.run(*command)
        assert (done.returncode, done.stdout) == (1, "")
        assert problem in done.stderr
        assert (done.stderr.count("\n"), "canary" in done.stderr) == (1, False)


def test_denied_parameter_is_reported_without_a_traceback(ministack_endpoint: str, shell: Shell) -> None:
    administrator = Account(ministack_endpoint, ADMINISTRATOR)
    put(administrator, "canary-token")
    powerless = client_environment(ministack_endpoint, assume_powerless_role(administrator).credentials)
    for command in (["token"], ["exec", "--", "echo", "it ran"]):
        done = shell.run(*command, **powerless)
        assert (done.returncode, done.stdout) == (1, "")
        assert "AccessDenied" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "changes", "problem"),
    [
        pytest.param(["token"], {"ROTATOR_PARAMETER_NAME": ""}, "or give a parameter's name", id="no name"),
        pytest.param(["token"], {"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, "no AWS Region", id="Region"),
        pytest.param(["token", "a b"], {}, "no rotation named 'a b'", id="no such rotation"),
        pytest.param(["token", "/a b"], {}, "NAME is '/a b'", id="no such name"),
        pytest.param(["token", "a", "b"], {}, "unexpected extra argument", id="two names"),
    ],
)
def test_invalid_usage_exits_with_2(
    args: list[str], changes: dict[str, str], problem: str, shell: Shell, token: str
) -> None:
    done = shell.run(*args, **changes)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


def test_token_expiring_soon_is_printed_with_a_warning(shell: Shell) -> None:
    token = token_expiring_in(290)
    put(shell.account, token)
    done = shell.run("token")
    assert (done.returncode, done.stdout) == (0, f"{token}\n")
    assert done.stderr.startswith(f"rotator: warning: the token in {PARAMETER} expires in ")
    assert secrets_in(done.stderr, token_forms(token)) == []


def test_closed_pipe_exits_without_an_error_message(shell: Shell, token: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*ROTATOR, "token"],
            env=shell.variables(),
            cwd=CHECKOUT,
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize(
    ("where", "problem"),
    [
        pytest.param(">&-", "Bad file descriptor", id="closed"),
        pytest.param(
            ">/dev/full",
            "No space left on device",
            id="full",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here"),
        ),
    ],
)
def test_a_token_that_cannot_be_written_is_an_error(
    where: str, problem: str, shell: Shell, token: str
) -> None:
    done = printed(where, shell.variables())
    assert done.returncode == 1
    assert done.stderr == (
        f"rotator: the token cannot be written to standard output: {problem}; "
        "give a pipe or a file that can be written\n"
    )


def test_closed_output_is_reported_before_anything_is_read(shell: Shell) -> None:
    """Else a connection to AWS, which stays open, has taken its place, and gets the token in clear."""
    done = printed(">&-", {**shell.variables(), "AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    assert done.returncode == 1
    assert "cannot be written to standard output: Bad file descriptor" in done.stderr


def printed(where: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run ``rotator token`` with its output led elsewhere by a shell."""
    return subprocess.run(
        ["sh", "-c", f'"$@" {where}', "sh", *ROTATOR, "token"],
        env=environment,
        cwd=CHECKOUT,
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
