"""The token for httpx: ``httpx.Client(auth=HttpxTokenAuth(source))``, and the same for AsyncClient."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Generator

import anyio
import httpx

from rotator.consumer import bearer
from rotator.consumer.source import LONGEST_WAIT, TokenSource

GLANCE = 0.01
"""Seconds between two looks whether a read is done; a read takes several times that."""


class HttpxTokenAuth(httpx.Auth):
    """Sends the token; on a 401, reads the parameter once and repeats the request if the token has changed.

    A body that cannot be sent again, such as a stream's or a file's, is not: the 401 is the caller's then.
    Raises what TokenSource.token raises, and SettingsError for an address without https, save on loopback
    or with ``allow_http``.
    """

    def __init__(self, source: TokenSource, *, allow_http: bool = False) -> None:
        self._source = source
        self._allow_http = allow_http

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send with the token, and once more if that helps."""
        if not self._allow_http:
            bearer.check_address(str(request.url))
        token = self._source.token()
        response = yield _with(token, request)
        if _was_refused(token, response):
            newer = self._source.replacement(token)
            if newer and _can_be_sent_again(response.request):
                yield _with(newer, response.request)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do the same, while the loop goes on: the reads are in a thread of the source's own."""
        if not self._allow_http:
            bearer.check_address(str(request.url))
        await _until_done(*self._source.read_to_await())
        token = self._source.token_at_hand()
        response = yield _with(token, request)
        if _was_refused(token, response):
            for read in self._source.reads_for_another(token):
                await _until_done(read, LONGEST_WAIT)
            newer = self._source.another_at_hand(token)
            if newer and _can_be_sent_again(response.request):
                yield _with(newer, response.request)


async def _until_done(read: threading.Event | None, seconds: float) -> None:
    """Look now and then, so that nothing is left waiting in a thread when this is cancelled."""
    with anyio.move_on_after(seconds):
        while read and not read.is_set():  # noqa: ASYNC110 - a thread sets it, and knows of no loop
            await anyio.sleep(GLANCE)


def _with(token: str, request: httpx.Request) -> httpx.Request:
    request.headers["Authorization"] = bearer.header(token)
    return request


def _was_refused(token: str, response: httpx.Response) -> bool:
    """Whether it was this token that was refused: a redirect to another host has lost it."""
    sent = response.request.headers.get("Authorization")
    return response.status_code == 401 and sent == bearer.header(token)


def _can_be_sent_again(request: httpx.Request) -> bool:
    return isinstance(request.stream, httpx.ByteStream)
