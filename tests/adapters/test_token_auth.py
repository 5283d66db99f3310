"""The token in requests and httpx calls: after a 401, at most one retry, with another token."""

from __future__ import annotations

import asyncio
import io
import pickle
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
import requests
from flask import Flask, Response, redirect, request

from fake_ports import CANARY_TOKEN
from rotator.consumer import HttpxTokenAuth, TokenAuth, TokenSource
from rotator.devstack.http_server import serving
from rotator.errors import SettingsError, TokenUnavailable
from token_source_setup import Consumer, consumer

Call = Callable[..., int]
"""Sends a request with the source's token; returns the HTTP status."""


@dataclass
class Api:
    """An API that accepts some tokens, and records the requests."""

    valid: set[str] = field(default_factory=lambda: {"one"})
    received: list[tuple[str | None, bytes]] = field(default_factory=list)
    elsewhere: str = ""
    address: str = ""

    def app(self) -> Flask:
        app = Flask(__name__)

        @app.route("/topics", methods=["GET", "POST"])
        def topics() -> Any:
            self.received.append((request.headers.get("Authorization"), request.get_data()))
            is_valid = request.headers.get("Authorization", "").removeprefix("Bearer ") in self.valid
            return Response("yes" if is_valid else "no", status=200 if is_valid else 401)

        @app.route("/orders", methods=["POST"])
        def orders() -> Any:
            self.received.append((request.headers.get("Authorization"), request.get_data()))
            return redirect("/topics", 303)

        @app.route("/away")
        def away() -> Any:
            return redirect(self.elsewhere + "/topics")

        return app

    @property
    def tokens(self) -> list[str | None]:
        return [token.removeprefix("Bearer ") if token else None for token, _ in self.received]


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()
    with serving(made.app()) as made.address:
        yield made


@pytest.fixture
def other_host(api: Api) -> Iterator[Api]:
    """Another API, to which the first one redirects."""
    made = Api(valid=set())
    with serving(made.app()) as made.address:
        api.elsewhere = made.address.replace("127.0.0.1", "localhost")
        yield made


@pytest.fixture
def rotated() -> Consumer:
    """A consumer that has cached the token "one"."""
    made = consumer()
    made.reader.publish("one")
    made.token()
    return made


def by_requests(source: TokenSource, url: str, data: Any = None, **options: Any) -> int:
    auth = TokenAuth(source, **options)
    return requests.request("POST" if data else "GET", url, data=data, auth=auth, timeout=10).status_code


def by_httpx(source: TokenSource, url: str, data: Any = None, **options: Any) -> int:
    auth = HttpxTokenAuth(source, **options)
    with httpx.Client(auth=auth, follow_redirects=True) as client:
        return client.request("POST" if data else "GET", url, content=data).status_code


def by_async_httpx(source: TokenSource, url: str, data: Any = None, **options: Any) -> int:
    async def call() -> int:
        auth = HttpxTokenAuth(source, **options)
        content = _asynchronous(data) if isinstance(data, Iterator) else data
        async with httpx.AsyncClient(auth=auth, follow_redirects=True) as client:
            return (await client.request("POST" if data else "GET", url, content=content)).status_code

    return asyncio.run(call())


