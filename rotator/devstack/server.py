"""HTTP servers on loopback: a free port, a thread, and an end that is certain."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

LOOPBACK = "127.0.0.1"


class _Quiet(WSGIRequestHandler):
    """No line a request: the callers tell what matters."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Say nothing."""


def free_port() -> int:
    """A port of the loopback interface that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def make(app: Any, port: int = 0) -> BaseWSGIServer:
    """Make a server for a WSGI application; port 0 takes a free one."""
    return make_server(LOOPBACK, port, app, threaded=True, request_handler=_Quiet)


def address(server: BaseWSGIServer) -> str:
    """The server's address, without a slash at its end."""
    return f"http://{LOOPBACK}:{server.server_port}"


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve a WSGI application from a thread while the body runs; gives the address."""
    server = make(app)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield address(server)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
