"""Lambda's Runtime API on loopback, and a function that runs under AWS's own client of it.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Any

VERSION = "/2018-06-01/runtime"
FUNCTION_ARN = "arn:aws:lambda:us-east-1:000000000000:function:rotator"
START_SECONDS = 30

RUNTIME_CLIENT = '''
"""awslambdaric's compiled part in plain Python, for an interpreter it was not compiled for."""
import http.client, os

def _call(method, path, body=None, headers={}):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, "/2018-06-01/runtime/invocation/" + path, body, headers)
    answer = connection.getresponse()
    return answer.read(), dict(answer.getheaders())

def initialize_client(user_agent):
    pass

def next():
    body, headers = _call("GET", "next")
    deadline = "Lambda-Runtime-Deadline-Ms"
    return body, {**headers, deadline: int(headers[deadline])}

def post_invocation_result(request_id, body, content_type, invocation_id=None):
    _call("POST", request_id + "/response", body, {"Content-Type": content_type})

def post_error(request_id, body, xray_cause, invocation_id=None):
    _call("POST", request_id + "/error", body, {"Lambda-Runtime-Function-XRay-Error-Cause": xray_cause})
'''


@dataclass(frozen=True)
class Answer:
    """What the function posted: to ``response``, ``error`` or ``init/error``."""

    kind: str
    body: Any


class RuntimeApi(ThreadingHTTPServer):
    """Hands out invocations one by one and takes the answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.invocations: Queue[tuple[str, float] | None] = Queue()
        self.answers: Queue[Answer] = Queue()
        self.posted = ""
        self.request_id = ""
        self.deadline = 0.0

    @property
    def address(self) -> str:
        """The host and port, as ``AWS_LAMBDA_RUNTIME_API`` has them."""
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RuntimeApi

    def do_GET(self) -> None:
        """``invocation/next``: answered when there is one. Its time begins now, as in Lambda."""
        invocation = self.server.invocations.get()
        if invocation is None:
            self.close_connection = True
            return
        event, seconds = invocation
        self.server.request_id = f"request-{time.time_ns()}"
        self.server.deadline = time.time() + seconds
        self._answer(
            200,
            event,
            {
                "Lambda-Runtime-Aws-Request-Id": self.server.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int(self.server.deadline * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": FUNCTION_ARN,
            },
        )

    def do_POST(self) -> None:
        """An answer. After the deadline it is ignored: Lambda would have stopped the function."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.posted += f"{self.path}\n{self.headers}\n{body}\n"
        kind = "init/error" if self.path == f"{VERSION}/init/error" else self.path.rpartition("/")[2]
        if kind == "init/error" or time.time() < self.server.deadline:
            self.server.answers.put(Answer(kind, json.loads(body)))
        self._answer(202, '{"status": "OK"}')

    def _answer(self, status: int, body: str, headers: Mapping[str, str] | None = None) -> None:
        content = body.encode()
        self.send_response(status)
        standard = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        for name, value in (standard | dict(headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@dataclass
class Function:
    """A function that runs, and everything it has said."""

    process: subprocess.Popen[bytes]
    api: RuntimeApi
    output: Path

    def invoke(self, event: object, *, seconds: float = 60) -> Answer:
        """Invoke it with so much time; raises AssertionError if it does not answer within it."""
        self.api.invocations.put((json.dumps(event), seconds))
        patience = time.monotonic() + START_SECONDS + seconds
        while time.monotonic() < patience:
            try:
                return self.api.answers.get(timeout=0.2)
            except Empty:
                if self.process.poll() is not None:
                    break
        raise AssertionError(f"the function did not answer: {self.printed}")

    @property
    def printed(self) -> str:
        """Everything on its standard output and error."""
        return self.output.read_text()

    @property
    def logged(self) -> list[dict[str, Any]]:
        """Its log. Every line is a JSON object, or this raises ValueError."""
        return [json.loads(line) for line in self.printed.splitlines()]


@contextmanager
def running_function(
    command: list[str], environment: Mapping[str, str], *, task: Path, output: Path
) -> Iterator[Function]:
    """Run the function's process, and its Runtime API, while the body runs."""
    api = RuntimeApi()
    server = threading.Thread(target=api.serve_forever, kwargs={"poll_interval": 0.05})
    server.start()
    try:
        with (
            output.open("wb") as file,
            subprocess.Popen(
                command,
                env={**environment, "AWS_LAMBDA_RUNTIME_API": api.address},
                cwd=task,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                yield Function(process, api, output)
            finally:
                process.kill()
    finally:
        api.invocations.put(None)  # for a function that was waiting for one
        api.shutdown()
        server.join()
        api.server_close()
