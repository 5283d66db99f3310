"""A stack, a role that may only read its token, and a gateway that counts what is read and can be down."""

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
    """The embedded AWS, with its calls counted; ``down`` it answers as a service that is not available."""

    def __init__(self, aws: str) -> None:
        self.calls: Counter[str] = Counter()
        self.down = False
        self._aws = aws

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        self.calls[request.headers.get("X-Amz-Target", "").rpartition(".")[2]] += 1
        if self.down:
            return Response('{"__type": "ServiceUnavailable"}', 503)
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
    """A consumer's view of a stack: its role, its environment, and ways to end what it has."""

    deployed: Deployed
    outputs: Mapping[str, str]
    consumer: Account
    gateway: Gateway
    environment: Mapping[str, str]

    def rotate(self, *, ending: bool = False) -> None:
        """Force a rotation, whose token may end the one before."""
        self.deployed.api.misbehaviour.plan(revokes_older_tokens=ending)
        assert self.deployed.force(dict(self.outputs))["rotated"] == 1

    def revoke(self) -> None:
        """Let the provider end the token that is stored, as it does when somebody else requests one."""
        self.deployed.api.misbehaviour.plan(revokes_older_tokens=True)
        asked = requests.post(
            f"{self.deployed.authorization_api}/oauth2/token",
            data={"grant_type": "client_credentials", "scope": "*"},
            auth=(CLIENT_ID, CANARY_SECRET),
            timeout=10,
        )
        asked.raise_for_status()

    def token(self) -> str:
        """What stands in the parameter."""
        ssm = self.deployed.account.client("ssm")
        found = ssm.get_parameter(Name=self.outputs["ParameterName"], WithDecryption=True)
        return str(found["Parameter"]["Value"])


@contextmanager
def consuming(deployed: Deployed, clean_environment: Mapping[str, str]) -> Iterator[Consuming]:
    """Deploy a stack, and become somebody who may read its token and do nothing else."""
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
    """A process that does something once for every line it is sent, and tells the outcome in a line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin
        assert process.stdout
        self._in: IO[str] = process.stdin
        self._out: IO[str] = process.stdout

    def ask(self, text: str = "") -> str:
        """Let it do it once more; returns what it tells."""
        self._in.write(f"{text}\n")
        self._in.flush()
        return self.hear()

    def hear(self) -> str:
        """Return its next line that is not empty, or nothing if it has ended."""
        return next(filter(None, map(str.strip, self._out)), "")


@contextmanager
def conversation(command: list[str], environment: Mapping[str, str], folder: Path) -> Iterator[Conversation]:
    """Run a command while the body talks with it."""
    process = subprocess.Popen(
        command, env=environment, cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        try:
            yield Conversation(process)
        finally:
            process.kill()
