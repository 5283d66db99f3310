"""HttpTokenEndpoint with clients that authenticate by a JWT: one for each attempt, none signed in vain."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any
from urllib.parse import parse_qs

import pytest

from adapters.caller import Caller
from fake_ports import Clock
from leak_check import reported
from rotator.adapters.runtime.http_transport import HttpTransport
from rotator.adapters.runtime.token_endpoint import HttpTokenEndpoint
from rotator.errors import CredentialsError, TokenEndpointUnavailable
from rotator.oauth.models import ClientAuthentication, SigningAlgorithm
from scripted_server import OUTAGE, TOKEN, TOKEN_BODY, Peer, Serve, half_then_reset

BY_KEY: dict[str, Any] = {
    "client_authentication": ClientAuthentication.PRIVATE_KEY_JWT,
    "signing_key_id": "alias/client",
}
BY_SECRET: dict[str, Any] = {"client_authentication": ClientAuthentication.CLIENT_SECRET_JWT}
DENIED = CredentialsError("it could not be signed", advice="allow it")


class Signer:
    """Signs so often, then fails."""

    def __init__(self, often: int = 100) -> None:
        self.often = often
        self.signed = 0

    def __call__(self, message: bytes, signing_key_id: str, algorithm: SigningAlgorithm) -> bytes:
        if self.signed == self.often:
            raise DENIED
        self.signed += 1
        return b"canary-signature"


class Asserting(Caller):
    """A caller with a signer."""

    def __init__(self, signer: Signer, *, budget: float = 30) -> None:
        super().__init__(budget)
        clock = Clock()
        self._endpoint = HttpTokenEndpoint(
            HttpTransport(now=clock.now),
            now=clock.now,
            sleep=self._sleep,
            counters=self.counters,
            signer=signer,
        )


def assertions(peer: Peer) -> list[str]:
    return [parse_qs(received.body)["client_assertion"][0] for received in peer.requests]


def jti(assertion: str) -> str:
    claims = assertion.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["jti"])


@pytest.mark.parametrize("changes", [BY_KEY, BY_SECRET], ids=["private key", "client secret"])
def test_each_attempt_has_its_own_assertion(serve: Serve, changes: dict[str, Any]) -> None:
    peer = serve(OUTAGE, half_then_reset, TOKEN)
    assert Asserting(Signer()).request(peer.url, **changes).body == TOKEN_BODY
    assert len({jti(each) for each in assertions(peer)}) == 3
    assert not any("Authorization" in received.headers for received in peer.requests)


def test_failure_to_sign_sends_nothing_and_is_not_repeated(serve: Serve) -> None:
    peer, caller = serve(TOKEN), Asserting(Signer(often=0))
    with pytest.raises(CredentialsError) as caught:
        caller.request(peer.url, **BY_KEY)
    assert (caught.value.problem, caught.value.may_have_issued) == (DENIED.problem, False)
    assert (peer.requests, caller.slept) == ([], [])
    assert caller.counters.take()["TokenRequests"] == 0


def test_failure_to_sign_again_reports_the_unanswered_request(serve: Serve) -> None:
    peer = serve(half_then_reset, TOKEN)
    with pytest.raises(CredentialsError) as caught:
        Asserting(Signer(often=1)).request(peer.url, **BY_KEY)
    assert caught.value.may_have_issued
    assert not DENIED.may_have_issued


def test_nothing_is_signed_without_time_for_a_request(serve: Serve) -> None:
    signer = Signer()
    with pytest.raises(TokenEndpointUnavailable, match="time ran out"):
        Asserting(signer, budget=0.5).request(serve(TOKEN).url, **BY_KEY)
    assert signer.signed == 0


def test_assertion_appears_in_no_error_and_no_log(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    peer = serve(OUTAGE)
    with pytest.raises(TokenEndpointUnavailable) as caught:
        Asserting(Signer(), budget=3).request(peer.url, **BY_KEY)
    shown = reported(caught.value) + caplog.text
    sent = assertions(peer)
    assert len(sent) > 1
    assert [part for each in sent for part in each.split(".")[1:] if part in shown] == []
