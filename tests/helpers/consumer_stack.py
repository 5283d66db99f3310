"""A stack, a role that may only read its token, and a gateway that counts calls and can be down."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from wsgiref.types import StartResponse, WSGIEnvironment

import requests
from werkzeug.wrappers import Request, Response

from deployed_stack import CLIENT_ID, Deployed
from fake_ports import CANARY_SECRET
from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.deployment import Account
from rotator.devstack.http_server import serving

_ABOUT_THE_CONNECTION = {"Connection", "Content-Length"}  # Host stays: it is signed


class Gateway:
    """A gateway to the embedded AWS that counts calls, and throttles the next ``throttled`` ones of a kind.

    While ``down``, it answers 503.
    """

    def __init__(self, aws: str) -> None:
        self.calls: Counter[str] = Counter()
        self.throttled: Counter[str] = Counter()
        self.down = False
        self._aws = aws

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        self.calls[operation] += 1
        if self.down:
            return Response('{"__type": "ServiceUnavailable"}', 503)
        if self.throttled[operation] > 0:
            self.throttled[operation] -= 1
            return Response('{"__type": "ThrottlingException"}', 400)
        answer = requests.request(
            request.method,
            self._aws + request.path,
            data=request.get_data(),
            headers={name: value for name, value in request.headers if name not in _ABOUT_THE_CONNECTION},
            timeout=10,
        )
        return Response(answer.content, answer.status_code, content_type=answer.headers["Content-Type"])


@dataclass(frozen=True)
class Consuming:
    """A consumer's view of a stack: its role and environment, and ways to replace or revoke its token."""

    deployed: Deployed
    outputs: Mapping[str, str]
    consumer: Account
    gateway: Gateway
    environment: Mapping[str, str]

    def rotate(self, *, revoking: bool = False) -> None:
        """Force a rotation; if ``revoking``, the provider then revokes the previous token."""
        self.deployed.api.misbehaviour.plan(revokes_older_tokens=revoking)
        assert self.deployed.force(dict(self.outputs))["rotated"] == 1

    def revoke(self) -> None:
        """Let the provider revoke the stored token, as if another client had requested one."""
        self.deployed.api.misbehaviour.plan(revokes_older_tokens=True)
        asked = requests.post(
            f"{self.deployed.authorization_api}/oauth2/token",
            data={"grant_type": "client_credentials", "scope": "*"},
            auth=(CLIENT_ID, CANARY_SECRET),
            timeout=10,
        )
        asked.raise_for_status()

    def token(self) -> str:
        """Return the value of the parameter."""
        ssm = self.deployed.account.client("ssm")
        found = ssm.get_parameter(Name=self.outputs["ParameterName"], WithDecryption=True)
        return str(found["Parameter"]["Value"])


@contextmanager
def consuming(deployed: Deployed, clean_environment: Mapping[str, str]) -> Iterator[Consuming]:
    """Deploy a stack, and assume a role that may only read its token."""
    outputs = deployed.account.create_stack(deployed.one, stack="recipes")
    consumer = deployed.account.assume_consumer_role(outputs["ConsumerPolicyArn"], role="recipes-consumer")
    gateway = Gateway(deployed.account.endpoint)
    with serving(gateway) as address:
        environment = {
            **clean_environment,
            **client_environment(address, consumer.credentials),
            "TOKEN_PARAMETER": outputs["ParameterName"],
            "TOPICS_URL": f"{deployed.authorization_api}/topics",
            "AWS_MAX_ATTEMPTS": "1",  # a gateway that is down stays so: no test waits for retries
        }
        yield Consuming(deployed, outputs, consumer, gateway, environment)


class Conversation:
    """A process that reads lines and prints one result for each."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin
        assert process.stdout
        self._in: IO[str] = process.stdin
        self._out: IO[str] = process.stdout

    def ask(self, text: str = "") -> str:
        """Send a line; return the result that the process prints."""
        self._in.write(f"{text}\n")
        self._in.flush()
        return self.hear()

    def hear(self) -> str:
        """Return the next line that is not empty, or an empty text if the process has exited."""
        return next(filter(None, map(str.strip, self._out)), "")


@contextmanager
def conversation(command: list[str], environment: Mapping[str, str], folder: Path) -> Iterator[Conversation]:
    """Run a command while the body exchanges lines with it."""
    process = subprocess.Popen(
        command, env=environment, cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        try:
            yield Conversation(process)
        finally:
            process.kill()
