"""HttpTokenEndpoint against real sockets on loopback: what it asks, what it returns, what it repeats."""

from __future__ import annotations

import gzip
import json
import logging
from datetime import timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs

import pytest

from adapters.caller import BASIC, GATEWAY_KEY, Caller
from fake_ports import CANARY_SECRET, CANARY_TOKEN, START
from rotator.adapters.runtime import http_transport
from rotator.devstack.http_server import LOOPBACK, free_port
from rotator.errors import (
    TokenEndpointUnavailable,
    TokenRequestError,
    TokenRequestRejected,
    TokenVerificationError,
)
from scripted_server import (
    OUTAGE,
    TOKEN,
    TOKEN_BODY,
    Answer,
    Serve,
    answer,
    half,
    half_then_reset,
    half_then_silence,
    silence,
)

# Requests and answers.


def test_response_status_and_body_are_returned_unchanged(serve: Serve, caller: Caller) -> None:
    response = caller.request(serve(TOKEN).url)
    assert (response.status, response.body, response.requested_at) == (200, TOKEN_BODY, START)


def test_compressed_response_is_decompressed(serve: Serve, caller: Caller) -> None:
    compressed = answer(body=gzip.compress(TOKEN_BODY), Content_Encoding="gzip")
    assert caller.request(serve(compressed).url).body == TOKEN_BODY


def test_basic_credentials_are_sent_in_the_header_only(serve: Serve, caller: Caller) -> None:
    peer = serve(TOKEN)
    caller.request(peer.url)
    (received,) = peer.requests
    assert received.headers["Authorization"] == BASIC
    assert parse_qs(received.body) == {"grant_type": ["client_credentials"], "scope": ["*"]}


def test_post_credentials_are_sent_in_the_body_without_a_header(serve: Serve, caller: Caller) -> None:
    peer = serve(TOKEN)
    caller.post(peer.url)
    (received,) = peer.requests
    assert "Authorization" not in received.headers
    assert parse_qs(received.body)["client_secret"] == [CANARY_SECRET]


def test_request_in_json_has_its_type_and_its_headers(serve: Serve, caller: Caller) -> None:
    peer = serve(TOKEN)
    caller.keyed(peer.url)
    (received,) = peer.requests
    assert received.headers["Content-Type"] == "application/json"
    assert (received.headers["X-Gateway-Key"], received.headers["Authorization"]) == (GATEWAY_KEY, BASIC)
    body = {"grant_type": "client_credentials", "scope": "*", "key": GATEWAY_KEY}
    assert json.loads(received.body) == body


def test_header_that_is_set_replaces_ours_in_any_case(serve: Serve, caller: Caller) -> None:
    peer = serve(TOKEN)
    headers = {
        "accept": "application/vnd.x+json",
        "user-AGENT": "x",
        "content-type": "text/x",
        "X-Tenant": "a",
    }
    caller.request(peer.url, token_request_headers=headers)
    (received,) = peer.requests
    sent = {name.lower(): value for name, value in received.headers.items()}
    assert {name: sent[name.lower()] for name in headers} == headers
    assert len(sent) == len(received.headers)


# Retries.


@pytest.mark.parametrize(
    "failing",
    [OUTAGE, half, half_then_reset, half_then_silence, silence, lambda connection: None],
    ids=["503", "truncated", "reset", "stalled body", "no answer", "closed"],
)
def test_transient_failure_is_retried(
    serve: Serve, caller: Caller, failing: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_transport, "READ_TIMEOUT_SECONDS", 0.3)
    peer = serve(failing, TOKEN)
    assert caller.request(peer.url).body == TOKEN_BODY
    assert (len(peer.requests), len(caller.slept)) == (2, 1)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_not_repeated(serve: Serve, caller: Caller, status: int) -> None:
    peer = serve(answer(status, b'{"error": "invalid_client"}'))
    with pytest.raises(TokenRequestRejected) as caught:
        caller.request(peer.url)
    assert (caught.value.status, caught.value.code) == (status, "invalid_client")
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://", "http://.test", "http://127.0.0.1:99999", "//host"]
)
def test_unusable_address_is_refused_without_a_retry(caller: Caller, url: str) -> None:
    with pytest.raises(TokenRequestError, match="is invalid"):
        caller.request(url)
    assert caller.slept == []


