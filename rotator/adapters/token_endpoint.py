"""The token endpoint over HTTP: requests sends, tenacity repeats, this module keeps it safe.

Certificates are verified, redirects refused, ``.netrc`` never consulted (proxies of the
environment are used), and no more than 64 KiB of an answer is read, nor for longer than is left.
Exceptions of requests hold the request and with it the secret, so they are not chained.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import tenacity
from urllib3.exceptions import DecodeError, HTTPError, NameResolutionError, ReadTimeoutError

from rotator import __version__, oauth
from rotator.errors import (
    InvalidTokenResponse,
    TokenEndpointUnavailable,
    TokenRequestError,
    TokenVerificationError,
)
from rotator.model import Secret
from rotator.oauth import TokenRequest, TokenResponse

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 15.0
LONGEST_ATTEMPT = CONNECT_TIMEOUT + READ_TIMEOUT
SHORTEST_ATTEMPT = 1.0
"""Seconds. With less than the last one left, another attempt is not begun."""

MAX_BODY = 64 * 1024
"""Bytes of an answer that are read; a token that fits Parameter Store needs an eighth of it."""

HEADERS = {"Accept": "application/json", "User-Agent": f"rotator/{__version__}"}

_LATER = "the next run tries again; check the network path, proxies and the host's name"
_READ_ITS_MANUAL = "check token_endpoint and the endpoint's documentation"

TimeLeft = Callable[[], float]

_backoff = tenacity.wait_random_exponential(multiplier=0.5, max=10)


class HttpTokenEndpoint:
    """The port TokenEndpoint over HTTP."""

    def __init__(self, *, now: Callable[[], datetime], sleep: Callable[[float], None] = time.sleep) -> None:
        self._now = now
        self._sleep = sleep
        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))  # keep none
        # At WARNING urllib3 quotes header lines that it cannot parse, whatever stands in them.
        logging.getLogger("urllib3").setLevel(logging.ERROR)

    def request(self, request: TokenRequest, *, time_left: TimeLeft) -> TokenResponse:
        """POST the request until it is answered, refused, or no time is left."""
        headers = {**HEADERS, "Content-Type": "application/x-www-form-urlencoded"}
        if request.authorization:
            headers["Authorization"] = request.authorization.value

        def attempt() -> TokenResponse:
            response = self._send(
                "POST", request.url, headers, time_left, body=request.body.value.encode("ascii")
            )
            oauth.check_status(request, response, self._now())
            return response

        return self._repeated(attempt, time_left)

    def probe(self, url: str, token: Secret, *, time_left: TimeLeft) -> None:
        """GET the URL with the token until it is answered or no time is left."""
        headers = {**HEADERS, "Authorization": f"Bearer {token.value}"}

        def attempt() -> TokenResponse:
            response = self._send("GET", url, headers, time_left)
            if response.status in oauth.RETRYABLE_STATUS or response.status >= 500:
                raise TokenEndpointUnavailable(
                    f"HTTP {response.status}",
                    advice="",
                    retry_after=oauth.retry_after(response.retry_after, self._now()),
                )
            return response

        try:
            status = self._repeated(attempt, time_left).status
        except TokenRequestError as error:
            problem = error.problem
        else:
            if 200 <= status < 300:
                return
            problem = f"HTTP {status}"
        raise TokenVerificationError(
            f"verify_url did not accept the new token, which was not published: {problem}",
            advice="check what the client may use, or verify_url itself",
        )

    def _repeated(self, attempt: Callable[[], TokenResponse], time_left: TimeLeft) -> TokenResponse:
        """The one retry layer: random exponential waits, Retry-After, bounded by the time left."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TokenEndpointUnavailable),
            wait=_wait,
            stop=lambda state: state.upcoming_sleep + SHORTEST_ATTEMPT > time_left(),
            sleep=self._sleep,
            before_sleep=_log_retry,
            retry_error_callback=_give_up,
        )
        result: TokenResponse = retrying(attempt)
        return result

    def _send(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        time_left: TimeLeft,
        *,
        body: bytes | None = None,
    ) -> TokenResponse:
        left = min(time_left(), LONGEST_ATTEMPT)
        if left < SHORTEST_ATTEMPT:
            raise TokenEndpointUnavailable(
                "no time is left in this run for a request",
                advice="the next run tries again; if it lasts, raise the function's timeout",
            )

        def exchange() -> TokenResponse | TokenRequestError:
            requested_at = self._now()
            try:
                with self._session.request(
                    method,
                    url,
                    data=body,
                    headers=headers,
                    auth=_as_it_is,
                    allow_redirects=False,
                    stream=True,
                    timeout=(min(CONNECT_TIMEOUT, left), min(READ_TIMEOUT, left)),
                ) as answer:
                    content = _read_body(answer) if method == "POST" else b""
            except (requests.RequestException, HTTPError, OSError) as error:
                return _failure(error)
            if isinstance(content, TokenRequestError):
                return content
            return TokenResponse(
                status=answer.status_code,
                body=content,
                requested_at=requested_at,
                retry_after=answer.headers.get("Retry-After"),
            )

        result = _within(left, exchange)
        if isinstance(result, TokenRequestError):
            raise result
        return result


