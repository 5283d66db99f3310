"""Proxies between this machine and an endpoint, and endpoints that demand a client certificate."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import requests

from adapters.caller import Caller
from certificates import server_context
from fake_ports import CANARY_SECRET
from leak_check import reported
from rotator.adapters.runtime import http_errors
from rotator.devstack.http_server import LOOPBACK, free_port
from rotator.errors import TokenEndpointUnavailable, TokenRequestError
from scripted_server import TOKEN, Answer, Serve, answer, raw

ENDPOINT = "https://auth.example.test/oauth2/token"
LOGIN = "user:canary-password"


def refuses(status: int, reason: str = "canary") -> Answer:
    """A proxy's answer to CONNECT."""
    return raw(f"HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())


def failed(caller: Caller, url: str = ENDPOINT) -> TokenRequestError:
    with pytest.raises(TokenRequestError) as caught:
        caller.request(url)
    assert "canary" not in reported(caught.value)
    assert CANARY_SECRET not in reported(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("status", "advice"),
    [(407, "without a login"), (403, "allow the endpoint's host"), (405, "allow the endpoint's host")],
)
def test_refusing_proxy_is_asked_once_and_its_status_named(
    serve: Serve, caller: Caller, status: int, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(refuses(status), connect=False)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", f"//{LOGIN}@"))
    error = failed(caller)
    assert error.problem == f"the proxy refused the connection to the endpoint: HTTP {status}"
    assert advice in error.advice
    assert isinstance(error, TokenEndpointUnavailable)
    assert not error.may_have_issued
    assert (len(proxy.requests), caller.slept) == (1, [])


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_proxy_that_fails_is_asked_again(serve: Serve, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    caller = Caller(budget=3)
    proxy = serve(refuses(status), connect=False)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    assert f"HTTP {status} (attempt " in failed(caller).problem
    assert len(proxy.requests) == len(caller.slept) + 1 > 1


def test_407_for_an_address_without_tls_is_the_proxys_too(
    serve: Serve, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(answer(407))
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert "the proxy refused" in failed(caller, "http://auth.example.test/token").problem
    assert len(proxy.requests) == 1


def test_unresolvable_proxy_is_distinguished_from_the_endpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert failed(Caller(budget=2), "https://auth.invalid/").problem.startswith(
        "the endpoint has a host name"
    )
    monkeypatch.setenv("HTTPS_PROXY", f"http://{LOGIN}@proxy.invalid:3128")
    error = failed(Caller(budget=2))
    assert error.problem.startswith("the proxy's host name could not be resolved")
    assert error.advice == "check HTTPS_PROXY, NO_PROXY and the proxy itself"


def test_absent_proxy_is_distinguished_from_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{LOOPBACK}:{free_port()}")
    assert failed(Caller(budget=2)).problem.startswith("the proxy did not accept a connection")


def test_proxy_that_speaks_no_tls_is_not_asked_again(
    serve: Serve, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", serve(TOKEN).url.replace("http:", "https:"))
    error = failed(caller)
    assert (error.problem, caller.slept) == ("TLS with the proxy failed", [])
    assert "http:// in HTTPS_PROXY" in error.advice


def test_host_in_no_proxy_is_called_directly(
    serve: Serve, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, peer = serve(answer(407)), serve(TOKEN)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", LOOPBACK)
    caller.request(peer.url)
    assert (len(peer.requests), proxy.requests) == (1, [])


# Client certificates.


def demanding(certificate: Path, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = server_context(certificate)
    context.minimum_version = context.maximum_version = version
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.usefixtures("trust")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_endpoint_that_demands_a_client_certificate_is_named(
    serve: Serve, caller: Caller, certificate: Path, version: ssl.TLSVersion
) -> None:
    peer = serve(TOKEN, tls=demanding(certificate, version))
    error = failed(caller, peer.url)
    assert "requires a client certificate" in error.problem
    assert "private_key_jwt" in error.advice
    assert peer.requests == []


@pytest.mark.parametrize(
    ("reason", "problem"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "the endpoint requires a client certificate"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "the endpoint requires a client certificate"),
        ("SSL/TLS_ALERT_BAD_CERTIFICATE", "the endpoint requires a client certificate"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "probably because it requires a client certificate"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "TLS with the endpoint failed"),
        ("WRONG_VERSION_NUMBER", "TLS with the endpoint failed"),
    ],
)
def test_alert_says_whether_a_client_certificate_is_missing(reason: str, problem: str) -> None:
    error = ssl.SSLError(1, f"[SSL: {reason}] (_ssl.c:1006)")
    error.reason = reason
    assert problem in http_errors.failure(requests.exceptions.SSLError(error)).problem
