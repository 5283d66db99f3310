"""The token for httpx: ``httpx.Client(auth=HttpxTokenAuth(source))``, and the same for AsyncClient."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Generator

import anyio
import httpx

from rotator.consumer import bearer
from rotator.consumer.token_source import LONGEST_WAIT_SECONDS, TokenSource

POLL_SECONDS = 0.01
"""The polling interval of an asynchronous wait for a read, which takes several times as long."""


class HttpxTokenAuth(httpx.Auth):
    """Sends the token; after a 401, reads the parameter once and repeats the request if the token changed.

    A request whose body cannot be sent again, such as a stream or a file, is not repeated: the caller gets
    the 401. An address without https is refused, except on loopback or with ``allow_http``.

    Raises:
        TokenUnavailable: There is no valid token; see TokenSource.token.
        SettingsError: The token must not be sent to the address, or the SDK finds no Region or profile.
    """

    def __init__(self, source: TokenSource, *, allow_http: bool = False) -> None:
        self._source = source
        self._allow_http = allow_http

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request with the token; after a 401, send it again if there is another token."""
        self._check(request)
        token = self._source.token()
        response = yield _with(token, request)
        if _is_refusal(response, token):
            other = self._source.replacement(token)
            if other and _can_be_sent_again(response.request):
                yield _with(other, response.request)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do the same without blocking the event loop: the source reads in a thread."""
        self._check(request)
        await _until_done(*self._source.read_to_await())
        token = self._source.token_at_hand()
        response = yield _with(token, request)
        if _is_refusal(response, token):
            for read in self._source.reads_for_another(token):
                await _until_done(read, LONGEST_WAIT_SECONDS)
            other = self._source.another_at_hand(token)
            if other and _can_be_sent_again(response.request):
                yield _with(other, response.request)

    def _check(self, request: httpx.Request) -> None:
        if not self._allow_http:
            bearer.check_address(str(request.url))


async def _until_done(read: threading.Event | None, seconds: float) -> None:
    """Wait for a read by polling, so that a cancelled wait leaves no thread behind."""
    with anyio.move_on_after(seconds):
        while read and not read.is_set():  # noqa: ASYNC110 - a thread without an event loop sets it
            await anyio.sleep(POLL_SECONDS)


def _with(token: str, request: httpx.Request) -> httpx.Request:
    request.headers["Authorization"] = bearer.header(token)
    return request


def _is_refusal(response: httpx.Response, token: str) -> bool:
    """Return whether this token was rejected: httpx removes it from a request redirected to another host."""
    sent = response.request.headers.get("Authorization")
    return response.status_code == 401 and sent == bearer.header(token)


def _can_be_sent_again(request: httpx.Request) -> bool:
    return isinstance(request.stream, httpx.ByteStream)
