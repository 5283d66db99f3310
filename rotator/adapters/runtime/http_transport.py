"""One HTTP exchange, bounded in time and size, with verified certificates and without secrets in errors.

Redirects are not followed and ``.netrc`` is not read; proxies of the environment are used. At most 64 KiB of
an answer are read, within the time limit.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import datetime
from http.cookiejar import DefaultCookiePolicy

import requests
from urllib3.exceptions import HTTPError

from rotator.adapters.runtime import http_errors
from rotator.adapters.runtime.tls import SharedTrust
from rotator.errors import InvalidTokenResponse, TokenRequestError
from rotator.oauth.client_credentials import TokenResponse
from rotator.oauth.token_error import ENDPOINT_ADVICE

CONNECT_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 15.0

MAX_BODY_BYTES = 64 * 1024
"""The largest answer that is read; a token for Parameter Store needs an eighth of this."""


class HttpTransport:
    """Sends one request and returns its answer, without retries.

    ``connections`` to a host stay open. ``certificates`` in PEM are trusted in addition to the public ones.
    """

    def __init__(
        self, *, now: Callable[[], datetime], connections: int = 10, certificates: str | None = None
    ) -> None:
        self._now = now
        self._session = requests.Session()
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, SharedTrust(pool_maxsize=connections, certificates=certificates))
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))  # keep none
        # At WARNING, urllib3 quotes header lines that it cannot parse, which may contain secrets.
        logging.getLogger("urllib3").setLevel(logging.ERROR)

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], *, body: bytes | None, seconds: float
    ) -> TokenResponse:
        """Return the answer to a request within ``seconds``; the body of an answer to GET is not read.

        Raises TokenEndpointUnavailable if a retry may help, TokenRequestError otherwise.
        """
        return _with_timeout(
            min(seconds, CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS),
            lambda: self._exchange(method, url, headers, body, seconds),
        )

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> TokenResponse:
        requested_at = self._now()
        failure: TokenRequestError | None = None
        try:
            with self._session.request(
                method,
                url,
                data=body,
                headers=dict(headers),
                auth=lambda request: request,  # without an auth, requests would use a password from .netrc
                allow_redirects=False,
                stream=True,
                timeout=(min(CONNECT_TIMEOUT_SECONDS, seconds), min(READ_TIMEOUT_SECONDS, seconds)),
            ) as answer:
                content = _read_body(answer) if method == "POST" else b""
        except (requests.RequestException, HTTPError, OSError) as error:  # contains the request: not chained
            failure = http_errors.failure(error)
        if failure:
            raise failure
        if answer.status_code == 407:
            raise http_errors.refused_by_proxy(answer.status_code)
        return TokenResponse(
            status=answer.status_code,
            body=content,
            requested_at=requested_at,
            retry_after=answer.headers.get("Retry-After"),
            date=answer.headers.get("Date"),
        )


def _with_timeout(seconds: float, exchange: Callable[[], TokenResponse]) -> TokenResponse:
    """Return the result of an exchange, or an error if the exchange takes longer than ``seconds``.

    Timeouts of sockets limit each wait, not the sum of all waits: a name server that does not answer, or an
    endpoint that sends single bytes, could block the run.
    """
    future: Future[TokenResponse] = Future()

    def run() -> None:
        try:
            future.set_result(exchange())
        except Exception as error:  # noqa: BLE001 - future.result raises it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        unanswered = http_errors.unavailable("did not answer in time", may_have_issued=True)
    raise unanswered


def _read_body(answer: requests.Response) -> bytes:
    """Read the decoded body piece by piece, so that a large body does not exhaust the memory."""
    body = bytearray()
    while piece := answer.raw.read1(8192, decode_content=True):
        body += piece
        if len(body) > MAX_BODY_BYTES:
            problem = f"the endpoint sent more than {MAX_BODY_BYTES} bytes"
            raise InvalidTokenResponse(problem, advice=ENDPOINT_ADVICE, may_have_issued=False)
    return bytes(body)
