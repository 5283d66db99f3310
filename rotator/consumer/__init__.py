"""The consumer library, which reads the token. It does not import the code that renews the token.

::

    source = TokenSource("/healthwise/token")        # one per process
    requests.get(url, auth=TokenAuth(source))        # with requests
    httpx.get(url, auth=HttpxTokenAuth(source))      # with httpx, sync or async
    source.token()                                   # with anything else; raises TokenUnavailable

TokenAuth and HttpxTokenAuth are imported on first use, and with them requests or httpx, which the extra of
the same name installs.
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

_EXTRAS = {"TokenAuth": "requests", "HttpxTokenAuth": "httpx"}
"""The extra that each class needs; the class is in ``requests_auth`` or ``httpx_auth``."""


def __getattr__(name: str) -> Any:
    if name not in _EXTRAS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    extra = _EXTRAS[name]
    try:
        module = import_module(f"{__name__}.{extra}_auth")
    except ModuleNotFoundError as error:
        from rotator import extras

        problem = f"{name} needs the package {error.name}, which is not installed; {extras.advice(extra)}"
        raise ModuleNotFoundError(problem, name=error.name) from error
    return getattr(module, name)
