"""HTTP servers on loopback, each in a thread that stops with its server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

LOOPBACK = "127.0.0.1"


class _Quiet(WSGIRequestHandler):
    """A request handler that does not log requests."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Do nothing."""


def free_port() -> int:
    """Return a port of the loopback interface that no process uses now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def make(app: Any, port: int = 0) -> BaseWSGIServer:
    """Return a server for a WSGI application; port 0 selects a free one."""
    return make_server(LOOPBACK, port, app, threaded=True, request_handler=_Quiet)


def address(server: BaseWSGIServer) -> str:
    """Return the server's URL, without a trailing slash."""
    return f"http://{LOOPBACK}:{server.server_port}"


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve a WSGI application from a thread while the body runs; yields the URL."""
    server = make(app)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield address(server)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
