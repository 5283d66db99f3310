"""The reading side: what a consumer of the token needs, and nothing of what renews it.

::

    source = TokenSource("/healthwise/token")        # one for a process
    requests.get(url, auth=TokenAuth(source))        # with requests
    httpx.get(url, auth=HttpxTokenAuth(source))      # with httpx, sync or async
    source.token()                                   # with anything else; raises TokenUnavailable

TokenAuth and HttpxTokenAuth are imported when they are asked for, and with them requests or httpx.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rotator.consumer.token_source import TokenSource
from rotator.errors import TokenExpired, TokenUnavailable

if TYPE_CHECKING:
    from rotator.consumer.httpx_auth import HttpxTokenAuth
    from rotator.consumer.requests_auth import TokenAuth

__all__ = ["HttpxTokenAuth", "TokenAuth", "TokenExpired", "TokenSource", "TokenUnavailable"]

_MODULES = {"TokenAuth": "requests_auth", "HttpxTokenAuth": "httpx_auth"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
