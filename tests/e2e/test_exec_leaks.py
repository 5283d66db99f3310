"""A token that ``rotator exec`` hands on opens the API, and is in no list of processes and no history."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from command_line import ROTATOR, Shell
from conftest import CHECKOUT
from fake_ports import CANARY_SECRET
from leak_check import secrets_in, token_forms
from pseudo_terminal import terminal
from rotator.devstack.authorization_api import AuthorizationApi
from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.deployment import Account
from rotator.devstack.http_server import serving
from stored_tokens import PARAMETER

PYTHON_GET = """
import os, urllib.request
headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
print(urllib.request.urlopen(urllib.request.Request(os.environ["URL"], headers=headers)).status)
"""
CURL = "curl -s -o /dev/null -w '%{http_code}\\n'"
BY_STANDARD_INPUT = f'printf "Authorization: Bearer %s" "$TOKEN" | {CURL} -H @- "$URL"'
AS_AN_ARGUMENT = f'{CURL} -H "Authorization: Bearer $TOKEN" "$URL"'

needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")


class WatchedApi:
    """The Authorization API, which looks at the list of processes while a client waits for its topics."""

    def __init__(self) -> None:
        self._api = AuthorizationApi({"client": CANARY_SECRET})
        self.listings: list[str] = []

    def app(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/topics":
            listed = psutil.process_iter(["cmdline"])
            self.listings.append("\n".join(" ".join(each.info["cmdline"] or ()) for each in listed))
        answer: Iterable[bytes] = self._api.app(environ, start_response)
        return answer


@pytest.fixture
def api() -> WatchedApi:
    return WatchedApi()


@pytest.fixture
def shell(api: WatchedApi, moto: Account, clean_environment: Mapping[str, str]) -> Iterator[Shell]:
    """A shell in an account where a token was rotated."""
    moto.create_secret("healthwise/client", "client", CANARY_SECRET)
    with serving(api.app) as address:
        settings = {
            "ROTATOR_SECRET_ID": "healthwise/client",
            "ROTATOR_PARAMETER_NAME": PARAMETER,
            "ROTATOR_TOKEN_ENDPOINT": f"{address}/oauth2/token",
            "URL": f"{address}/topics",
            "COLUMNS": "200",
        }
        given = Shell({**clean_environment, **client_environment(moto.endpoint), **settings}, moto)
        assert given.run("rotate").returncode == 0
        yield given


def forms(shell: Shell) -> set[str]:
    return token_forms(shell.parameter(PARAMETER)["Value"])


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["python3", "-c", PYTHON_GET], id="Python"),
        pytest.param(["sh", "-c", BY_STANDARD_INPUT], id="curl", marks=needs_curl),
    ],
)
def test_token_opens_the_api_and_is_in_no_process_list(
    command: list[str], api: WatchedApi, shell: Shell
) -> None:
    done = shell.run("exec", "--", *command)
    assert (done.returncode, done.stdout, done.stderr) == (0, "200\n", "")
    assert len(api.listings) == 1
    assert command[-1] in api.listings[0]  # it was running
    assert secrets_in(api.listings[0], forms(shell)) == []


@needs_curl
def test_token_as_an_argument_is_in_the_process_list(api: WatchedApi, shell: Shell) -> None:
    assert shell.run("exec", "--", "sh", "-c", AS_AN_ARGUMENT).stdout == "200\n"
    assert secrets_in(api.listings[0], forms(shell)) != []


@needs_bash
@needs_curl
def test_shell_history_does_not_contain_the_token(api: WatchedApi, shell: Shell, tmp_path: Path) -> None:
    history = tmp_path / "history"
    environ = {**shell.variables(), "HISTFILE": str(history), "HOME": str(tmp_path), "PS1": "$ "}
    line = f"{shlex.join(ROTATOR)} exec -- sh -c {shlex.quote(BY_STANDARD_INPUT)}"
    with terminal(["bash", "--norc", "--noprofile", "-i"], environ, CHECKOUT) as screen:
        screen.type(f"{line}\n")
        screen.wait_for("200\n")
        screen.type("exit\n")
        assert screen.end() == 0
    assert line in history.read_text()
    assert secrets_in(history.read_text() + screen.text + api.listings[0], forms(shell)) == []
