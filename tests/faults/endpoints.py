"""What the function asks for tokens: the embedded Authorization API misbehaving, or worse."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from faults.timing import Timing
from faults.world import DAY_TOKEN, Api
from rotator.devstack.http_server import LOOPBACK
from scripted_server import Answer, Peer, answer, serving

DAY_TOKEN_BODY = json.dumps({"access_token": DAY_TOKEN, "token_type": "Bearer", "expires_in": 86400})
GOOD = answer(body=DAY_TOKEN_BODY.encode())

MANY = 100
"""More answers than there is time for."""


@dataclass(frozen=True)
class Endpoint:
    """Its address, and how many requests have arrived there."""

    address: str
    requests: Callable[[], int]


Start = Callable[["Stage"], Endpoint]


@dataclass(frozen=True)
class Stage:
    """What endpoints are made of; ``stack`` ends them."""

    api: Api
    timing: Timing
    stack: ExitStack
    tls: ssl.SSLContext

    def peer(self, *answers: Answer, **options: Any) -> Endpoint:
        peer = self.stack.enter_context(serving(Peer(*answers, **options)))
        return Endpoint(peer.url, lambda: len(peer.requests))

    def planned(self, planned: dict[str, Any], times: int) -> Endpoint:
        self.api.misbehaviour.plan(*[planned] * times)
        return Endpoint(self.api.token_endpoint, lambda: self.api.misbehaviour.token_requests)


def api(times: int = MANY, **planned: Any) -> Start:
    """The API, which fails this number of times and then works."""
    return lambda stage: stage.planned(planned, times)


def peer(*answers: Answer) -> Start:
    """A server that gives these answers, and the last one for ever."""
    return lambda stage: stage.peer(*answers)


def nowhere(address: str) -> Start:
    """An address that no request reaches, so that none is counted."""
    return lambda _stage: Endpoint(address, lambda: 0)


def wrong_certificate(stage: Stage) -> Endpoint:
    """A working server with an untrusted certificate."""
    return stage.peer(GOOD, tls=stage.tls)


def hung_up_once(stage: Stage) -> Endpoint:
    """A good server that closes its first connection without a word."""
    return stage.peer(GOOD, hang_ups=1)


def refused(stage: Stage) -> Endpoint:
    """A port that is bound, so that no other process takes it, but not listened on."""
    taken = stage.stack.enter_context(socket.socket())
    taken.bind((LOOPBACK, 0))
    return Endpoint(_address(taken), lambda: 0)


def deaf(stage: Stage) -> Endpoint:
    """A server that does not even accept connections."""
    return Endpoint(stage.stack.enter_context(_full_queue()), lambda: 0)


@contextmanager
def _full_queue() -> Iterator[str]:
    """A listener whose queue is full, so that connections are neither accepted nor refused."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield _address(listener)


def _address(listener: socket.socket) -> str:
    return f"http://{LOOPBACK}:{listener.getsockname()[1]}"
