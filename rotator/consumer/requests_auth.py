"""The token for requests: ``requests.get(url, auth=TokenAuth(source))``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from requests import PreparedRequest, Response
from requests.auth import AuthBase
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body

from rotator.consumer import bearer
from rotator.consumer.source import TokenSource


class TokenAuth(AuthBase):
    """Sends the token; on a 401, reads the parameter once and repeats the request if the token has changed.

    A body that cannot be sent again, such as a generator's, is not: the 401 is the caller's then. Raises what
    TokenSource.token raises, and SettingsError for an address without https, save on loopback
    or with ``allow_http``.
    """

    def __init__(self, source: TokenSource, *, allow_http: bool = False) -> None:
        self._source = source
        self._allow_http = allow_http

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Put the token into a request that is about to be sent."""
        if not self._allow_http:
            bearer.check_address(request.url or "")
        token = self._source.token()
        request.headers["Authorization"] = bearer.header(token)
        request.register_hook("response", _Repeat(self._source, token))  # type: ignore[no-untyped-call]
        return request


@dataclass(frozen=True, repr=False)
class _Repeat:
    """Answers a 401 with a newer token, if there is one.

    Elsewhere than where the token was sent nothing is repeated: a redirect to another host has lost it.
    """

    source: TokenSource
    token: str

    def __call__(self, response: Response, **kwargs: Any) -> Response:
        request = response.request
        if response.status_code != 401 or request.headers.get("Authorization") != bearer.header(self.token):
            return response
        newer = self.source.replacement(self.token)
        if newer is None or not _rewound(request):
            return response
        _ = response.content  # so that the connection can be used again
        response.close()
        again = request.copy()
        again.headers["Authorization"] = bearer.header(newer)
        repeated: Response = response.connection.send(again, **kwargs)
        repeated.history.append(response)
        return repeated

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a response be pickled: the copy's request is not going to be answered any more."""
        return (_nothing_to_repeat, ())


def _nothing_to_repeat() -> Callable[..., None]:
    return _ignore


def _ignore(_response: Response, **_kwargs: Any) -> None:
    """Leave an answer as it is."""


def _rewound(request: PreparedRequest) -> bool:
    """Whether the body can be sent again; a file is rewound for that."""
    body: object = request.body
    if body is None or isinstance(body, str | bytes):
        return True
    try:
        rewind_body(request)
    except UnrewindableBodyError:
        return False
    return True