def test_refused_connection_is_retried_within_the_time_budget(caller: Caller) -> None:
    with pytest.raises(TokenEndpointUnavailable, match="did not accept a connection"):
        caller.request(f"http://{LOOPBACK}:{free_port()}")
    assert 0 < sum(caller.slept) <= 30


def test_unresolvable_host_name_is_retried(caller: Caller) -> None:
    with pytest.raises(TokenEndpointUnavailable, match="name that could not be resolved"):
        caller.request("http://nowhere.invalid")
    assert caller.slept


@pytest.mark.parametrize(
    "header",
    ["7", format_datetime(START + timedelta(seconds=7), usegmt=True)],
    ids=["seconds", "date"],
)
def test_retry_after_is_honoured(serve: Serve, caller: Caller, header: str) -> None:
    caller.request(serve(answer(429, Retry_After=header), TOKEN).url)
    assert caller.slept[0] >= 7


@pytest.mark.parametrize(
    "header",
    [
        "soon",
        "",
        "-1",
        "Tue, 24 Nov 1999 06:00:00 GMT",
        "Tue, 24 Nov 99999999999 06:00:00 GMT",
        "Tue, 24 Nov 2026 06:00:00 +99999999999999999999",
    ],
)
def test_invalid_retry_after_is_ignored(serve: Serve, caller: Caller, header: str) -> None:
    caller.request(serve(answer(429, Retry_After=header), TOKEN).url)
    assert len(caller.slept) == 1


@pytest.mark.parametrize(("budget", "requests"), [(0.9, 0), (5.5, 1), (9.0, 2)])
def test_no_attempt_starts_in_the_last_second(serve: Serve, budget: float, requests: int) -> None:
    peer = serve(answer(503, Retry_After="5"))
    with pytest.raises(TokenEndpointUnavailable):
        Caller(budget).request(peer.url)
    assert len(peer.requests) == requests


def test_every_retry_logs_its_attempt_and_its_delay(
    serve: Serve, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="rotator")
    caller.request(serve(OUTAGE, OUTAGE, TOKEN).url)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("rotator")] == [
        f"attempt {number}: the token endpoint answered HTTP 503; next attempt in {slept:.1f} s"
        for number, slept in enumerate(caller.slept, start=1)
    ]
    assert len(caller.slept) == 2


# The probe.


def test_a_probe_presents_the_token_and_passes_on_2xx(serve: Serve, caller: Caller) -> None:
    peer = serve(answer(204, b""))
    caller.probe(f"{peer.url}/topics")
    (received,) = peer.requests
    assert (received.line, received.headers["Authorization"]) == (
        "GET /topics HTTP/1.1",
        f"Bearer {CANARY_TOKEN}",
    )


def test_probe_has_the_headers_of_the_secret(serve: Serve, caller: Caller) -> None:
    peer = serve(answer(204, b""))
    caller.keyed_probe(peer.url)
    (received,) = peer.requests
    assert received.headers["X-Gateway-Key"] == GATEWAY_KEY
    assert received.headers["Authorization"] == f"Bearer {CANARY_TOKEN}"


@pytest.mark.parametrize("status", [302, 401, 403, 404])
def test_a_probe_that_is_refused_fails_at_once(serve: Serve, caller: Caller, status: int) -> None:
    target = serve(TOKEN)
    peer = serve(answer(status, Location=target.url))
    with pytest.raises(TokenVerificationError, match=f"HTTP {status}"):
        caller.probe(peer.url)
    assert (len(peer.requests), target.requests, caller.slept) == (1, [], [])


def test_a_probe_that_meets_an_outage_is_repeated(serve: Serve, caller: Caller) -> None:
    peer = serve(OUTAGE, TOKEN)
    caller.probe(peer.url)
    assert len(peer.requests) == 2


def test_probe_fails_the_verification_after_a_lasting_outage(serve: Serve, caller: Caller) -> None:
    with pytest.raises(TokenVerificationError, match="HTTP 503"):
        caller.probe(serve(OUTAGE).url)
    assert 0 < sum(caller.slept) <= 30
