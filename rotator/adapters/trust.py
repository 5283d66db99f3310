"""Connections for HTTPS: whom they trust, read once for all of them, and whether there is one."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context

_exchange = threading.local()


def note_connection(connected: threading.Event) -> None:
    """Have the event set once this thread has a connection to ask something over."""
    _exchange.connected = connected


class _Noting:
    """A connection of urllib3 that notes when it is there, or is there already."""

    sock: Any

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self._note()

    def request(self, *args: Any, **options: Any) -> None:
        if self.sock is not None:
            self._note()
        super().request(*args, **options)  # type: ignore[misc]

    @staticmethod
    def _note() -> None:
        if connected := getattr(_exchange, "connected", None):
            connected.set()


class _HttpConnection(_Noting, HTTPConnection):
    pass


class _HttpsConnection(_Noting, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


_POOLS = {"http": _HttpPool, "https": _HttpsPool}


class SharedTrust(HTTPAdapter):
    """Connections that share a context; requests reads the authorities for each, 20 ms of CPU at a time.

    Certificates are verified by it, always: nothing here can turn that off.
    https://requests.readthedocs.io/en/latest/api/#requests.adapters.HTTPAdapter.build_connection_pool_key_attributes
    """

    def __init__(self, *, pool_maxsize: int) -> None:
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        super().__init__(pool_maxsize=pool_maxsize)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """Have connections made with that context. ``verify`` is a file or folder of authorities, or True."""
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if host.get("scheme") != "https":
            return host, pool
        trusted = verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH
        return host, {"cert_reqs": "CERT_REQUIRED", "ssl_context": self._context(trusted)}

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Have a proxy that speaks https itself verified by the same authorities."""
        self.proxy_context = self._context(verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH)
        return super().get_connection_with_tls_context(request, verify, proxies, cert)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make what connects directly."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Make what connects by a proxy."""
        manager = super().proxy_manager_for(proxy, proxy_ssl_context=self.proxy_context, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave it to that context."""

    def _context(self, trusted: str) -> ssl.SSLContext:
        with self._lock:
            if trusted not in self._contexts:
                context = create_urllib3_context()
                kind = "capath" if Path(trusted).is_dir() else "cafile"
                context.load_verify_locations(**{kind: trusted})
                self._contexts[trusted] = context
            return self._contexts[trusted]
