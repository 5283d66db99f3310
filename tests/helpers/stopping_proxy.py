"""Between a process and the world: a proxy that holds a request, whose sender is then killed or overtaken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event
from wsgiref.types import StartResponse, WSGIEnvironment

import urllib3
from werkzeug.wrappers import Request, Response

from rotator.devstack.http_server import serving

NOBODY_LISTENS = Response(status=503)
_ABOUT_THE_CONNECTION = {"Host", "Connection", "Content-Length"}


class StoppingProxy:
    """Forwards requests to AWS and to the API; holds the nth, before it is forwarded or once answered."""

    def __init__(self, aws: str, api: str, *, nth: int, answered: bool) -> None:
        self.address = ""
        self.calls: list[str] = []
        self.stopped = Event()
        self.released = Event()
        self._aws = aws
        self._api = api
        self._nth = nth
        self._answered = answered
        self._through = False

    def let_through(self) -> None:
        """Let the held request go on as if nothing had been."""
        self._through = True
        self.released.set()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        self.calls.append(_describe(request))
        held = len(self.calls) == self._nth
        if held and not self._answered and not self._hold():
            return NOBODY_LISTENS
        answer = forward(request, self._aws if "X-Amz-Target" in request.headers else self._api)
        return NOBODY_LISTENS if held and self._answered and not self._hold() else answer

    def _hold(self) -> bool:
        """Wait, and return whether to go on."""
        self.stopped.set()
        self.released.wait()
        return self._through


def forward(request: Request, upstream: str) -> Response:
    """Send a request on and return the answer."""
    answer = urllib3.request(
        request.method,
        upstream + request.path,
        body=request.get_data(),
        headers={name: value for name, value in request.headers if name not in _ABOUT_THE_CONNECTION},
        timeout=10,
        retries=False,
    )
    return Response(answer.data, answer.status, content_type=answer.headers["Content-Type"])


def _describe(request: Request) -> str:
    """What a request is, such as ``PutParameter /healthwise/token`` or ``POST /oauth2/token``."""
    target = request.headers.get("X-Amz-Target")
    if target is None:
        return f"{request.method} {request.path}"
    _, _, operation = target.partition(".")
    return f"{operation} {request.get_json(force=True).get('Name', '')}".rstrip()


@contextmanager
def stopping_proxy(aws: str, api: str, *, nth: int, answered: bool) -> Iterator[StoppingProxy]:
    """Run such a proxy on loopback while the body runs."""
    proxy = StoppingProxy(aws, api, nth=nth, answered=answered)
    with serving(proxy) as proxy.address:
        try:
            yield proxy
        finally:
            proxy.released.set()
