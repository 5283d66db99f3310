"""A middlebox in AWS's way, such as a captive portal, that answers a request itself, with a web page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.wrappers import Request, Response

from fake_ports import CANARY_TOKEN
from rotator.devstack.http_server import serving
from stopping_proxy import forward

PAGE = f"<html><body>Please accept our terms. {CANARY_TOKEN}</body></html>"


class Middlebox:
    """Answers the nth request of an operation with a page and this code; forwards all others."""

    def __init__(self, aws: str, operation: str, *, nth: int, code: int) -> None:
        self.address = ""
        self.pages = 0
        self._aws = aws
        self._operation = operation
        self._nth = nth
        self._code = code
        self._seen = 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        operation = request.headers["X-Amz-Target"].rpartition(".")[2]
        self._seen += operation == self._operation
        if operation == self._operation and self._seen == self._nth:
            self.pages += 1
            return Response(PAGE, self._code, content_type="text/html")
        return forward(request, self._aws)


@contextmanager
def middlebox(aws: str, operation: str, *, nth: int, code: int) -> Iterator[Middlebox]:
    """Run one on loopback while the body runs."""
    box = Middlebox(aws, operation, nth=nth, code=code)
    with serving(box) as box.address:
        yield box
