"""AWS and a token endpoint for the bench, in a process of its own: late with answers, and cheap.

``python -m bench.stub FOLDER`` writes the certificates there and prints three ports as JSON: AWS and the
token endpoint over TLS, and the control over plain HTTP. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.authority import write_certificates
from bench.world import BenchEnvironment
from rotator.devstack.http_server import LOOPBACK

AWS_DELAY = 0.010
TOKEN_DELAY = 0.100
"""Seconds between a request and its answer."""

Fields = Mapping[str, str]
Answer = Callable[[str, Fields, bytes], "tuple[int, bytes]"]
"""From AWS's operation or the path, the header and the body, to a status and a body."""


class Http(asyncio.Protocol):
    """Just enough HTTP/1.1: one request after another on a connection, each with a Content-Length."""

    def __init__(self, answer: Answer, delay: float) -> None:
        self._answer = answer
        self._delay = delay
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Answer a request once it is complete."""
        self._received += data
        head, end, rest = bytes(self._received).partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        if len(rest) < int(fields.get("content-length", 0)):
            return
        self._received.clear()
        operation = fields.get("x-amz-target", lines[0].split()[1]).rpartition(".")[2]
        status, body = self._answer(operation, fields, rest)
        kind = "application/json" if operation.startswith("/") else "application/x-amz-json-1.1"
        reply = f"HTTP/1.1 {status} .\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._reply, reply.encode() + body)
        else:
            self._reply(reply.encode() + body)

    def _reply(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)


class Stub:
    """The world behind three addresses, with a count of the calls by operation."""

    def __init__(self) -> None:
        self.world = BenchEnvironment()
        self.counts: Counter[str] = Counter()

    def aws(self, operation: str, _fields: Fields, body: bytes) -> tuple[int, bytes]:
        """Answer a call of AWS's JSON protocol."""
        self.counts[operation] += 1
        status, answer = self.world.call(operation, json.loads(body))
        return status, json.dumps(answer).encode()

    def token(self, _path: str, fields: Fields, _body: bytes) -> tuple[int, bytes]:
        """Issue a token to each client that authenticates."""
        self.counts["token"] += 1
        if "authorization" not in fields:
            return 401, b'{"error": "invalid_client"}'
        return 200, json.dumps(self.world.issue()).encode()

    def control(self, path: str, _fields: Fields, body: bytes) -> tuple[int, bytes]:
        """Return and reset the counts (``/counts``), or fill the stub with rotations (``/fill``)."""
        if path == "/fill":
            self.world.fill(**json.loads(body))
        counts, self.counts = self.counts, Counter()
        return 200, json.dumps(counts).encode()


async def serve(folder: Path) -> None:
    """Serve until standard input ends."""
    write_certificates(folder / "server.pem", folder / "bundle.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server.pem")
    loop, stub = asyncio.get_running_loop(), Stub()

    async def listen(answer: Answer, delay: float, context: ssl.SSLContext | None) -> int:
        server = await loop.create_server(lambda: Http(answer, delay), LOOPBACK, 0, ssl=context, backlog=1000)
        return int(server.sockets[0].getsockname()[1])

    ports = {
        "aws": await listen(stub.aws, AWS_DELAY, tls),
        "token": await listen(stub.token, TOKEN_DELAY, tls),
        "control": await listen(stub.control, 0, None),
    }
    stub.world.token_endpoint = f"https://{LOOPBACK}:{ports['token']}/token"
    print(json.dumps(ports), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
