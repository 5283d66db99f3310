"""The commands where AWS refuses or cannot be trusted: one line with the code and the next step, and 1."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from command_line import TIMEOUT_SECONDS
from conftest import CHECKOUT
from rotator.devstack.aws_emulators import ADMINISTRATOR
from scripted_server import Peer, answer, serving

CANARY = "canary-in-the-words-of-aws"
TOKEN_ENDPOINT = "http://127.0.0.1:1/oauth2/token"
ONE = {
    "ROTATOR_SECRET_ID": "healthwise/client",
    "ROTATOR_PARAMETER_NAME": "/healthwise/token",
    "ROTATOR_TOKEN_ENDPOINT": TOKEN_ENDPOINT,
}
MANY = {"ROTATOR_ROTATIONS_PATH": "/rotations"}
COMMANDS = {
    "status": (("status",), MANY),
    "status of one": (("status", "--json"), ONE),
    "status of a stack": (("status", "--stack", "rotator"), {}),
    "token": (("token", "/healthwise/token"), {}),
    "rotate": (("rotate",), MANY),
    "rotate by the function": (("rotate", "--function", "rotator"), {}),
    "add": (
        ("add", "b", "--secret-id=a", "--parameter-name=/b/token", f"--token-endpoint={TOKEN_ENDPOINT}"),
        MANY,
    ),
    "doctor": (("doctor", "--no-token", "--json"), MANY),
}
RENEW = "renew the AWS credentials, which AWS does not accept, or check this machine's clock"
STEPS = {
    "RequestLimitExceeded": "try again; if the error persists, find out which other callers use up "
    "the account's request rate",
    "RequestExpired": RENEW,
    "InvalidClientTokenId": RENEW,
}


class Aws(Peer):
    """Refuses every request with a code, in the protocol of the service that is asked."""

    def __init__(self, code: str) -> None:
        super().__init__(self.refuse)
        self.code = code

    def refuse(self, connection: socket.socket) -> None:
        is_query = "application/x-www-form-urlencoded" in self.requests[-1].headers.get("Content-Type", "")
        error = f"<Error><Code>{self.code}</Code><Message>{CANARY}</Message></Error>"
        body = {"__type": self.code, "code": self.code, "message": CANARY}
        text = f"<ErrorResponse>{error}</ErrorResponse>" if is_query else json.dumps(body)
        answer(400, text.encode(), Content_Type="text/xml" if is_query else "application/json")(connection)


def run(
    name: str, peer: Peer, clean_environment: Mapping[str, str]
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run a command with AWS at this peer; return it, and what it reported in one line."""
    command, settings = COMMANDS[name]
    region = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": peer.url}
    done = subprocess.run(
        ["rotator", *command],
        env={**clean_environment, **ADMINISTRATOR, **region, **settings},
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    if done.stderr:
        assert done.stderr.count("\n") == 1
        return done, done.stderr.rstrip("\n")
    reported: dict[str, Any] = json.loads(done.stdout)
    if "checks" in reported:
        [failed] = [check for check in reported["checks"] if check["state"] == "failed"]
        assert failed["check"] == "AWS identity"
        return done, f"{failed['found']}; {failed['next_step']}"
    [line] = reported["rotations"]
    return done, line["error"]


@pytest.mark.parametrize("code", STEPS)
@pytest.mark.parametrize("name", COMMANDS)
def test_command_reports_aws_code_and_the_next_step(
    name: str, code: str, clean_environment: Mapping[str, str]
) -> None:
    with serving(Aws(code)) as aws:
        done, line = run(name, aws, clean_environment)
    assert done.returncode == 1
    assert line.endswith(f": {code}; {STEPS[code]}")
    assert CANARY not in done.stdout + done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_command_reports_the_certificate_of_a_proxy(
    name: str, clean_environment: Mapping[str, str], tls: Any
) -> None:
    with serving(Peer(answer(200, b"{}"), tls=tls)) as proxy:
        done, line = run(name, proxy, clean_environment)
    assert done.returncode == 1
    advice = "set AWS_CA_BUNDLE to the certificates of the proxy between this machine and AWS"
    assert line.endswith(f": BadCertificate; {advice}")