async def _asynchronous(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.fixture(params=[by_requests, by_httpx, by_async_httpx], ids=["requests", "httpx", "async httpx"])
def call(request: pytest.FixtureRequest) -> Call:
    made: Call = request.param
    return made


def test_a_request_carries_the_token(api: Api, rotated: Consumer, call: Call) -> None:
    assert call(rotated.source, f"{api.address}/topics") == 200
    assert api.tokens == ["one"]


def test_401_is_retried_with_the_currently_stored_token(api: Api, rotated: Consumer, call: Call) -> None:
    api.valid = {"two"}
    rotated.reader.publish("two")
    assert call(rotated.source, f"{api.address}/topics", b"body") == 200
    assert api.received == [("Bearer one", b"body"), ("Bearer two", b"body")]
    assert rotated.reader.reads == 2


def test_401_is_not_retried_with_an_unchanged_token(api: Api, rotated: Consumer, call: Call) -> None:
    api.valid = set()
    assert call(rotated.source, f"{api.address}/topics") == 401
    assert api.tokens == ["one"]
    assert rotated.reader.reads == 2


def test_second_401_is_returned_to_the_caller(api: Api, rotated: Consumer, call: Call) -> None:
    api.valid = set()
    rotated.reader.publish("two")
    assert call(rotated.source, f"{api.address}/topics") == 401
    assert api.tokens == ["one", "two"]
    assert rotated.reader.reads == 2


def test_401_is_returned_when_the_parameter_is_unreadable(api: Api, rotated: Consumer, call: Call) -> None:
    api.valid = set()
    rotated.reader.fail()
    assert call(rotated.source, f"{api.address}/topics") == 401
    assert api.tokens == ["one"]


def test_unrepeatable_body_is_not_resent_but_token_is_refreshed(
    api: Api, rotated: Consumer, call: Call
) -> None:
    api.valid = {"two"}
    rotated.reader.publish("two")
    assert call(rotated.source, f"{api.address}/topics", iter([b"bo", b"dy"])) == 401
    assert api.received == [("Bearer one", b"body")]
    assert call(rotated.source, f"{api.address}/topics") == 200


def test_a_file_is_rewound_and_sent_again(api: Api, rotated: Consumer) -> None:
    api.valid = {"two"}
    rotated.reader.publish("two")
    file = io.BytesIO(b"headbody")
    file.read(4)
    assert by_requests(rotated.source, f"{api.address}/topics", file) == 200
    assert [body for _, body in api.received] == [b"body", b"body"]


def test_a_file_that_cannot_be_rewound_is_not_sent_again(api: Api, rotated: Consumer) -> None:
    class Pipe(io.BytesIO):
        def seek(self, *_: int) -> int:
            raise OSError

    api.valid = {"two"}
    rotated.reader.publish("two")
    assert by_requests(rotated.source, f"{api.address}/topics", Pipe(b"body")) == 401
    assert len(api.received) == 1


def test_redirect_to_another_host_never_sends_the_token(
    api: Api, other_host: Api, rotated: Consumer, call: Call
) -> None:
    rotated.reader.publish("two")
    assert call(rotated.source, f"{api.address}/away") == 401
    assert other_host.tokens == [None]


def test_401_after_a_redirect_does_not_resend_the_post(api: Api, rotated: Consumer, call: Call) -> None:
    api.valid = {"two"}
    rotated.reader.publish("two")
    assert call(rotated.source, f"{api.address}/orders", b"order") == 200
    assert [body for _, body in api.received] == [b"order", b"", b""]


def test_source_without_a_token_raises_and_sends_no_request(api: Api, call: Call) -> None:
    with pytest.raises(TokenUnavailable, match="there is no parameter"):
        call(consumer().source, f"{api.address}/topics")
    assert api.received == []


def test_no_token_goes_to_an_address_without_tls(rotated: Consumer, call: Call) -> None:
    with pytest.raises(
        SettingsError, match=r"not sent to api\.example\.test: the URL does not begin with https"
    ):
        call(rotated.source, "http://api.example.test/topics")


def test_allow_http_sends_the_token_without_tls(api: Api, rotated: Consumer) -> None:
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["Authorization"])
        return httpx.Response(200)

    auth = HttpxTokenAuth(rotated.source, allow_http=True)
    with httpx.Client(auth=auth, transport=httpx.MockTransport(answer)) as client:
        client.get("http://api.example.test/topics")
    prepared = requests.Request("GET", "http://api.example.test/topics").prepare()
    sent.append(TokenAuth(rotated.source, allow_http=True)(prepared).headers["Authorization"])
    assert sent == ["Bearer one", "Bearer one"]


def test_proxied_loopback_request_without_tls_is_refused(
    api: Api, rotated: Consumer, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.test:3128")
    with pytest.raises(SettingsError, match=r"not sent to 127\.0\.0\.1"):
        call(rotated.source, f"{api.address}/topics")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert call(rotated.source, f"{api.address}/topics") == 200


def test_response_hooks_hide_the_token_and_can_be_pickled(api: Api, rotated: Consumer) -> None:
    rotated.reader.publish(CANARY_TOKEN)
    api.valid = {CANARY_TOKEN}
    rotated.source.replacement("one")
    answer = requests.get(f"{api.address}/topics", auth=TokenAuth(rotated.source), timeout=10)
    assert CANARY_TOKEN not in repr(answer.request.hooks)
    copy = pickle.loads(pickle.dumps(answer))
    assert (copy.status_code, copy.text) == (200, "yes")
    [hook] = copy.request.hooks["response"]
    assert hook(copy) is None


def test_ipv6_loopback_is_allowed_without_tls(rotated: Consumer) -> None:
    prepared = requests.Request("GET", "http://[::1]:80/topics").prepare()
    assert TokenAuth(rotated.source)(prepared).headers["Authorization"] == "Bearer one"


def test_session_history_contains_the_retried_401(api: Api, rotated: Consumer) -> None:
    api.valid = {"two"}
    rotated.reader.publish("two")
    with requests.Session() as session:
        session.auth = TokenAuth(rotated.source)
        answer = session.get(f"{api.address}/topics", timeout=10)
        assert (answer.status_code, answer.text) == (200, "yes")
        assert [(each.status_code, each.text) for each in answer.history] == [(401, "no")]
        assert session.get(f"{api.address}/topics", timeout=10).history == []


def test_parameter_read_does_not_block_the_event_loop(api: Api) -> None:
    made = consumer()
    made.reader.publish("one")
    gate = made.reader.gate = threading.Event()

    async def calls() -> list[int]:
        async with httpx.AsyncClient(auth=HttpxTokenAuth(made.source)) as client:
            calls = [asyncio.create_task(client.get(f"{api.address}/topics")) for _ in range(50)]
            while not made.reader.at_once:  # noqa: ASYNC110 - set in a thread
                await asyncio.sleep(0.001)
            assert await anyio.to_thread.run_sync(lambda: "others get their threads") is not None
            gate.set()
            return [answer.status_code for answer in await asyncio.gather(*calls)]

    assert asyncio.run(calls()) == [200] * 50
    assert made.reader.reads == 1


def test_a_call_that_waits_for_a_read_can_be_cancelled(api: Api) -> None:
    made = consumer()
    made.reader.gate = threading.Event()

    async def call() -> bool:
        async with httpx.AsyncClient(auth=HttpxTokenAuth(made.source)) as client:
            with anyio.move_on_after(0.05) as scope:
                await client.get(f"{api.address}/topics")
        return scope.cancelled_caught

    assert asyncio.run(call())
    assert made.reader.at_once == 1
    made.reader.gate.set()
    made.settle()
