"""HttpTokenEndpoint against real sockets on loopback: what it survives, refuses and never tells."""

from __future__ import annotations

import base64
import gzip
import ipaddress
import json
import logging
import socket
import socketserver
import ssl
import struct
import time
import traceback
import tracemalloc
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, quote_plus

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fakes import CANARY_SECRET, CANARY_TOKEN, START, Clock, rotation
from rotator import oauth
from rotator.adapters import token_endpoint
from rotator.adapters.token_endpoint import MAX_BODY, HttpTokenEndpoint
from rotator.errors import (
    InvalidTokenResponse,
    RotatorError,
    TokenEndpointUnavailable,
    TokenRequestError,
    TokenRequestRejected,
    TokenVerificationError,
)
from rotator.local.server import LOOPBACK, free_port
from rotator.model import ClientAuthentication, ClientCredentials, Secret
from rotator.oauth import TokenResponse

CREDENTIALS = ClientCredentials(client_id="client", client_secret=Secret(CANARY_SECRET), version_id="v1")
BASIC = "Basic " + base64.b64encode(f"client:{CANARY_SECRET}".encode()).decode()
TOKEN_BODY = json.dumps({"access_token": CANARY_TOKEN, "token_type": "Bearer", "expires_in": 60}).encode()
MIB = 1024 * 1024


# The other side: a server whose every answer is scripted, down to its bytes.

Answer = Callable[[socket.socket], None]


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    line: str
    headers: dict[str, str]
    body: str


class Peer(socketserver.ThreadingTCPServer):
    """Gives its answers in turn, and the last one for ever.

    ``hang_ups`` connections are closed before anything else, politely, as a server going down does.
    """

    daemon_threads = False  # closing it waits for every thread

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None, hang_ups: int = 0) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.url = f"{'https' if tls else 'http'}://{LOOPBACK}:{self.server_address[1]}"
        self.requests: list[Received] = []
        self._answers = deque(answers)
        self._tls = tls
        self._hang_ups = hang_ups

    def next_answer(self) -> Answer:
        return self._answers.popleft() if len(self._answers) > 1 else self._answers[0]

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(_Handler.timeout)
        if self._hang_ups:
            self._hang_ups -= 1
            request.recv(MIB)
        elif self._tls:
            with self._tls.wrap_socket(request, server_side=True) as wrapped:
                super().finish_request(wrapped, client_address)
        else:
            super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away is what many of these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    timeout = 10.0
    server: Peer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        self.server.requests.append(Received(self.requestline, dict(self.headers), body))
        self.server.next_answer()(self.connection)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


