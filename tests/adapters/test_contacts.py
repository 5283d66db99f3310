"""A contact: whether an endpoint answers at all, without asking it for a token."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from adapters.caller import Caller
from http_server import TOKEN, Answer, Serve, answer, half, half_then_reset, silence
from rotator.adapters.http import MAX_BODY
from rotator.errors import TokenEndpointUnavailable, TokenRequestError
from rotator.local.server import LOOPBACK, free_port


def test_a_contact_sends_no_credentials_and_no_token_comes_of_it(serve: Serve, caller: Caller) -> None:
    peer = serve(answer(status=401))
    caller.contact(peer.url)
    (request,) = peer.requests
    assert request.body == "grant_type=client_credentials"
    assert "authorization" not in {name.lower() for name in request.headers}


def kind(caller: Caller, url: str) -> tuple[bool, bool]:
    """Whether an endpoint that a contact finds unavailable was connected to, and whether it answered."""
    with pytest.raises(TokenEndpointUnavailable) as caught:
        caller.contact(url)
    return caught.value.connected, caught.value.answered


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_contact_that_is_asked_to_come_later_was_answered(
    serve: Serve, caller: Caller, status: int
) -> None:
    _, answered = kind(caller, serve(answer(status)).url)
    assert answered


@pytest.mark.parametrize("ending", [silence, half, half_then_reset], ids=lambda answer: answer.__name__)
def test_a_contact_that_is_not_answered_to_its_end_was_at_least_connected(
    serve: Serve, ending: Answer
) -> None:
    assert kind(Caller(budget=1.5), serve(ending).url) == (True, False)


def test_a_contact_whose_connection_is_refused_found_nobody(caller: Caller) -> None:
    assert kind(caller, f"http://{LOOPBACK}:{free_port()}") == (False, False)
    assert caller.slept  # and tried again


@pytest.fixture
def black_hole() -> Iterator[str]:
    """The address of a server that takes no more connections: whoever asks for one hears nothing."""
    with socket.create_server((LOOPBACK, 0), backlog=0) as server, ExitStack() as stack:
        for _ in range(8):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield f"{LOOPBACK}:{server.getsockname()[1]}"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_contact_that_hears_nothing_at_all_found_nobody(black_hole: str, scheme: str) -> None:
    assert kind(Caller(budget=1.5), f"{scheme}://{black_hole}/") == (False, False)


def once(connection: socket.socket) -> None:
    """Answer, keep the connection, and listen to all that still comes."""
    connection.sendall(b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")
    while connection.recv(65536):
        pass


@pytest.mark.usefixtures("trust")
def test_a_contact_that_is_not_answered_on_a_connection_from_before_was_connected(
    serve: Serve, tls: ssl.SSLContext
) -> None:
    peer = serve(once, tls=tls)
    caller = Caller(budget=3)
    caller.contact(peer.url)
    assert kind(caller, peer.url) == (True, False)
    assert len(peer.requests) == 1  # that it knows of


@pytest.mark.usefixtures("trust")
def test_a_contact_that_is_not_answered_by_way_of_a_proxy_was_connected(
    serve: Serve, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, peer = serve(TOKEN), serve(silence, tls=tls)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    assert kind(Caller(budget=1.5), peer.url) == (True, False)


def test_a_contact_whose_host_has_no_address_found_nobody(caller: Caller) -> None:
    assert kind(caller, "https://nobody.invalid/token") == (False, False)


@pytest.mark.usefixtures("trust")
def test_a_contact_whose_connection_is_closed_before_anything_was_asked_found_nobody(
    serve: Serve, caller: Caller, tls: ssl.SSLContext
) -> None:
    assert kind(caller, serve(TOKEN, tls=tls, hang_ups=100).url) == (False, False)


@pytest.mark.parametrize(
    "page",
    [answer(body=b"x" * (MAX_BODY + 1)), answer(400, body=b"not compressed", Content_Encoding="gzip")],
    ids=["too large", "not what it says"],
)
def test_a_page_of_any_kind_is_an_answer_too(serve: Serve, caller: Caller, page: Answer) -> None:
    peer = serve(page)
    caller.contact(peer.url)
    assert len(peer.requests) == 1


def test_a_contact_with_a_certificate_nobody_trusts_fails_at_once(
    serve: Serve, caller: Caller, tls: ssl.SSLContext
) -> None:
    with pytest.raises(TokenRequestError, match="certificate was not accepted"):
        caller.contact(serve(TOKEN, tls=tls).url)
    assert caller.slept == []
