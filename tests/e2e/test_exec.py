"""``rotator exec`` as a process: the command in its place, with the token and nothing else of ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import ROTATOR, TIMEOUT_SECONDS, Shell
from conftest import CHECKOUT
from leak_check import secrets_in, token_forms
from pseudo_terminal import terminal
from stored_tokens import PARAMETER, put, token_expiring_in

PYTHON = (sys.executable, "-c")
PRINT_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"
PRINT_ARGUMENTS = "import json, sys; print(json.dumps(sys.argv[1:]))"
PRINT_DESCRIPTORS = "import os; print(sorted(os.listdir('/dev/fd')))"
WAIT_FOR_SIGNAL = """
import os, signal, sys
name = sys.argv[1]
signal.signal(getattr(signal, name), lambda *_: (os.write(1, f"got {name}\\n".encode()), os._exit(5)))
print(os.getpid(), flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize(
    ("before", "variable"),
    [
        pytest.param([], "TOKEN", id="by default"),
        pytest.param(["--env", "API_KEY"], "API_KEY", id="by the name given"),
        pytest.param([PARAMETER, "--env=_t0"], "_t0", id="of a parameter by its own name"),
        pytest.param(["--env", "AUTH", "default"], "AUTH", id="options before NAME"),
    ],
)
def test_command_inherits_the_environment_and_the_token(
    before: list[str], variable: str, shell: Shell, token: str
) -> None:
    done = shell.run("exec", *before, "--", *PYTHON, PRINT_ENVIRONMENT)
    without = subprocess.run(
        [*PYTHON, PRINT_ENVIRONMENT], env=shell.variables(), capture_output=True, check=True
    )
    assert json.loads(done.stdout) == {**json.loads(without.stdout), variable: token}
    assert (done.returncode, done.stderr) == (0, "")


def test_existing_token_variable_is_replaced(shell: Shell, token: str) -> None:
    done = shell.run("exec", "--", *ROTATOR, "exec", "--", "sh", "-c", 'printf %s "$TOKEN"', TOKEN="old")
    assert done.stdout == token


def test_arguments_after_the_first_dashes_go_to_the_command(shell: Shell, token: str) -> None:
    words = ["--env", "X", "--help", "--", "-h", "a b", "", "*", "$HOME", "é"]
    done = shell.run("exec", "--", *PYTHON, PRINT_ARGUMENTS, *words)
    assert json.loads(done.stdout) == words


@pytest.mark.parametrize("code", [0, 3, 255])
def test_exec_exits_with_the_code_of_the_command(code: int, shell: Shell, token: str) -> None:
    assert shell.run("exec", "--", "sh", "-c", f"exit {code}").returncode == code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Things that look like commands."""
    (tmp_path / "no-permission").write_text("#!/bin/sh\n")
    (tmp_path / "no-interpreter").write_text("#!/no/such/interpreter\n")
    (tmp_path / "no-first-line").write_text("echo ran\n")
    (tmp_path / "directory").mkdir()
    for name in ("no-interpreter", "no-first-line"):
        (tmp_path / name).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "code", "problem"),
    [
        ("no-such-command", 127, "there is no command 'no-such-command'; check its name and PATH"),
        ("", 127, "there is no command ''"),
        ("{}/nothing", 127, "there is no command"),
        ("{}/no-permission/nothing", 127, "there is no command"),
        ("{}/no-permission", 126, "permission denied; make it executable"),
        ("no-permission", 126, "permission denied; make it executable"),
        ("{}/directory", 126, "it is a directory; name a program"),
        ("{}/no-first-line", 126, "begins with #!; begin it with #!/bin/sh"),
        ("no-interpreter", 126, "the interpreter in its first line does not exist; correct that line"),
        ("{}/no-interpreter", 126, "the interpreter in its first line does not exist"),
        ("{}/" + "a" * 300, 126, "cannot be run: File name too long"),
        ("no\nsuch", 127, "there is no command 'no\\nsuch'"),
    ],
)
def test_unrunnable_command_exits_with_the_codes_of_a_shell(
    command: str, code: int, problem: str, folder: Path, shell: Shell, token: str
) -> None:
    path = f"{shell.environment['PATH']}{os.pathsep}{folder}"
    done = shell.run("exec", "--", command.format(folder), PATH=path)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("rotator: ")
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
    assert secrets_in(done.stderr, token_forms(token)) == []


def test_too_large_environment_exits_with_126(shell: Shell, token: str) -> None:
    """Set inside the process: no caller could pass so much either."""
    code = """
import os, sys
from rotator.cli.main import main
os.environ |= {f"V{i}": "x" * 100_000 for i in range(60)}
sys.argv[1:] = ["exec", "--", "true"]
main()
"""
    done = subprocess.run(
        [*PYTHON, code], env=shell.variables(), cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 126
    assert "its arguments and environment are too long" in done.stderr


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        pytest.param([], "write it after two dashes: -- CMD ARG...", id="nothing"),
        pytest.param(["--"], "write it after two dashes", id="no command"),
        pytest.param(["curl", "-s", "x"], "write it after two dashes", id="no dashes"),
        pytest.param(["a", "b", "--", "true"], "unexpected extra argument", id="two names"),
        pytest.param(["--env", "--", "true"], "'--env' requires an argument", id="env without a name"),
        pytest.param(["--env", "1A", "--", "true"], "must not begin with a digit", id="digit first"),
        pytest.param(["--env", "A-B", "--", "true"], "letters, digits and _", id="dash"),
        pytest.param(["--env", "A=B", "--", "true"], "letters, digits and _", id="with a value"),
        pytest.param(["--env", "A\n", "--", "true"], "letters, digits and _", id="newline"),
        pytest.param(["--env", "É", "--", "true"], "letters, digits and _", id="not ASCII"),
        pytest.param(["--env", "", "--", "true"], "letters, digits and _", id="empty"),
        *(
            pytest.param(["--env", name, "--", "true"], f"{name} has a meaning already", id=name)
            for name in ("PATH", "HOME", "AWS_SESSION_TOKEN", "ROTATOR_SCOPE", "LD_PRELOAD", "https_proxy")
        ),
    ],
)
def test_invalid_arguments_are_refused_with_advice(
    args: list[str], problem: str, shell: Shell, token: str
) -> None:
    done = shell.run("exec", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["default", "--help", "--", "true"]])
def test_help_option_prints_the_usage(args: list[str], shell: Shell) -> None:
    done = shell.run("exec", *args)
    assert (done.returncode, done.stderr) == (0, "")
    assert "[NAME] -- CMD [ARG]..." in done.stdout


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_signal_reaches_the_command_in_the_same_process(name: str, shell: Shell, token: str) -> None:
    with shell.start("exec", "--", *PYTHON, WAIT_FOR_SIGNAL, name) as process:
        assert process.stdout
        assert int(process.stdout.readline()) == process.pid
        process.send_signal(getattr(signal, name))
        output, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    assert (process.returncode, output, errors) == (5, f"got {name}\n", "")


@pytest.mark.parametrize("name", ["TERM", "INT", "KILL", "PIPE", "XFSZ"])
def test_command_killed_by_a_signal_reports_that_signal(name: str, shell: Shell, token: str) -> None:
    """Also by those that Python ignores, and that would stay ignored."""
    done = shell.run("exec", "--", "sh", "-c", f"kill -{name} $$; echo survived")
    assert (done.returncode, done.stdout) == (-getattr(signal, f"SIG{name}"), "")


def test_command_with_a_closed_reader_is_killed_by_sigpipe(shell: Shell, token: str) -> None:
    with shell.start("exec", "--", "sh", "-c", "while :; do echo y; done") as process:
        assert process.stdout
        assert process.stdout.readline() == "y\n"
        process.stdout.close()
        assert process.wait(timeout=TIMEOUT_SECONDS) == -signal.SIGPIPE


def test_command_receives_all_of_standard_input(shell: Shell, token: str) -> None:
    text = "line\n" * 100_000
    with shell.start("exec", "--", "cat") as process:
        output, _ = process.communicate(text, timeout=TIMEOUT_SECONDS)
    assert output == text


def test_command_inherits_only_the_callers_descriptors(shell: Shell, token: str) -> None:
    reader, writer = os.pipe()
    try:
        outputs = []
        for command in ([], [*ROTATOR, "exec", "--"]):
            done = subprocess.run(
                [*command, *PYTHON, PRINT_DESCRIPTORS],
                env=shell.variables(),
                cwd=CHECKOUT,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_SECONDS,
                pass_fds=[writer],
                check=True,
            )
            outputs.append(done.stdout)
    finally:
        os.close(reader)
        os.close(writer)
    assert outputs[0] == outputs[1]
    assert f"'{writer}'" in outputs[1]


def test_command_controls_the_terminal_and_receives_ctrl_c(shell: Shell, token: str) -> None:
    code = f"import sys; assert sys.stdin.isatty() and sys.stdout.isatty(){WAIT_FOR_SIGNAL}"
    command = [*ROTATOR, "exec", "--", *PYTHON, code, "SIGINT"]
    with terminal(command, shell.variables(), CHECKOUT) as screen:
        screen.wait_for(f"{screen.process.pid}\n")
        screen.type("\x03")
        assert screen.end() == 5
    assert screen.text.endswith("got SIGINT\n")


def test_token_expiring_soon_is_passed_with_a_warning(shell: Shell) -> None:
    token = token_expiring_in(290)
    put(shell.account, token)
    done = shell.run("exec", "--", "sh", "-c", 'printf %s "$TOKEN"')
    assert (done.returncode, done.stdout) == (0, token)
    assert done.stderr.startswith(f"rotator: warning: the token in {PARAMETER} expires in ")
