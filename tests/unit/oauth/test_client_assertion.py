"""Client assertions: what they hold, who signs them, and how they get into a request."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from fake_ports import CANARY_SECRET, START, rotation
from rotator.errors import RotatorError, TokenRequestRejected
from rotator.oauth import client_assertion, client_credentials, token_error
from rotator.oauth.client_assertion import ASSERTION_TYPE, signing_algorithm
from rotator.oauth.client_credentials import TokenRequest, TokenResponse
from rotator.oauth.models import (
    Client,
    ClientAuthentication,
    ClientCredentials,
    Secret,
    SigningAlgorithm,
    TokenRequestFormat,
)

CREDENTIALS = ClientCredentials(client_id="a client é", client_secret=Secret(CANARY_SECRET), version_id="v1")
KMS_KEY = "alias/client"
SIGNED: dict[str, Any] = {
    "client_authentication": ClientAuthentication.PRIVATE_KEY_JWT,
    "signing_key_id": KMS_KEY,
}
BY_SECRET: dict[str, Any] = {"client_authentication": ClientAuthentication.CLIENT_SECRET_JWT}


class FakeSigner:
    """Signs with a word, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, str, SigningAlgorithm]] = []

    def __call__(self, message: bytes, signing_key_id: str, algorithm: SigningAlgorithm) -> bytes:
        self.asked.append((message, signing_key_id, algorithm))
        return b"signature"


def request(**changes: Any) -> TokenRequest:
    return client_credentials.token_request(rotation(**changes), CREDENTIALS)


def parameters(of: Client, signer: FakeSigner | None = None) -> dict[str, Secret]:
    algorithm = signing_algorithm(of)
    assert algorithm
    return client_assertion.parameters(of, CREDENTIALS, algorithm, signer or FakeSigner(), START)


