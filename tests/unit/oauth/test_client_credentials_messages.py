"""What an operator reads when the token endpoint gave no token: what happened, and what to do next."""

from __future__ import annotations

import json

import pytest

from fake_ports import START, jwt, rotation
from rotator.errors import TokenRequestError
from rotator.oauth import client_credentials, token_error, token_response
from rotator.oauth.client_credentials import TokenResponse
from rotator.oauth.models import ClientCredentials, Secret
from rotator.renewal.renew import check_size

AMBIGUOUS = ClientCredentials(client_id="client", client_secret=Secret("a+b"), version_id="v1")
READ_ITS_MANUAL = "check token_endpoint and the endpoint's documentation"
SEE_THE_GATEWAY = (
    "if a gateway answers in the endpoint's place, see which headers it requires (secret_headers, "
    "token_request_headers)"
)
SAY_HOW_LONG = "set fallback_lifetime to the token's lifetime in seconds, or lifetime if no answer says it"


def error(status: int, body: object) -> TokenRequestError:
    """Judge an answer as a run does."""
    request = client_credentials.token_request(rotation(), AMBIGUOUS)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = TokenResponse(status=status, body=raw, requested_at=START)

    def judge() -> None:
        token_error.check_status(request, response, START)
        token = token_response.read_token(rotation(), request, response, START)
        check_size(rotation(), token)

    with pytest.raises(TokenRequestError) as caught:
        judge()
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "problem", "advice"),
    [
        pytest.param(
            503,
            {},
            "answered HTTP 503",
            "ask the endpoint's operator",
            id="outage",
        ),
        pytest.param(
            300,
            {},
            "answered with a redirect (HTTP 300), "
            "which could carry the credentials elsewhere and is not followed",
            "set token_endpoint to the final address",
            id="redirect",
        ),
        pytest.param(
            403,
            {},
            "refused the request: HTTP 403, error not given or unknown",
            f"check token_endpoint and what the client is allowed to do; {SEE_THE_GATEWAY}",
            id="refusal without a code",
        ),
        pytest.param(
            401,
            {"error": "invalid_client"},
            "refused the request: HTTP 401, error invalid_client",
            "check the secret's client_id and client_secret, and client_authentication; the two dialects of "
            "Basic differ for this secret, so try the other basic_encoding (raw or form)",
            id="unknown client",
        ),
        pytest.param(
            400,
            {"error": "invalid_scope"},
            "refused the request: HTTP 400, error invalid_scope",
            "set scope to one that the client may ask for",
            id="scope",
        ),
    ],
)
def test_error_status_has_problem_and_advice(status: int, body: object, problem: str, advice: str) -> None:
    caught = error(status, body)
    assert (caught.problem, caught.advice) == (f"the token endpoint {problem}", advice)


@pytest.mark.parametrize(
    ("changes", "problem", "advice"),
    [
        (
            {"token_type": "mac"},
            "issued a token whose token_type is mac, not Bearer",
            "check token_endpoint, and have it issue Bearer tokens: others need a key of the consumer",
        ),
        (
            {"token_type": "canary"},
            "issued a token whose token_type is not Bearer",
            "list its token_type in accepted_token_types if the API takes such a token after Bearer",
        ),
        (
            {"access_token": ""},
            "issued no access_token",
            "check token_endpoint, and set response_members if the answer has it elsewhere",
        ),
        (
            {"access_token": "a b"},
            "issued an access_token with spaces, control or non-ASCII characters",
            READ_ITS_MANUAL,
        ),
        (
            {"access_token": "x" * 8193},
            "issued a token of 8193 bytes, more than the 8192 bytes of the tier Intelligent-Tiering",
            "set tier to Intelligent-Tiering (8192 bytes) or ask for a narrower scope",
        ),
        (
            {"access_token": jwt({"exp": 1})},
            "issued a token that is expired already",
            "compare the clocks of this machine and of the endpoint",
        ),
        (
            {"access_token": jwt({"exp": 10**11}), "expires_in": None},
            "issued a JWT that ends more than 31622400 seconds from now",
            SAY_HOW_LONG,
        ),
        ({"expires_in": "soon"}, "sent an expires_in that is not a number", SAY_HOW_LONG),
        (
            {"expires_in": 0},
            "sent an expires_in that is not between 1 and 31622400 seconds",
            SAY_HOW_LONG,
        ),
        (
            {"expires_in": None},
            "did not state the token's lifetime",
            (
                "set fallback_lifetime to the token's lifetime in seconds, or response_members if the answer "
                "says it under another name"
            ),
        ),
    ],
)
def test_invalid_token_response_has_problem_and_advice(
    changes: dict[str, object], problem: str, advice: str
) -> None:
    valid = {"access_token": "token", "token_type": "Bearer", "expires_in": 60}
    caught = error(200, {**valid, **changes})
    assert (caught.problem, caught.advice) == (f"the token endpoint {problem}", advice)


@pytest.mark.parametrize(
    ("body", "problem"), [(b"", "answered nothing"), (b"<html>", "did not answer with a JSON object")]
)
def test_response_that_is_no_json_object_is_reported(body: bytes, problem: str) -> None:
    caught = error(200, body)
    assert (caught.problem, caught.advice) == (f"the token endpoint {problem}", READ_ITS_MANUAL)
