"""Each command of README and guides is valid, and is run by a test or needs an account of AWS or GitHub.

The guides for consumers are not here: tests/recipes runs their code as it is printed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import botocore.session
import click
import pytest
from botocore import xform_name

import guides
from conftest import CHECKOUT
from infra import deploy_request
from rotator.cli import main
from rotator.devstack.http_server import free_port

DOCUMENTS = [guides.README, *(each for each in guides.GUIDES if each.parent.name != "consumers")]
COMMANDS = sorted({command for document in DOCUMENTS for command in guides.commands(document)})
TEMPLATE = (CHECKOUT / "infra" / "template.yaml").read_text()
TARGETS = re.findall(r"^([a-z]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)

NEEDS_ACCOUNT = re.compile(
    r"^(gh|cdk|sam) |\baws [a-z]|^make (deploy|undeploy|logs|smoke)\b|FUNCTION=|--function\b|--stack\b"
)
"""The commands of which infra/docs/README.md says so."""

RUN_BY = {
    "make demo": "tests/e2e/test_demo.py",
    "make rotate": "tests/e2e/test_demo.py",
    "make test": ".github/workflows/ci.yml",
    "rotator add": "tests/e2e/test_multiple_rotations.py",
    "rotator doctor": "tests/e2e/test_doctor.py",
    "rotator exec": "tests/e2e/test_exec.py",
    "rotator list": "tests/e2e/test_multiple_rotations.py",
    "rotator remove": "tests/e2e/test_multiple_rotations.py",
    "rotator rotate --dry-run": "tests/e2e/test_cli.py",
    "rotator rotate --progress": "tests/e2e/test_multiple_rotations.py",
    "rotator simulate": "tests/docs/test_reference.py",
    "rotator status": "tests/unit/cli/test_status_view.py",
    "rotator status --json": "tests/e2e/test_cli.py",
    "rotator status --watch": "tests/e2e/test_watch.py",
    "rotator token": "tests/e2e/test_token.py",
    'eval "$(_ROTATOR_COMPLETE=bash_source rotator)"': "tests/docs/test_commands.py",
    "python -m rotator.devstack": "tests/docs/test_commands.py",
    "curl": "tests/docs/test_commands.py",
    'key="rotator/$(sha256sum': "tests/docs/test_commands.py",
    "sha256sum": "tests/docs/test_commands.py",
    "pip install -e '.[plot]'": "tests/infra/test_lock_files.py",
    "SECRET=healthwise/client; umask 077": "tests/e2e/test_rollover.py",  # its fixture: the secret
    "cat > credentials.json": "tests/e2e/test_rollover.py",  # and the file
    "rm credentials.json": "tests/e2e/test_rollover.py",
}
"""The tests that run the other commands, by the longest beginning of a command."""

GIVEN_BEFORE = {"SECRET": "healthwise/client", "PARAMETER": "/healthwise/token", "BUCKET": "my-bucket"}
"""What "..." stands for in a deployment that is shown."""

KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/1234abcd"


def simple_commands(command: str) -> list[list[str]]:
    """Split a line of a shell into the words of its commands."""
    if assigned := re.fullmatch(r"\w+=\$\((.+)\)", command):
        command = assigned[1]
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|;&")
    lexer.whitespace_split, lexer.commenters = True, ""
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("|;&"):
            found.append([])
        else:
            found[-1].append(word)
    return found


def words_after(program: str) -> list[list[str]]:
    """Return the words after a program's name, of all commands that run it."""
    return [
        words[words.index(program) + 1 :]
        for command in COMMANDS
        for words in simple_commands(command.replace(".venv/bin/", ""))
        if program in words[:4]  # after xargs, too
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_run_by_a_test_or_needs_an_account(command: str) -> None:
    plain = command.replace(".venv/bin/", "")
    beginnings = [each for each in RUN_BY if plain.startswith(each)]
    assert beginnings or NEEDS_ACCOUNT.search(command)
    if beginnings and not NEEDS_ACCOUNT.search(command):
        assert (CHECKOUT / RUN_BY[max(beginnings, key=len)]).exists()


def test_every_test_of_a_command_is_used() -> None:
    plain = [command.replace(".venv/bin/", "") for command in COMMANDS]
    assert [each for each in RUN_BY if not any(command.startswith(each) for command in plain)] == []


@pytest.mark.parametrize("words", words_after("make"), ids=" ".join)
def test_make_target_exists(words: list[str]) -> None:
    target, *variables = words
    assert target in TARGETS
    assert all(re.fullmatch(r"[A-Z]+=.+", variable, re.DOTALL) for variable in variables if variable != "...")


@pytest.mark.parametrize("words", [w for w in words_after("make") if w[0] == "deploy"], ids=" ".join)
def test_shown_deployment_is_a_complete_request(words: list[str]) -> None:
    variables = dict(word.split("=", 1) for word in words[1:])
    variables |= {name: GIVEN_BEFORE[name] for name, value in variables.items() if value == "..."}
    variables = {name: value.replace("$KEY", KEY_ARN) for name, value in variables.items()}
    assert variables.keys() <= {"STACK", "SECRET", "PARAMETER", "BUCKET", "SET", "TAGS", "CODE"}
    assert deploy_request.read(variables, TEMPLATE).stack == "rotator"


@pytest.mark.parametrize("words", words_after("rotator"), ids=" ".join)
def test_command_line_takes_the_shown_options(words: list[str]) -> None:
    name, *arguments = (word for word in words if not word.startswith("_"))
    context = click.Context(main.main)
    command = main.main.get_command(context, name)
    assert command
    command.make_context(name, [word.replace("...", "rotator") for word in arguments], parent=context)


OF_THE_CLI_ALONE = {("s3", "cp"), ("cloudformation", "deploy")}
"""Commands of the AWS CLI that are no operation of a service."""


@cache
def aws_operations(service: str) -> dict[str, set[str]]:
    """Return the operations of a service and their parameters, in the names of the AWS CLI."""
    model = botocore.session.get_session().get_service_model(service)
    shapes = {name: model.operation_model(name).input_shape for name in model.operation_names}
    return {
        xform_name(name, "-"): {xform_name(member, "-") for member in getattr(shape, "members", {})}
        for name, shape in shapes.items()
    }


@pytest.mark.parametrize("words", words_after("aws"), ids=" ".join)
def test_aws_command_exists_with_its_options(words: list[str]) -> None:
    service, operation, *arguments = words
    if (service, operation) in OF_THE_CLI_ALONE:
        return
    options = {word.removeprefix("--") for word in arguments if word.startswith("--")}
    options = {"endpoint" if each == "notification-endpoint" else each for each in options}  # the CLI's name
    assert options - {"query", "output", "region"} <= aws_operations(service)[operation]


def test_shell_completion_knows_the_commands() -> None:
    [shown] = [command for command in COMMANDS if command.startswith("eval")]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", f"{shown} && complete -p rotator"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "complete -o nosort -F _rotator_completion rotator"


def test_embedded_api_issues_a_token_to_the_shown_request() -> None:
    [serve] = [command for command in COMMANDS if "rotator.devstack" in command]
    [request] = [command for command in COMMANDS if command.startswith("curl")]
    port = str(free_port())
    command = [sys.executable, *shlex.split(serve.replace("8080", port))[1:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=CHECKOUT, text=True) as server:
        try:
            assert server.stdout
            assert port in server.stdout.readline()
            done = subprocess.run(
                ["sh", "-c", request.replace("8080", port)], capture_output=True, text=True, check=True
            )
        finally:
            server.terminate()
    assert '"access_token"' in done.stdout


def test_shown_key_of_a_zip_is_its_hash(tmp_path: Path) -> None:
    [shown] = [command for command in COMMANDS if command.startswith("key=")]
    (tmp_path / "rotator.zip").write_bytes(b"a zip")
    done = subprocess.run(
        ["sh", "-c", f'{shown}; echo "$key"'], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"rotator/{hashlib.sha256(b'a zip').hexdigest()}.zip\n"