def assertion(signer: FakeSigner | None = None, **changes: Any) -> str:
    return parameters(rotation(**changes), signer)["client_assertion"].value


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def parts(**changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims."""
    header, claims, _ = assertion(**changes).split(".")
    return decoded(header), decoded(claims)


def test_claims_name_client_and_token_endpoint() -> None:
    _, claims = parts(**SIGNED)
    del claims["jti"], claims["iat"], claims["exp"]
    assert claims == {
        "iss": "a client é",
        "sub": "a client é",
        "aud": "https://auth.example.test/oauth2/token",
    }


def test_audience_that_is_set_is_used() -> None:
    assert parts(**SIGNED, assertion_audience="https://issuer.test")[1]["aud"] == "https://issuer.test"


@pytest.mark.parametrize("skew", [-59, 0, 59, 60])
def test_times_are_valid_by_a_clock_that_differs_by_a_minute(skew: int) -> None:
    claims = parts(**SIGNED)[1]
    theirs = (START + timedelta(seconds=skew)).timestamp()
    assert claims["iat"] <= theirs < claims["exp"]
    assert claims["exp"] - claims["iat"] == 300
    assert (START - timedelta(seconds=60)).timestamp() + 300 >= claims["exp"]


def test_each_assertion_has_its_own_random_jti() -> None:
    ids = {parts(**SIGNED)[1]["jti"] for _ in range(100)}
    assert len(ids) == 100
    assert {len(each) for each in ids} == {32}


@pytest.mark.parametrize(
    ("key_id", "member"),
    [
        (None, {}),
        ("key-1", {"kid": "key-1"}),
        ("x5t", {"kid": "x5t"}),
        ("x5t=hOBcHZi846VCHSJbFAs26Go9VTQ", {"x5t": "hOBcHZi846VCHSJbFAs26Go9VTQ"}),
        ("x5t#S256=AbC_-", {"x5t#S256": "AbC_-"}),
        ("x5tx=y", {"kid": "x5tx=y"}),
        ('"}', {"kid": '"}'}),
    ],
)
def test_header_names_key_as_settings_do(key_id: str | None, member: dict[str, str]) -> None:
    header, _ = parts(**SIGNED, key_id=key_id)
    assert header == {"alg": "RS256", "typ": "JWT", **member}


def test_private_key_signs_header_and_claims() -> None:
    signer = FakeSigner()
    made = assertion(signer, **SIGNED, signing_algorithm=SigningAlgorithm.ES384)
    message, _, signature = made.rpartition(".")
    assert signer.asked == [(message.encode(), KMS_KEY, SigningAlgorithm.ES384)]
    assert base64.urlsafe_b64decode(signature) == b"signature"


@pytest.mark.parametrize(
    ("algorithm", "named"),
    [(None, "HS256"), *((each, each.value) for each in SigningAlgorithm if "HS" in each)],
)
def test_client_secret_signs_without_kms(algorithm: SigningAlgorithm | None, named: str) -> None:
    signer = FakeSigner()
    made = assertion(signer, **BY_SECRET, signing_algorithm=algorithm)
    read = jwt.decode(made, OctKey.import_key(CANARY_SECRET), algorithms=[named])
    assert (read.header["alg"], read.claims["iss"], signer.asked) == (named, "a client é", [])


@pytest.mark.parametrize("changes", [SIGNED, BY_SECRET], ids=["private key", "client secret"])
def test_request_identifies_client_without_its_secret(changes: dict[str, Any]) -> None:
    made = request(**changes)
    assert ("Authorization" in made.headers, made.ambiguous_basic) == (False, False)
    body = parse_qs(made.body_with(parameters(made.client)).value)
    token = body.pop("client_assertion")
    assert body == {
        "grant_type": ["client_credentials"],
        "scope": ["*"],
        "client_id": ["a client é"],
        "client_assertion_type": [ASSERTION_TYPE],
    }
    assert len(token[0].split(".")) == 3
    assert CANARY_SECRET not in str(made) + repr(made) + made.body.value


@pytest.mark.parametrize("method", [ClientAuthentication.BASIC, ClientAuthentication.POST])
def test_other_methods_assert_nothing(method: ClientAuthentication) -> None:
    assert signing_algorithm(rotation(client_authentication=method)) is None


def test_longest_settings_fit_into_what_kms_signs() -> None:
    """KMS takes messages of 4096 bytes; a client_id has at most a few hundred."""
    signer = FakeSigner()
    longest = rotation(
        **SIGNED, key_id="k" * 256, assertion_audience="https://auth.example.test/" + "x" * 500
    )
    credentials = replace(CREDENTIALS, client_id="https://client.example.test/" + "x" * 500)
    client_assertion.parameters(longest, credentials, SigningAlgorithm.PS512, signer, START)
    assert len(signer.asked[0][0]) < 4096


def refusal(status: int, body: bytes, **changes: Any) -> TokenRequestRejected:
    answer = TokenResponse(status=status, body=body, requested_at=START)
    with pytest.raises(TokenRequestRejected) as caught:
        token_error.check_status(request(**changes), answer, START)
    return caught.value


def test_refused_assertion_advises_on_the_key() -> None:
    assert "the public key of signing_key_id" in refusal(401, b'{"error": "invalid_client"}', **SIGNED).advice


@pytest.mark.parametrize(
    ("status", "body"), [(400, b'{"error": "invalid_request"}'), (403, b'{"error": "public_key error"}')]
)
def test_refusal_that_may_mean_the_assertion_advises_on_it_first(status: int, body: bytes) -> None:
    assertion, others = refusal(status, body, **SIGNED).advice.split("; ", 1)
    assert "signing_algorithm" in assertion
    assert others == refusal(status, body).advice


@pytest.mark.parametrize(("status", "body"), [(404, b""), (400, b'{"error": "invalid_scope"}')])
def test_other_refusals_do_not_advise_on_the_assertion(status: int, body: bytes) -> None:
    assert "signing_algorithm" not in refusal(status, body, **SIGNED).advice


@pytest.mark.parametrize(
    "body",
    [
        b"<html><center>No required SSL certificate was sent</center><hr>nginx</html>",
        b"<html><title>400 The SSL certificate error</title></html>",
        b"403 - Forbidden: Client certificate required",
    ],
)
def test_page_that_demands_a_client_certificate_is_recognized(body: bytes) -> None:
    error = refusal(400, body)
    assert error.problem == "the token endpoint requires a client certificate (mutual TLS): HTTP 400"
    assert not error.client_refused


def test_json_about_certificates_is_an_ordinary_refusal() -> None:
    error: RotatorError = refusal(400, b'{"error": "invalid_client", "x": "client certificate"}')
    assert "mutual TLS" not in error.problem


def test_assertion_is_compact_and_keeps_the_last_character() -> None:
    class Signer(FakeSigner):
        def __call__(self, message: bytes, signing_key_id: str, algorithm: SigningAlgorithm) -> bytes:
            super().__call__(message, signing_key_id, algorithm)
            return base64.urlsafe_b64decode("abcX")

    header, claims, signature = assertion(Signer(), **SIGNED).split(".")
    assert signature == "abcX"
    for part in (header, claims):
        assert b'": ' not in base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_assertion_is_added_to_a_json_body() -> None:
    made = request(**SIGNED, token_request_format=TokenRequestFormat.JSON)
    body = json.loads(made.body_with({"client_assertion": Secret("signed")}).value)
    assert body == {**json.loads(made.body.value), "client_assertion": "signed"}
    assert body["grant_type"] == "client_credentials"


def test_thumbprint_keeps_its_own_equals_signs() -> None:
    header, _ = parts(**SIGNED, key_id="x5t#S256=abc=")
    assert header["x5t#S256"] == "abc="
