"""HttpTokenEndpoint against what lies between it and a token: size, time, redirects, settings and TLS."""

from __future__ import annotations

import gzip
import ssl
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.caller import BASIC, Caller
from fake_ports import CANARY_TOKEN
from rotator.adapters.runtime import tls as shared_trust
from rotator.adapters.runtime.http_transport import MAX_BODY_BYTES
from rotator.devstack.http_server import LOOPBACK
from rotator.errors import (
    InvalidTokenResponse,
    TokenEndpointUnavailable,
    TokenRequestError,
    TokenRequestRejected,
)
from scripted_server import (
    TOKEN,
    TOKEN_BODY,
    Answer,
    Serve,
    answer,
    drip,
    half_then_silence,
    head,
    late_silence,
    silence,
)

MIB = 1024 * 1024


# Size.


def test_a_body_of_the_largest_size_is_read(serve: Serve, caller: Caller) -> None:
    assert len(caller.request(serve(answer(body=b"x" * MAX_BODY_BYTES)).url).body) == MAX_BODY_BYTES


def test_date_header_is_returned_with_the_response(serve: Serve, caller: Caller) -> None:
    date = "Tue, 24 Nov 2026 06:00:00 GMT"
    assert caller.request(serve(answer(Date=date)).url).date == date
    assert caller.request(serve(TOKEN).url).date is None


def test_a_body_beyond_the_largest_size_is_refused(serve: Serve, caller: Caller) -> None:
    peer = serve(answer(body=b"x" * (MAX_BODY_BYTES + 1)))
    with pytest.raises(InvalidTokenResponse, match="more than 65536 bytes"):
        caller.request(peer.url)
    assert len(peer.requests) == 1


def test_probe_accepts_a_body_beyond_the_largest_size(serve: Serve, caller: Caller) -> None:
    peer = serve(answer(body=b"x" * (MAX_BODY_BYTES + 1)))
    caller.probe(peer.url)
    assert len(peer.requests) == 1


def test_no_cookie_is_ever_sent_back(serve: Serve, caller: Caller) -> None:
    peer = serve(answer(503, Set_Cookie="session=1"), TOKEN)
    caller.request(peer.url)
    caller.request(peer.url)
    assert [received.headers.get("Cookie") for received in peer.requests] == [None, None, None]


def bomb() -> bytes:
    return gzip.compress(bytes(64 * MIB))


@pytest.mark.parametrize(
    ("encoding", "make"),
    [
        ("gzip", bomb),
        ("gzip", lambda: gzip.compress(bytes(MIB)) * 64),
        ("gzip, gzip", lambda: gzip.compress(bomb())),
        ("deflate", lambda: zlib.compress(bytes(64 * MIB))),
    ],
    ids=["gzip", "gzip in many members", "gzip in gzip", "deflate"],
)
def test_a_compressed_bomb_is_refused_before_it_is_inflated(
    serve: Serve, caller: Caller, encoding: str, make: Callable[[], bytes]
) -> None:
    peer = serve(answer(body=make(), Content_Encoding=encoding))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidTokenResponse, match="more than 65536 bytes"):
            caller.request(peer.url)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB


def test_a_body_that_cannot_be_decompressed_is_refused(serve: Serve, caller: Caller) -> None:
    peer = serve(answer(body=b"not compressed", Content_Encoding="gzip"))
    with pytest.raises(InvalidTokenResponse, match="cannot be decompressed"):
        caller.request(peer.url)
    assert len(peer.requests) == 1


# Time.


EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"  # of a deflate stream: it inflates to nothing


@pytest.mark.parametrize(
    "slow",
    [
        silence,
        half_then_silence,
        late_silence,
        drip(head(1000), b"x"),
        drip(head(1000, Content_Encoding="gzip") + gzip.compress(b"")[:10], EMPTY_BLOCK),
        drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    ],
    ids=["silence", "stalled body", "late stall", "dripping body", "dripping gzip", "dripping header"],
)
def test_slow_response_is_aborted_when_the_budget_is_spent(serve: Serve, slow: Answer) -> None:
    peer = serve(slow)
    caller = Caller(budget=1.5)
    with pytest.raises(TokenEndpointUnavailable):
        caller.request(peer.url)
    assert caller.elapsed() < 3.5  # the shortest of these takes four


# Redirects.


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_its_target_never_called(serve: Serve, caller: Caller, status: int) -> None:
    target = serve(TOKEN)
    peer = serve(answer(status, Location=target.url))
    with pytest.raises(TokenRequestRejected, match="redirect") as caught:
        caller.request(peer.url)
    assert (caught.value.status, len(peer.requests), target.requests) == (status, 1, [])


