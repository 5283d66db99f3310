"""What went wrong below HTTP, in our words: between this machine, a proxy and the endpoint.

Exceptions of requests hold the request and with it the secret, so they are read here and left behind.
"""

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
from rotator.oauth.token_error import CLIENT_CERTIFICATE_ADVICE, is_retryable

PROXY_AUTHENTICATION_REQUIRED = 407
_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})\b")
"""What the standard library says when a proxy refuses CONNECT; the status is nowhere else."""

_CERTIFICATE_ALERTS = (
    *("CERTIFICATE_REQUIRED", "NO_CERTIFICATE", "BAD_CERTIFICATE", "UNSUPPORTED_CERTIFICATE"),
    *("CERTIFICATE_UNKNOWN", "UNKNOWN_CA", "ACCESS_DENIED"),
)
"""Alerts about the client's certificate (RFC 8446, 6.2): it has sent none."""

_NETWORK_ADVICE = "check the network path, proxies and the host's name"
_PROXY_ADVICE = "check HTTPS_PROXY, NO_PROXY and the proxy"
ENDPOINT_ADVICE = "check token_endpoint and the endpoint's documentation"


def failure(error: Exception) -> TokenRequestError:
    """Say in our words what went wrong below HTTP; connections and timeouts are worth a retry."""
    causes = list(_causes(error))

    def any_is(*kinds: type[Exception]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if any_is(requests.exceptions.ProxyError):
        return _proxy_failure(causes, any_is)
    if any_is(ssl.SSLCertVerificationError):
        problem = "the endpoint's certificate was not accepted"
        advice = (
            "have it fixed there, or set ca_parameter_name to a parameter with its authority's certificate"
        )
    elif any_is(ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return unavailable("closed the connection", may_have_issued=False)  # before a request was sent
    elif any_is(ssl.SSLError):
        problem, advice = _tls_failure(causes)
    elif any_is(requests.exceptions.ContentDecodingError, DecodeError):
        return InvalidTokenResponse(
            "the endpoint sent a body that cannot be decompressed", advice=ENDPOINT_ADVICE
        )
    elif isinstance(error, ValueError):  # requests' family of addresses that cannot be used
        problem = "the endpoint's or a proxy's address is not usable"
        advice = "check token_endpoint and HTTPS_PROXY"
    elif not isinstance(error, requests.RequestException | HTTPError):
        problem, advice = "a file that HTTPS needs cannot be read", "check REQUESTS_CA_BUNDLE"
    else:
        reason, sent = _reason(any_is)
        return unavailable(reason, may_have_issued=sent)
    return TokenRequestError(problem, advice=advice)


def _tls_failure(causes: Sequence[Exception]) -> tuple[str, str]:
    """Return what went wrong in TLS, and what to do next."""
    reasons = [cause.reason or "" for cause in causes if isinstance(cause, ssl.SSLError)]
    alert = next((reason.rpartition("ALERT_")[2] for reason in reasons if "ALERT_" in reason), "")
    if alert in _CERTIFICATE_ALERTS:
        return "the endpoint requires a client certificate (mutual TLS)", CLIENT_CERTIFICATE_ADVICE
    if alert == "HANDSHAKE_FAILURE":
        problem = "the endpoint refused the TLS handshake, as it does if it requires a client certificate"
        return f"{problem} (mutual TLS)", CLIENT_CERTIFICATE_ADVICE
    return "TLS with the endpoint failed", "check that token_endpoint speaks https"


def _proxy_failure(causes: Sequence[Exception], any_is: Callable[..., bool]) -> TokenRequestError:
    """Say what went wrong on the way to the proxy, or there. No request was sent."""
    refused = next(filter(None, (_TUNNEL_REFUSED.search(str(cause)) for cause in causes)), None)
    if refused:
        return refused_by_proxy(int(refused[1]))
    if any_is(ssl.SSLCertVerificationError):
        return TokenRequestError("the proxy's certificate was not accepted", advice=_PROXY_ADVICE)
    if any_is(ssl.SSLError) and not any_is(ssl.SSLEOFError, ssl.SSLZeroReturnError):
        advice = "check that the proxy speaks https, or write http:// in HTTPS_PROXY"
        return TokenRequestError("TLS with the proxy failed", advice=advice)
    problem = "the proxy could not be connected to, or closed the connection"
    if any_is(NameResolutionError):
        problem = "the proxy's host name could not be resolved"
    return TokenEndpointUnavailable(problem, advice=_PROXY_ADVICE)


def refused_by_proxy(status: int) -> TokenEndpointUnavailable:
    """Return the error of a refusal, which is repeated only if the proxy may soon answer otherwise."""
    advice = "have the proxy let the endpoint's host through"
    if status == PROXY_AUTHENTICATION_REQUIRED:
        advice = "have the proxy let this caller in without a login, or check the one in HTTPS_PROXY"
    return TokenEndpointUnavailable(
        f"the proxy refused the connection to the endpoint: HTTP {status}",
        advice=advice,
        retryable=is_retryable(status),
    )


def unavailable(reason: str, *, may_have_issued: bool) -> TokenEndpointUnavailable:
    """Return the error of an endpoint that did this; another try may help."""
    return TokenEndpointUnavailable(
        f"the endpoint {reason}", advice=_NETWORK_ADVICE, may_have_issued=may_have_issued
    )


def _reason(any_is: Callable[..., bool]) -> tuple[str, bool]:
    """Return what the endpoint did, and whether a request may have been sent before."""
    if any_is(NameResolutionError):
        return "has a host name that could not be resolved", False
    if any_is(requests.exceptions.ConnectTimeout):
        return "could not be reached in time", False
    if any_is(NewConnectionError):
        return "could not be connected to", False
    if any_is(requests.exceptions.Timeout, ReadTimeoutError):
        return "did not answer in time", True
    return "closed the connection", True


def _causes(error: object) -> Iterator[Exception]:
    """The exception and those it wraps: the libraries put them into ``args`` and ``reason``."""
    if isinstance(error, Exception):
        yield error
        for inner in (*error.args, getattr(error, "reason", None)):
            yield from _causes(inner)
