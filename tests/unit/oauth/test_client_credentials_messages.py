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
    "if a gateway answered instead of the endpoint, set the headers that it requires (secret_headers, "
    "token_request_headers)"
)
SAY_HOW_LONG = (
    "set fallback_lifetime to the token's lifetime in seconds, or set lifetime to ignore what the "
    "answers state"
)


def error(status: int, body: object) -> TokenRequestError:
    """Judge an answer as a run does."""
    request = client_credentials.token_request(rotation(), AMBIGUOUS)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = TokenResponse(status=status, body=raw, requested_at=START)

    def judge() -> None:
        token_error.check_status(request, response, START)
        token = token_response.read_token(request, response, START)
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
            "contact the provider of the token endpoint",
            id="outage",
        ),
        pytest.param(
            300,
            {},
            "answered with a redirect (HTTP 300), "
            "which is not followed because it could send the credentials to another host",
            "set token_endpoint to the URL to which the redirect leads",
            id="redirect",
        ),
        pytest.param(
            403,
            {},
            "refused the request: HTTP 403, without a known error code",
            f"check token_endpoint and the client's permissions at the provider; {SEE_THE_GATEWAY}",
            id="refusal without a code",
        ),
        pytest.param(
            401,
            {"error": "invalid_client"},
            "refused the request: HTTP 401, error invalid_client",
            "check client_id and client_secret in the secret, and the setting client_authentication; "
            "try the other basic_encoding (raw or form), because this secret contains characters that they "
            "encode differently",
            id="unknown client",
        ),
        pytest.param(
            400,
            {"error": "invalid_scope"},
            "refused the request: HTTP 400, error invalid_scope",
            "set scope to one that the provider allows the client",
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
            (
                "check token_endpoint, and ask the provider for Bearer tokens: this type needs a key in "
                "the consumer"
            ),
        ),
        (
            {"token_type": "canary"},
            "issued a token whose token_type is not Bearer",
            "add this token_type to accepted_token_types if the API accepts such tokens as Bearer tokens",
        ),
        (
            {"access_token": ""},
            "sent an answer without access_token",
            "check token_endpoint, and set response_members if the answer has this member under another name",
        ),
        (
            {"access_token": "a b"},
            "issued an access_token with spaces, control or non-ASCII characters",
            READ_ITS_MANUAL,
        ),
        (
            {"access_token": "x" * 8193},
            "issued a token of 8193 bytes, more than the 8192 bytes of the tier Intelligent-Tiering",
            "set scope to a narrower one",
        ),
        (
            {"access_token": jwt({"exp": 1})},
            "issued a token that has already expired",
            "compare the clocks of this machine and of the endpoint",
        ),
        (
            {"access_token": jwt({"exp": 10**11}), "expires_in": None},
            "issued a JWT that expires more than 31622400 seconds from now",
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
                "states it under another name"
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
    ("body", "problem"),
    [(b"", "sent an answer without a body"), (b"<html>", "sent an answer that is not a JSON object")],
)
def test_response_that_is_no_json_object_is_reported(body: bytes, problem: str) -> None:
    caught = error(200, body)
    assert (caught.problem, caught.advice) == (f"the token endpoint {problem}", READ_ITS_MANUAL)