Serve = Callable[..., Peer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start peers; all of them have ended when the test has."""
    with ExitStack() as stack:
        yield lambda *answers, **options: stack.enter_context(_serving(Peer(*answers, **options)))


@contextmanager
def _serving(peer: Peer) -> Iterator[Peer]:
    thread = Thread(target=peer.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield peer
    finally:
        peer.shutdown()
        thread.join()
        peer.server_close()


def head(length: int, status: int = 200, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} {CANARY_TOKEN}", f"Content-Length: {length}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def answer(status: int = 200, body: bytes = TOKEN_BODY, **headers: str) -> Answer:
    return lambda connection: connection.sendall(head(len(body), status, **headers) + body)


TOKEN = answer()
OUTAGE = answer(503)


def silence(connection: socket.socket) -> None:
    """Say nothing until the client goes away."""
    connection.recv(1)


def half(connection: socket.socket) -> None:
    """Send half of an answer."""
    connection.sendall(head(len(TOKEN_BODY)) + TOKEN_BODY[:20])


def half_then_silence(connection: socket.socket) -> None:
    half(connection)
    silence(connection)


def half_then_reset(connection: socket.socket) -> None:
    half(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def drip(start: bytes, piece: bytes) -> Answer:
    """Send a piece every tenth of a second, so that no read ever times out."""

    def send(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range(40):
            time.sleep(0.1)
            connection.sendall(piece)

    return send


# This side: the adapter with a budget, on a clock that its sleeping moves.


class Caller:
    """The adapter, what it slept, and the time it has left: real time and slept time together."""

    def __init__(self, budget: float = 30.0) -> None:
        self.clock = Clock()
        self.slept: list[float] = []
        self.endpoint = HttpTokenEndpoint(now=self.clock.now, sleep=self._sleep)
        self._budget = budget
        self._began = time.monotonic()

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.sleep(seconds)

    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def time_left(self) -> float:
        return self._budget - self.elapsed() - sum(self.slept)

    def request(self, url: str, **changes: Any) -> TokenResponse:
        asked = oauth.token_request(rotation(token_endpoint=url, **changes), CREDENTIALS)
        return self.endpoint.request(asked, time_left=self.time_left)

    def post(self, url: str) -> TokenResponse:
        return self.request(url, client_authentication=ClientAuthentication.POST)

    def probe(self, url: str) -> None:
        self.endpoint.probe(url, Secret(CANARY_TOKEN), time_left=self.time_left)


@pytest.fixture
def caller() -> Caller:
    return Caller()


# Answers.


def test_an_answer_is_returned_as_it_came(serve: Serve, caller: Caller) -> None:
    response = caller.request(serve(TOKEN).url)
    assert (response.status, response.body, response.requested_at) == (200, TOKEN_BODY, START)


def test_a_compressed_answer_is_returned_as_it_was_meant(serve: Serve, caller: Caller) -> None:
    compressed = answer(body=gzip.compress(TOKEN_BODY), Content_Encoding="gzip")
    assert caller.request(serve(compressed).url).body == TOKEN_BODY


def test_credentials_travel_in_basic_authentication(serve: Serve, caller: Caller) -> None:
    peer = serve(TOKEN)
    caller.request(peer.url)
    (received,) = peer.requests
    assert received.headers["Authorization"] == BASIC
    assert parse_qs(received.body) == {"grant_type": ["client_credentials"], "scope": ["*"]}


def test_credentials_travel_in_the_body_without_an_authorization_header(serve: Serve, caller: Caller) -> None:
    peer = serve(TOKEN)
    caller.post(peer.url)
    (received,) = peer.requests
    assert "Authorization" not in received.headers
    assert parse_qs(received.body)["client_secret"] == [CANARY_SECRET]


def test_a_body_of_the_largest_size_is_read(serve: Serve, caller: Caller) -> None:
    assert len(caller.request(serve(answer(body=b"x" * MAX_BODY)).url).body) == MAX_BODY


def test_a_body_beyond_the_largest_size_is_refused(serve: Serve, caller: Caller) -> None:
    peer = serve(answer(body=b"x" * (MAX_BODY + 1)))
    with pytest.raises(InvalidTokenResponse, match="more than 65536 bytes"):
        caller.request(peer.url)
    assert len(peer.requests) == 1


BOMB = 64 * MIB


@pytest.mark.parametrize(
    ("encoding", "bomb"),
    [
        ("gzip", gzip.compress(bytes(BOMB))),
        ("gzip", gzip.compress(bytes(MIB)) * (BOMB // MIB)),
        ("gzip, gzip", gzip.compress(gzip.compress(bytes(BOMB)))),
        ("deflate", zlib.compress(bytes(BOMB))),
    ],
    ids=["gzip", "gzip in many members", "gzip in gzip", "deflate"],
)
def test_a_compressed_bomb_is_refused_before_it_is_inflated(
    serve: Serve, caller: Caller, encoding: str, bomb: bytes
) -> None:
    peer = serve(answer(body=bomb, Content_Encoding=encoding))
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


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_its_target_never_called(serve: Serve, caller: Caller, status: int) -> None:
    target = serve(TOKEN)
    peer = serve(answer(status, Location=target.url))
    with pytest.raises(TokenRequestRejected, match="redirect") as caught:
        caller.request(peer.url)
    assert (caught.value.status, len(peer.requests), target.requests) == (status, 1, [])


# Retries.


@pytest.mark.parametrize(
    "failing",
    [OUTAGE, half, half_then_reset, half_then_silence, silence, lambda connection: None],
    ids=["503", "truncated", "reset", "stalled body", "no answer", "closed"],
)
def test_a_failure_that_may_pass_is_followed_by_another_request(
    serve: Serve, caller: Caller, failing: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_endpoint, "READ_TIMEOUT", 0.3)
    peer = serve(failing, TOKEN)
    assert caller.request(peer.url).body == TOKEN_BODY
    assert (len(peer.requests), len(caller.slept)) == (2, 1)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_not_repeated(serve: Serve, caller: Caller, status: int) -> None:
    peer = serve(answer(status, b'{"error": "invalid_client"}'))
    with pytest.raises(TokenRequestRejected) as caught:
        caller.request(peer.url)
    assert (caught.value.status, caught.value.code) == (status, "invalid_client")
    assert len(peer.requests) == 1


def test_a_refused_connection_is_repeated_until_no_time_is_left(caller: Caller) -> None:
    with pytest.raises(TokenEndpointUnavailable, match="could not be connected to"):
        caller.request(f"http://{LOOPBACK}:{free_port()}")
    assert 0 < sum(caller.slept) <= 30


def test_a_name_that_does_not_resolve_is_repeated_until_no_time_is_left(caller: Caller) -> None:
    with pytest.raises(TokenEndpointUnavailable, match="name that could not be resolved"):
        caller.request("http://nowhere.invalid")
    assert caller.slept


@pytest.mark.parametrize(
    "header",
    ["7", format_datetime(START + timedelta(seconds=7), usegmt=True)],
    ids=["seconds", "date"],
)
def test_retry_after_is_honoured(serve: Serve, caller: Caller, header: str) -> None:
    caller.request(serve(answer(429, Retry_After=header), TOKEN).url)
    assert caller.slept[0] >= 7


@pytest.mark.parametrize(
    "header",
    [
        "soon",
        "",
        "-1",
        "Tue, 24 Nov 1999 06:00:00 GMT",
        "Tue, 24 Nov 99999999999 06:00:00 GMT",
        "Tue, 24 Nov 2026 06:00:00 +99999999999999999999",
    ],
)
def test_a_retry_after_that_says_nothing_is_ignored(serve: Serve, caller: Caller, header: str) -> None:
    caller.request(serve(answer(429, Retry_After=header), TOKEN).url)
    assert len(caller.slept) == 1


@pytest.mark.parametrize(("budget", "requests"), [(0.9, 0), (5.5, 1), (9.0, 2)])
def test_no_attempt_begins_with_less_than_a_second_left(serve: Serve, budget: float, requests: int) -> None:
    peer = serve(answer(503, Retry_After="5"))
    with pytest.raises(TokenEndpointUnavailable):
        Caller(budget).request(peer.url)
    assert len(peer.requests) == requests


def test_every_retry_tells_its_attempt_and_its_wait(
    serve: Serve, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="rotator")
    caller.request(serve(OUTAGE, OUTAGE, TOKEN).url)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("rotator")] == [
        f"attempt {number}: the token endpoint answered HTTP 503; next attempt in {slept:.1f} s"
        for number, slept in enumerate(caller.slept, start=1)
    ]
    assert len(caller.slept) == 2


def _late(connection: socket.socket) -> None:
    """Fall silent only when the time is nearly over."""
    connection.sendall(head(len(TOKEN_BODY)))
    for _ in range(2):
        time.sleep(0.9)
        connection.sendall(b"{")
    silence(connection)


EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"  # of a deflate stream: it inflates to nothing


@pytest.mark.parametrize(
    "slow",
    [
        silence,
        half_then_silence,
        _late,
        drip(head(1000), b"x"),
        drip(head(1000, Content_Encoding="gzip") + gzip.compress(b"")[:10], EMPTY_BLOCK),
        drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    ],
    ids=["silence", "stalled body", "late stall", "dripping body", "dripping gzip", "dripping header"],
)
def test_a_slow_answer_cannot_hold_the_run_beyond_the_time_left(serve: Serve, slow: Answer) -> None:
    peer = serve(slow)
    caller = Caller(budget=2.0)
    with pytest.raises(TokenEndpointUnavailable):
        caller.request(peer.url)
    assert caller.elapsed() < 2.75


# The probe.


def test_a_probe_presents_the_token_and_passes_on_2xx(serve: Serve, caller: Caller) -> None:
    peer = serve(answer(204, b""))
    caller.probe(f"{peer.url}/topics")
    (received,) = peer.requests
    assert (received.line, received.headers["Authorization"]) == (
        "GET /topics HTTP/1.1",
        f"Bearer {CANARY_TOKEN}",
    )


@pytest.mark.parametrize("status", [302, 401, 403, 404])
def test_a_probe_that_is_refused_fails_at_once(serve: Serve, caller: Caller, status: int) -> None:
    target = serve(TOKEN)
    peer = serve(answer(status, Location=target.url))
    with pytest.raises(TokenVerificationError, match=f"HTTP {status}"):
        caller.probe(peer.url)
    assert (len(peer.requests), target.requests, caller.slept) == (1, [], [])


def test_a_probe_that_meets_an_outage_is_repeated(serve: Serve, caller: Caller) -> None:
    peer = serve(OUTAGE, TOKEN)
    caller.probe(peer.url)
    assert len(peer.requests) == 2


def test_a_probe_that_meets_a_lasting_outage_fails_the_verification(serve: Serve, caller: Caller) -> None:
    with pytest.raises(TokenVerificationError, match="HTTP 503"):
        caller.probe(serve(OUTAGE).url)
    assert 0 < sum(caller.slept) <= 30


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
def test_an_unusable_setting_of_the_environment_is_an_error_of_ours(
    caller: Caller, variable: str, value: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(TokenRequestError):
        caller.request(url)


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://", "http://.test", "http://127.0.0.1:99999", "//host"]
)
def test_an_unusable_address_is_not_repeated(caller: Caller, url: str) -> None:
    with pytest.raises(TokenRequestError, match="address is not usable"):
        caller.request(url)
    assert caller.slept == []


# TLS.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for the loopback address, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, LOOPBACK)])
    address = x509.IPAddress(ipaddress.ip_address(LOOPBACK))
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    file.write_bytes(
        made.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


@pytest.fixture(scope="module")
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trust(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))


def test_a_self_signed_certificate_is_refused_and_not_repeated(
    serve: Serve, caller: Caller, tls: ssl.SSLContext
) -> None:
    peer = serve(TOKEN, tls=tls)
    with pytest.raises(TokenRequestError, match="certificate was not accepted") as caught:
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
    with pytest.raises(TokenRequestError, match="certificate was not accepted"):
        caller.request(peer.url.replace(LOOPBACK, "localhost"))
    assert peer.requests == []


@pytest.mark.usefixtures("trust")
def test_a_connection_closed_in_the_handshake_is_repeated(
    serve: Serve, caller: Caller, tls: ssl.SSLContext
) -> None:
    peer = serve(TOKEN, tls=tls, hang_ups=1)
    assert caller.request(peer.url).body == TOKEN_BODY
    assert len(caller.slept) == 1


def test_an_endpoint_that_speaks_no_tls_is_not_said_to_have_a_bad_certificate(
    serve: Serve, caller: Caller
) -> None:
    peer = serve(TOKEN)
    with pytest.raises(TokenRequestError) as caught:
        caller.request(peer.url.replace("http:", "https:"))
    assert "certificate was not accepted" not in caught.value.problem


# Secrecy.

ECHO = json.dumps({"error": CANARY_SECRET, "error_description": f"{CANARY_TOKEN} {BASIC}"}).encode()

FAILURES: dict[str, Callable[[Serve], str]] = {
    "refused connection": lambda _: f"http://{LOOPBACK}:{free_port()}",
    "unknown host": lambda _: "http://nowhere.invalid",
    "unusable address": lambda _: "http://[::1",
    "no tls": lambda serve: serve(TOKEN).url.replace("http:", "https:"),
    "echo in a refusal": lambda serve: serve(answer(401, ECHO)).url,
    "echo in an outage": lambda serve: serve(answer(503, ECHO, Retry_After=CANARY_SECRET)).url,
    "echo in a redirect": lambda serve: serve(answer(302, ECHO, Location=f"/?{CANARY_SECRET}")).url,
    "echo without end": lambda serve: serve(answer(200, ECHO * 1000)).url,
    "echo as bad gzip": lambda serve: serve(answer(200, ECHO, Content_Encoding="gzip")).url,
    "echo as a bad header": lambda serve: serve(lambda c: c.sendall(b"HTTP/1.1 " + ECHO + b"\r\n\r\n")).url,
    "echo as no header": lambda serve: (
        serve(
            lambda c: c.sendall(
                b"HTTP/1.1 503 Sorry\r\n" + CANARY_SECRET.encode() + b"\r\nContent-Length: 0\r\n\r\n"
            )
        ).url
    ),
    "no answer": lambda serve: serve(silence).url,
    "stalled body": lambda serve: serve(half_then_silence).url,
    "reset": lambda serve: serve(half_then_reset).url,
}


def _canaries() -> list[str]:
    raw = f"client:{CANARY_SECRET}"
    form = f"client:{quote_plus(CANARY_SECRET)}"
    encoded = [base64.b64encode(text.encode()).decode() for text in (raw, form, CANARY_SECRET, CANARY_TOKEN)]
    return [CANARY_SECRET, quote_plus(CANARY_SECRET), CANARY_TOKEN, *encoded]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and all that travels with it, shown in a traceback or not."""
    if error:
        yield error
        yield from _chain(error.__cause__)
        yield from _chain(error.__context__)


def _told(error: BaseException) -> str:
    """Everything that an error tells to whoever prints, formats or inspects it."""
    told = [(str(each), repr(each), vars(each), each.args) for each in _chain(error)]
    return f"{told} {''.join(traceback.format_exception(error))}"


@pytest.mark.parametrize("call", [Caller.request, Caller.post, Caller.probe], ids=["basic", "post", "probe"])
@pytest.mark.parametrize("failure", FAILURES)
def test_no_error_and_no_log_line_tells_a_secret(
    serve: Serve,
    call: Callable[[Caller, str], object],
    failure: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(token_endpoint, "READ_TIMEOUT", 0.1)
    for logger in ("", "rotator", "urllib3", "requests"):
        caplog.set_level(logging.DEBUG, logger=logger or None)
    url = FAILURES[failure](serve)
    with pytest.raises(RotatorError) as caught:
        call(Caller(budget=3.0), url)
    logged = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    told = _told(caught.value) + caplog.text + str(logged)
    assert [canary for canary in _canaries() if canary in told] == []
    # The exceptions of requests hold the request, so none may travel along.
    assert [each for each in _chain(caught.value) if not isinstance(each, RotatorError)] == []


def test_no_log_line_tells_a_secret_when_all_is_well(
    serve: Serve, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    peer = serve(OUTAGE, answer(200))
    caller.request(peer.url)
    caller.post(peer.url)
    caller.probe(peer.url)
    assert [canary for canary in _canaries() if canary in caplog.text] == []