def _within(
    seconds: float, exchange: Callable[[], TokenResponse | TokenRequestError]
) -> TokenResponse | TokenRequestError:
    """Wait this long for an exchange, then go on without it.

    Timeouts of sockets bound each wait, not their sum: a name server that does not answer, or an
    endpoint that sends a byte now and then, could hold the run for ever.
    """
    future: Future[TokenResponse | TokenRequestError] = Future()

    def run() -> None:
        try:
            future.set_result(exchange())
        except Exception as error:  # noqa: BLE001 - a defect; it is raised where it is waited for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        return TokenEndpointUnavailable("the endpoint did not answer in time", advice=_LATER)


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """An auth that changes nothing. Without one, requests would take a password from .netrc."""
    return request


def _read_body(answer: requests.Response) -> bytes | InvalidTokenResponse:
    """Read the decoded body piece by piece, so that its size cannot hurt us."""
    body = bytearray()
    while piece := answer.raw.read1(8192, decode_content=True):
        body += piece
        if len(body) > MAX_BODY:
            return InvalidTokenResponse(
                f"the endpoint sent more than {MAX_BODY} bytes", advice=_READ_ITS_MANUAL
            )
    return bytes(body)


def _wait(state: tenacity.RetryCallState) -> float:
    return max(_backoff(state), _unavailable(state).retry_after or 0.0)


def _unavailable(state: tenacity.RetryCallState) -> TokenEndpointUnavailable:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, TokenEndpointUnavailable)  # noqa: S101 - the only error retried
    return error


def _log_retry(state: tenacity.RetryCallState) -> None:
    logger.info(
        "attempt %d: %s; next attempt in %.1f s",
        state.attempt_number,
        _unavailable(state).problem,
        state.upcoming_sleep,
    )


def _give_up(state: tenacity.RetryCallState) -> Any:
    error = _unavailable(state)
    problem = f"{error.problem} (attempt {state.attempt_number}, no time for another)"
    if error.retry_after:
        problem += f", and asked to be left alone for {error.retry_after:.0f} s"
    raise TokenEndpointUnavailable(problem, advice=error.advice, retry_after=error.retry_after)


def _failure(error: Exception) -> TokenRequestError:
    """Say in our words what went wrong below HTTP; connections and timeouts are worth a retry."""
    causes = list(_causes(error))

    def any_is(*kinds: type[Exception]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if any_is(ssl.SSLCertVerificationError):
        problem = "the endpoint's certificate was not accepted"
        advice = "have it mended there, or set REQUESTS_CA_BUNDLE to the authority you trust"
    elif any_is(ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return TokenEndpointUnavailable("the endpoint closed the connection", advice=_LATER)
    elif any_is(ssl.SSLError):
        problem, advice = "TLS with the endpoint failed", "check that token_endpoint speaks https"
    elif any_is(requests.exceptions.ContentDecodingError, DecodeError):
        return InvalidTokenResponse(
            "the endpoint sent a body that cannot be decompressed", advice=_READ_ITS_MANUAL
        )
    elif isinstance(error, ValueError):  # requests' family of addresses that cannot be used
        problem = "the endpoint's or a proxy's address is not usable"
        advice = "check token_endpoint and HTTPS_PROXY"
    elif not isinstance(error, requests.RequestException | HTTPError):
        problem, advice = "a file that HTTPS needs cannot be read", "check REQUESTS_CA_BUNDLE"
    else:
        return TokenEndpointUnavailable(f"the endpoint {_reason(any_is)}", advice=_LATER)
    return TokenRequestError(problem, advice=advice)


def _reason(any_is: Callable[..., bool]) -> str:
    if any_is(NameResolutionError):
        return "has a host name that could not be resolved"
    if any_is(requests.exceptions.ProxyError):
        return "could not be reached by the proxy"
    if any_is(requests.exceptions.ConnectTimeout):
        return "could not be reached in time"
    if any_is(requests.exceptions.Timeout, ReadTimeoutError):
        return "did not answer in time"
    return "closed the connection or could not be connected to"


def _causes(error: object) -> Iterator[Exception]:
    """The exception and those it wraps: the libraries put them into ``args`` and ``reason``."""
    if isinstance(error, Exception):
        yield error
        for inner in (*error.args, getattr(error, "reason", None)):
            yield from _causes(inner)
