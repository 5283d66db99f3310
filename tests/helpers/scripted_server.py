"""The other side of a request: a server on loopback whose every answer is scripted, down to its bytes."""

from __future__ import annotations

import json
import select
import socket
import socketserver
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from threading import Thread
from typing import Any

from fake_ports import CANARY_TOKEN
from rotator.devstack.http_server import LOOPBACK

TOKEN_BODY = json.dumps({"access_token": CANARY_TOKEN, "token_type": "Bearer", "expires_in": 60}).encode()

Answer = Callable[[socket.socket], None]


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    line: str
    headers: dict[str, str]
    body: str


class Peer(socketserver.ThreadingTCPServer):
    """Gives its answers in turn, and the last one for ever.

    ``hang_ups`` connections are closed before anything else, politely, as a server going down does. A proxy
    that does not ``connect`` gives its answers to CONNECT, too.
    """

    def __init__(
        self, *answers: Answer, tls: ssl.SSLContext | None = None, hang_ups: int = 0, connect: bool = True
    ) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.url = f"{'https' if tls else 'http'}://{LOOPBACK}:{self.server_address[1]}"
        self.requests: list[Received] = []
        self._answers = deque(answers)
        self._tls = tls
        self._hang_ups = hang_ups
        self.connects = connect

    def next_answer(self) -> Answer:
        return self._answers.popleft() if len(self._answers) > 1 else self._answers[0]

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(10)
        if self._hang_ups:
            self._hang_ups -= 1
            request.recv(65536)
        elif self._tls:
            with self._tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as wrapped:
                _shake_hands(wrapped)
                super().finish_request(wrapped, client_address)
        else:
            super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away is what many of these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: Peer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        self.server.requests.append(Received(self.requestline, dict(self.headers), body))
        self.server.next_answer()(self.connection)

    def do_GET(self) -> None:
        self.do_POST()

    def do_CONNECT(self) -> None:
        """Be a proxy (RFC 9110, 9.3.6): pass bytes on in both directions until a side has no more."""
        self.server.requests.append(Received(self.requestline, dict(self.headers), ""))
        if not self.server.connects:
            self.server.next_answer()(self.connection)
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as target, suppress(OSError):
            self.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while _passed_on(self.connection, target):
                pass

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def _shake_hands(connection: ssl.SSLSocket) -> None:
    """Do the TLS handshake. If it fails, wait until the client closes: an earlier close loses the alert."""
    try:
        connection.do_handshake()
    except ssl.SSLError:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        raise


def _passed_on(client: socket.socket, target: socket.socket) -> bool:
    """Pass on what either has sent; false at the end of one.

    One thread does both: two that read and write a TLS connection at once spoil it (OpenSSL's locks
    are the caller's to hold, https://docs.openssl.org/3.0/man7/openssl-threads/).
    """
    decrypted = isinstance(client, ssl.SSLSocket) and client.pending()
    ready = [client] if decrypted else select.select([client, target], [], [], 10)[0]
    for source in ready:
        sent = source.recv(65536)
        (target if source is client else client).sendall(sent)
        if not sent:
            return False
    return bool(ready)


Serve = Callable[..., Peer]  # a fixture's: the arguments are those of Peer


@contextmanager
def serving(peer: Peer) -> Iterator[Peer]:
    """Let a peer answer; in the end it and its threads, one for a connection, have ended."""
    thread = Thread(target=peer.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield peer
    finally:
        peer.shutdown()
        thread.join()
        peer.server_close()


# Whole answers.


def head(length: int, status: int = 200, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} {CANARY_TOKEN}", f"Content-Length: {length}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def raw(sent: bytes) -> Answer:
    return lambda connection: connection.sendall(sent)


def answer(status: int = 200, body: bytes = TOKEN_BODY, **headers: str) -> Answer:
    return raw(head(len(body), status, **headers) + body)


TOKEN = answer()
OUTAGE = answer(503)


# Answers that never end well.

half = raw(head(len(TOKEN_BODY)) + TOKEN_BODY[:20])


def silence(connection: socket.socket) -> None:
    """Say nothing until the client goes away."""
    connection.recv(1)


def half_then_silence(connection: socket.socket) -> None:
    half(connection)
    silence(connection)


def half_then_reset(connection: socket.socket) -> None:
    half(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def late_silence(connection: socket.socket) -> None:
    """Fall silent only after 1.8 seconds."""
    connection.sendall(head(len(TOKEN_BODY)))
    for _ in range(2):
        time.sleep(0.9)
        connection.sendall(b"{")
    silence(connection)


def drip(start: bytes, piece: bytes) -> Answer:
    """Send a piece every tenth of a second, so that no read ever times out."""

    def send(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range(40):
            time.sleep(0.1)
            connection.sendall(piece)

    return send
