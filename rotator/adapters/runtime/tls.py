"""Connections for HTTPS, which share the trusted certificate authorities."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context


class SharedTrust(HTTPAdapter):
    """Connections that share an SSL context; without it, requests spends 20 ms of CPU on each connection.

    ``certificates`` in PEM are additionally trusted for endpoints, but not for proxies. Verification of
    certificates cannot be turned off.
    https://requests.readthedocs.io/en/latest/api/#requests.adapters.HTTPAdapter.build_connection_pool_key_attributes
    """

    def __init__(self, *, pool_maxsize: int, certificates: str | None = None) -> None:
        self._lock = threading.Lock()
        self._certificates = certificates
        self._contexts: dict[tuple[str, str | None], ssl.SSLContext] = {}
        super().__init__(pool_maxsize=pool_maxsize)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """Return the arguments of a connection. ``verify`` is a file or folder of authorities, or True."""
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if host.get("scheme") != "https":
            return host, pool
        return host, {"cert_reqs": "CERT_REQUIRED", "ssl_context": self._context(verify, self._certificates)}

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Return a connection; the certificate of an https proxy is verified with the same authorities."""
        self.proxy_context = self._context(verify)
        return super().get_connection_with_tls_context(request, verify, proxies, cert)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Return the manager of connections through a proxy."""
        return super().proxy_manager_for(proxy, proxy_ssl_context=self.proxy_context, **options)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Do nothing: the shared context verifies certificates."""

    def _context(self, verify: Any, certificates: str | None = None) -> ssl.SSLContext:
        authorities = verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH
        with self._lock:
            if (authorities, certificates) not in self._contexts:
                context = create_urllib3_context()
                kind = "capath" if Path(authorities).is_dir() else "cafile"
                context.load_verify_locations(**{kind: authorities})
                if certificates:
                    context.load_verify_locations(cadata=certificates)
                    # As in Python 3.13, an endpoint's own certificate may be trusted without the issuer's.
                    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
                    # Python 3.13 also requires all of RFC 5280, which many private authorities do not follow.
                    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
                self._contexts[authorities, certificates] = context
            return self._contexts[authorities, certificates]