# What the environment may change, and what it may not.


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .netrc with a password for the loopback host, wherever one is looked for."""
    file = tmp_path / ".netrc"
    file.write_text(f"machine {LOOPBACK} login netrc-login password netrc-password\n")
    file.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(file))


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize(
    ("call", "authorization"),
    [(Caller.request, BASIC), (Caller.post, None), (Caller.probe, f"Bearer {CANARY_TOKEN}")],
    ids=["basic", "post", "probe"],
)
def test_netrc_is_never_consulted(
    serve: Serve, caller: Caller, call: Callable[[Caller, str], object], authorization: str | None
) -> None:
    peer = serve(TOKEN)
    call(caller, peer.url)
    assert [received.headers.get("Authorization") for received in peer.requests] == [authorization]


def test_the_proxy_of_the_environment_is_used(
    serve: Serve, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(TOKEN)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    caller.request("http://auth.example.test/oauth2/token")
    assert [received.line for received in proxy.requests] == [
        "POST http://auth.example.test/oauth2/token HTTP/1.1"
    ]


@pytest.mark.parametrize(
    ("variable", "value", "url"),
    [
        ("HTTP_PROXY", "http://[::1", "http://auth.example.test"),
        ("HTTP_PROXY", "socks9://127.0.0.1:1", "http://auth.example.test"),
        ("REQUESTS_CA_BUNDLE", "/nowhere/bundle.pem", "https://127.0.0.1:1"),
        ("REQUESTS_CA_BUNDLE", __file__, "https://127.0.0.1:1"),
    ],
    ids=["proxy address", "proxy scheme", "missing bundle", "bundle without certificates"],
)
def test_invalid_proxy_or_ca_bundle_is_a_token_request_error(
    caller: Caller, variable: str, value: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(TokenRequestError):
        caller.request(url)


# TLS.


def test_a_self_signed_certificate_is_refused_and_not_repeated(
    serve: Serve, caller: Caller, tls: ssl.SSLContext
) -> None:
    peer = serve(TOKEN, tls=tls)
    with pytest.raises(TokenRequestError, match="certificate is not trusted") as caught:
        caller.request(peer.url)
    assert not isinstance(caught.value, TokenEndpointUnavailable)
    assert (peer.requests, caller.slept) == ([], [])


@pytest.mark.usefixtures("trust")
def test_a_certificate_that_the_environment_trusts_is_accepted(
    serve: Serve, caller: Caller, tls: ssl.SSLContext
) -> None:
    assert caller.request(serve(TOKEN, tls=tls).url).body == TOKEN_BODY


@pytest.mark.usefixtures("trust")
def test_a_certificate_for_another_host_is_refused(serve: Serve, caller: Caller, tls: ssl.SSLContext) -> None:
    peer = serve(TOKEN, tls=tls)
    with pytest.raises(TokenRequestError, match="certificate is not trusted"):
        caller.request(peer.url.replace(LOOPBACK, "localhost"))
    assert peer.requests == []


@pytest.mark.usefixtures("trust")
def test_a_connection_closed_in_the_handshake_is_repeated(
    serve: Serve, caller: Caller, tls: ssl.SSLContext
) -> None:
    peer = serve(TOKEN, tls=tls, hang_ups=1)
    assert caller.request(peer.url).body == TOKEN_BODY
    assert len(caller.slept) == 1


def test_plain_http_endpoint_is_not_reported_as_bad_certificate(serve: Serve, caller: Caller) -> None:
    peer = serve(TOKEN)
    with pytest.raises(TokenRequestError) as caught:
        caller.request(peer.url.replace("http:", "https:"))
    assert "certificate is not trusted" not in caught.value.problem


@pytest.mark.usefixtures("trust")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_tunnels_tls_and_gets_no_credentials(
    serve: Serve, caller: Caller, tls: ssl.SSLContext, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, peer = serve(TOKEN, tls=tls if scheme == "https" else None), serve(TOKEN, tls=tls)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    assert caller.request(peer.url).body == TOKEN_BODY
    assert [received.line.split()[0] for received in proxy.requests] == ["CONNECT"]
    assert "Authorization" not in proxy.requests[0].headers


def test_https_proxy_with_untrusted_certificate_is_refused(
    serve: Serve, caller: Caller, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, peer = serve(TOKEN, tls=tls), serve(TOKEN, tls=tls)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with pytest.raises(TokenRequestError):
        caller.request(peer.url)
    assert (proxy.requests, peer.requests) == ([], [])


@pytest.mark.usefixtures("trust")
def test_ca_bundle_is_loaded_once_for_all_connections(
    serve: Serve, caller: Caller, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []

    class Counting(ssl.SSLContext):
        def load_verify_locations(self, *args: object, **kwargs: object) -> None:
            read.append(kwargs)
            super().load_verify_locations(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(shared_trust, "create_urllib3_context", lambda: Counting(ssl.PROTOCOL_TLS_CLIENT))
    for _ in range(3):
        caller.request(serve(TOKEN, tls=tls).url)
    assert len(read) == 1
