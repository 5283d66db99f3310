"""The wheel in an empty environment: what it brings, what works, and what a missing extra reports."""

from __future__ import annotations

import re
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from conftest import CHECKOUT
from packaging_environment import Environment
from rotator import __version__, extras
from rotator.cli.main import COMMANDS
from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.deployment import Account

BOTOCORE = {extras.DISTRIBUTION, "botocore", "jmespath", "python-dateutil", "six", "urllib3"}
REQUESTS = {"requests", "certifi", "charset-normalizer", "idna", "urllib3"}
NAME = re.escape(extras.DISTRIBUTION)


def test_wheel_has_the_package_with_its_types_and_no_more(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = CHECKOUT / "rotator"
    assert found == {
        path.relative_to(CHECKOUT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "rotator/py.typed" in found


def test_wheel_metadata_is_complete_and_has_no_development_extras(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [name] = (each for each in archive.namelist() if each.endswith("/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    assert (metadata["Name"], metadata["Version"]) == (extras.DISTRIBUTION, __version__)
    for field in ("Summary", "Author", "Keywords", "Requires-Python", "Description-Content-Type"):
        assert metadata[field], field
    assert "Typing :: Typed" in (metadata.get_all("Classifier") or ())
    assert set(metadata.get_all("Provides-Extra") or ()) == {
        *("requests", "httpx", "cli", "function", "plot", "local"),
    }


def test_install_without_extras_brings_botocore_alone(consumer: Environment) -> None:
    assert consumer.distributions() == BOTOCORE


def test_extra_requests_brings_requests_alone(consumer_with_requests: Environment) -> None:
    assert consumer_with_requests.distributions() == BOTOCORE | REQUESTS


def test_installed_consumer_reads_a_token(consumer: Environment, moto: Account) -> None:
    moto.client("ssm").put_parameter(Name="/other/token", Value="a-token", Type="SecureString")
    code = "from rotator.consumer import TokenSource; print(TokenSource('/other/token').token())"
    done = consumer.run("python", "-c", code, **client_environment(moto.endpoint))
    assert (done.returncode, done.stdout, done.stderr) == (0, "a-token\n", "")


def test_extra_requests_has_token_auth(consumer_with_requests: Environment) -> None:
    code = "from rotator.consumer import TokenAuth, TokenSource; TokenAuth(TokenSource('/a/b'))"
    done = consumer_with_requests.run("python", "-c", code)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("name", "extra"), [("TokenAuth", "requests"), ("HttpxTokenAuth", "httpx")])
def test_class_without_its_extra_names_the_extra(name: str, extra: str, consumer: Environment) -> None:
    done = consumer.run("python", "-c", f"from rotator.consumer import {name}")
    last = done.stderr.splitlines()[-1]
    assert re.fullmatch(rf"ModuleNotFoundError: {name} needs .*'{NAME}\[{extra}\]'", last), done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("rotator",),
        ("rotator", "--help"),
        ("rotator", "token", "/other/token"),
        ("rotator", "demo"),
        ("python", "-m", "rotator", "status"),
    ],
    ids=" ".join,
)
def test_command_without_extras_names_cli(command: tuple[str, ...], consumer: Environment) -> None:
    expect_line(consumer, "cli", *command)


def test_devstack_without_its_extra_names_local(command_line: Environment, consumer: Environment) -> None:
    expect_line(command_line, "local", "python", "-m", "rotator.devstack")
    expect_line(consumer, "local", "python", "-m", "rotator.devstack")


def test_plot_without_its_extra_names_plot(command_line: Environment) -> None:
    expect_line(command_line, "plot", "rotator", "simulate", "--days", "1", "--plot", "a.svg")


def test_demo_of_a_wheel_names_make_demo_and_local(command_line: Environment) -> None:
    done = expect_line(command_line, "local", "rotator", "demo")
    assert "make demo" in done


@pytest.mark.parametrize("package", extras.PACKAGES["cli"])
def test_command_without_one_package_of_cli_names_cli(package: str, command_line: Environment) -> None:
    hidden = f"import sys; sys.modules[{package!r}] = None; from rotator.__main__ import main; main()"
    expect_line(command_line, "cli", "python", "-c", hidden, "rotate")


@pytest.mark.parametrize("package", ["rotator.nothing", "nothing"])
def test_missing_package_of_no_extra_is_raised(package: str) -> None:
    with pytest.raises(ModuleNotFoundError), extras.missing_package_reported("cli"):
        raise ModuleNotFoundError(name=package)


def test_extra_cli_lists_every_command(command_line: Environment) -> None:
    done = command_line.run("rotator", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert [name for name in COMMANDS if not re.search(rf"^  {name} ", done.stdout, re.MULTILINE)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_extra_cli_is_enough_for_the_help_of_each_command(command: str, command_line: Environment) -> None:
    done = command_line.run("rotator", command, "--help")
    assert (done.returncode, done.stderr) == (0, "")


def test_extra_cli_is_enough_to_simulate(command_line: Environment) -> None:
    done = command_line.run("rotator", "simulate", "--days", "1")
    assert (done.returncode, done.stderr) == (0, "")


def test_extra_cli_is_enough_to_print_a_token(command_line: Environment, moto: Account) -> None:
    moto.client("ssm").put_parameter(Name="/other/token", Value="a-token", Type="SecureString")
    done = command_line.run("rotator", "token", "/other/token", **client_environment(moto.endpoint))
    assert (done.returncode, done.stdout) == (0, "a-token\n")


def expect_line(environment: Environment, extra: str, *command: str) -> str:
    """Run a command that must exit with 2 and one line that names the extra; return the line."""
    done = environment.run(*command)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("rotator: ")
    assert f"'{extras.DISTRIBUTION}[{extra}]'" in line
    return line
