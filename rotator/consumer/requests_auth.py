"""The token for requests: ``requests.get(url, auth=TokenAuth(source))``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from requests import PreparedRequest, Response
from requests.auth import AuthBase
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body

from rotator.consumer import bearer
from rotator.consumer.token_source import TokenSource


class TokenAuth(AuthBase):
    """Sends the token; after a 401, reads the parameter once and repeats the request if the token changed.

    A request whose body cannot be sent again, such as a generator, is not repeated: the caller gets the 401.
    An address without https is refused, except on loopback or with ``allow_http``.

    Raises:
        TokenUnavailable: There is no valid token; see TokenSource.token.
        SettingsError: The token must not be sent to the address, or the SDK finds no Region or profile.
    """

    def __init__(self, source: TokenSource, *, allow_http: bool = False) -> None:
        self._source = source
        self._allow_http = allow_http

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Return the request with the token, ready to be sent."""
        if not self._allow_http:
            bearer.check_address(request.url or "")
        token = self._source.token()
        request.headers["Authorization"] = bearer.header(token)
        request.register_hook("response", _Repeat(self._source, token))  # type: ignore[no-untyped-call]
        return request


@dataclass(frozen=True, repr=False)
class _Repeat:
    """Repeats a request with another token after a 401, if there is another one.

    requests removes the token from a request redirected to another host, which is therefore not repeated.
    """

    source: TokenSource
    token: str

    def __call__(self, response: Response, **kwargs: Any) -> Response:
        request = response.request
        if response.status_code != 401 or request.headers.get("Authorization") != bearer.header(self.token):
            return response
        other = self.source.replacement(self.token)
        if other is None or not _rewound(request):
            return response
        _ = response.content  # read completely, so that the connection can be used again
        response.close()
        again = request.copy()
        again.headers["Authorization"] = bearer.header(other)
        repeated: Response = response.connection.send(again, **kwargs)
        repeated.history.append(response)
        return repeated

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the hook as one that does nothing: the request of an unpickled response is not repeated."""
        return partial, (_keep_response,)


def _keep_response(_response: Response, **_kwargs: Any) -> None:
    """Return nothing, so that requests keeps the response."""


def _rewound(request: PreparedRequest) -> bool:
    """Return whether the body can be sent again; rewind it if it is a file."""
    body: object = request.body
    if body is None or isinstance(body, str | bytes):
        return True
    try:
        rewind_body(request)
    except UnrewindableBodyError:
        return False
    return True
