"""The errors of failures below HTTP: between this machine, a proxy and the endpoint."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator, Sequence

import requests
from urllib3.exceptions import (
    DecodeError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)

from rotator.errors import InvalidTokenResponse, TokenEndpointUnavailable, TokenRequestError
from rotator.oauth.token_error import CLIENT_CERTIFICATE_ADVICE, ENDPOINT_ADVICE, is_retryable

_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})\b")
"""The standard library's message when a proxy refuses CONNECT, which alone contains the status."""

_CERTIFICATE_ALERTS = (
    *("CERTIFICATE_REQUIRED", "NO_CERTIFICATE", "BAD_CERTIFICATE", "UNSUPPORTED_CERTIFICATE"),
    *("CERTIFICATE_UNKNOWN", "UNKNOWN_CA", "ACCESS_DENIED"),
)
"""The TLS alerts about a missing client certificate (RFC 8446, 6.2)."""

_REASONS: tuple[tuple[tuple[type[Exception], ...], str, bool], ...] = (
    ((NameResolutionError,), "has a host name that could not be resolved", False),
    ((requests.exceptions.ConnectTimeout,), "did not accept a connection in time", False),
    ((NewConnectionError,), "did not accept a connection", False),
    ((requests.exceptions.Timeout, ReadTimeoutError), "did not answer in time", True),
    ((Exception,), "closed the connection", True),
)
"""The reason for each kind of failure, and whether the request may have been sent; the first match counts."""

_PROXY_ADVICE = "check HTTPS_PROXY, NO_PROXY and the proxy itself"


def failure(error: Exception) -> TokenRequestError:
    """Return the error for a failure below HTTP; after a failed connection or a timeout, a retry may help."""
    causes = list(_causes(error))

    def any_is(*kinds: type[Exception]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if any_is(requests.exceptions.ProxyError):
        return _proxy_failure(causes, any_is)
    if any_is(ssl.SSLCertVerificationError):
        problem = "the endpoint's certificate is not trusted"
        advice = (
            "report an invalid certificate to the provider, or set ca_parameter_name to a parameter with "
            "the certificate of a private authority"
        )
    elif any_is(ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return unavailable("closed the connection", may_have_issued=False)  # before a request was sent
    elif any_is(ssl.SSLError):
        problem, advice = _tls_failure(causes)
    elif any_is(requests.exceptions.ContentDecodingError, DecodeError):
        problem = "the endpoint sent a body that cannot be decompressed"
        return InvalidTokenResponse(problem, advice=ENDPOINT_ADVICE)
    elif isinstance(error, ValueError):  # the base class of requests' exceptions for an invalid URL
        problem = "the URL of the endpoint or of a proxy is invalid"
        advice = "check token_endpoint and HTTPS_PROXY"
    elif not isinstance(error, requests.RequestException | HTTPError):
        problem, advice = "a file with trusted certificates cannot be read", "check REQUESTS_CA_BUNDLE"
    else:
        reason, sent = next((reason, sent) for kinds, reason, sent in _REASONS if any_is(*kinds))
        return unavailable(reason, may_have_issued=sent)
    return TokenRequestError(problem, advice=advice)


def _tls_failure(causes: Sequence[Exception]) -> tuple[str, str]:
    """Return the problem of a failed TLS handshake, and the next step."""
    reasons = [cause.reason or "" for cause in causes if isinstance(cause, ssl.SSLError)]
    alert = next((reason.rpartition("ALERT_")[2] for reason in reasons if "ALERT_" in reason), "")
    if alert in _CERTIFICATE_ALERTS:
        return "the endpoint requires a client certificate (mutual TLS)", CLIENT_CERTIFICATE_ADVICE
    if alert == "HANDSHAKE_FAILURE":
        problem = "the endpoint refused the TLS handshake, probably because it requires a client certificate"
        return f"{problem} (mutual TLS)", CLIENT_CERTIFICATE_ADVICE
    return "TLS with the endpoint failed", "check that token_endpoint supports https"


def _proxy_failure(causes: Sequence[Exception], any_is: Callable[..., bool]) -> TokenRequestError:
    """Return the error for a failed connection to or through a proxy. No request was sent."""
    refused = next(filter(None, (_TUNNEL_REFUSED.search(str(cause)) for cause in causes)), None)
    if refused:
        return refused_by_proxy(int(refused[1]))
    if any_is(ssl.SSLCertVerificationError):
        return TokenRequestError("the proxy's certificate is not trusted", advice=_PROXY_ADVICE)
    if any_is(ssl.SSLError) and not any_is(ssl.SSLEOFError, ssl.SSLZeroReturnError):
        advice = "check that the proxy supports https, or use http:// in HTTPS_PROXY"
        return TokenRequestError("TLS with the proxy failed", advice=advice)
    problem = "the proxy did not accept a connection, or closed it"
    if any_is(NameResolutionError):
        problem = "the proxy's host name could not be resolved"
    return TokenEndpointUnavailable(problem, advice=_PROXY_ADVICE)


def refused_by_proxy(status: int) -> TokenEndpointUnavailable:
    """Return the error for a refusal by a proxy; it is retried only if its status is temporary."""
    advice = "allow the endpoint's host in the proxy's configuration"
    if status == 407:
        advice = "check the user name and password in HTTPS_PROXY, or allow this caller without a login"
    return TokenEndpointUnavailable(
        f"the proxy refused the connection to the endpoint: HTTP {status}",
        advice=advice,
        retryable=is_retryable(status),
    )


def unavailable(reason: str, *, may_have_issued: bool) -> TokenEndpointUnavailable:
    """Return the error for an endpoint that may succeed on a retry; ``reason`` completes its sentence."""
    advice = "check the host name in token_endpoint, the network path and the proxies"
    return TokenEndpointUnavailable(f"the endpoint {reason}", advice=advice, may_have_issued=may_have_issued)


def _causes(error: object) -> Iterator[Exception]:
    """Yield an exception and its causes, which the libraries store in ``args`` and ``reason``."""
    if isinstance(error, Exception):
        yield error
        for inner in (*error.args, getattr(error, "reason", None)):
            yield from _causes(inner)
