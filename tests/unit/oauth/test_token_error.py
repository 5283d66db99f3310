"""Refusals as servers write them: which code they mean, and what to check first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fake_ports import START, rotation
from rotator.errors import TokenRequestRejected
from rotator.oauth import token_error
from rotator.oauth.client_credentials import TokenResponse, token_request
from rotator.oauth.models import ClientAuthentication, ClientCredentials, Secret
from rotator.renewal.models import Rotation

ROTATION = rotation()


def refusal(status: int, body: object, of: Rotation = ROTATION, **secret: Any) -> TokenRequestRejected:
    credentials = ClientCredentials(client_id="client", client_secret=Secret("x"), version_id="v1", **secret)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = TokenResponse(status=status, body=raw, requested_at=START)
    with pytest.raises(TokenRequestRejected) as caught:
        token_error.check_status(token_request(of, credentials), response, START)
    assert "canary" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": "invalid_client"}, "invalid_client"),
        ({"error": "INVALID_CLIENT"}, "invalid_client"),
        ({"error": "Invalid-Client"}, "invalid_client"),
        ({"error": "InvalidClient"}, "invalid_client"),
        ({"Error": "invalid_scope"}, "invalid_scope"),
        ({"errorCode": "invalid_client", "errorSummary": "canary"}, "invalid_client"),
        ({"error_code": "invalid_client"}, "invalid_client"),
        ({"error": {"code": "invalid_client", "message": "canary"}}, "invalid_client"),
        ({"error": {"type": "OAuthException", "code": 101}}, None),
        ({"errors": [{"code": "canary"}, {"code": "unauthorized_client"}]}, "unauthorized_client"),
        ({"errors": ["access_denied"]}, "access_denied"),
        (
            {"fault": {"faultstring": "canary", "detail": {"errorcode": "oauth.v2.InvalidClientIdentifier"}}},
            "invalid_client_identifier",
        ),
        ([{"errorCode": "INVALID_CLIENT_ID", "message": "canary"}], "invalid_client_id"),
        ({"error": "canary", "detail": {"code": "invalid_client"}}, "invalid_client"),
        ({"error": "invalid_scope", "detail": {"code": "invalid_client"}}, "invalid_scope"),
        ({"error_description": "access_denied", "message": "invalid_client"}, None),
        ({"statusCode": 401, "message": "Access denied due to missing subscription key. canary"}, None),
        ({"error": "invalid_client" * 10_000}, None),
        ({"error": ["canary", {"error": ["canary"]}]}, None),
        (b'{"error": "canary", "error": "invalid_client"}', None),
        (b"<html>invalid_client</html>", None),
        (b"<title>400 - Oauth error invalid_request</title>", "invalid_client_secret"),
        (b"<TITLE>OAuth error application_cannot_be_found</TITLE>", "invalid_client_id"),
        (b"<title>400 - Oauth error invalid_scope</title>", "invalid_scope"),
        (b"<title>400 - Oauth error app_not_installed</title>", None),
        (b"<p>Oauth error invalid_request</p>", None),
        ({"error": "<title>Oauth error invalid_request</title>"}, None),
        (
            b"<oauth><error_description>canary</error_description><error> invalid_client </error></oauth>",
            "invalid_client",
        ),
        (
            b"<f:Fault><Code>canary</Code><f:faultcode>oauth.v2.InvalidClient</f:faultcode></f:Fault>",
            "invalid_client",
        ),
        (b"<OAuth><errorCode>invalid_grant</errorCode></OAuth>", "invalid_grant"),
        (b"<message>invalid_client</message>", None),
        (b"<error><code>canary</code></error>", None),
        (b"[" * 60_000, None),
    ],
)
def test_code_is_found_however_it_is_written(body: object, code: str | None) -> None:
    assert refusal(400, body).code == code


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
@pytest.mark.parametrize(
    "code", ["invalid_client", "unauthorized_client", "access_denied", "invalid_client_id", "INVALID_CLIENT"]
)
def test_code_of_a_refused_client_counts_with_any_4xx(status: int, code: str) -> None:
    assert refusal(status, {"error": code}).client_refused


@pytest.mark.parametrize("body", [{}, {"error": "server_error"}, {"error": "invalid_scope"}, b"", b"<html>"])
def test_any_401_is_a_refused_client(body: object) -> None:
    assert refusal(401, body).client_refused


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, {}),
        (400, {"error": "invalid_scope"}),
        (400, {"error": "invalid_request"}),
        (400, b"<title>400 - Oauth error app_not_installed</title>"),
        (404, {}),
    ],
)
def test_other_refusals_are_not_of_the_client(status: int, body: object) -> None:
    assert not refusal(status, body).client_refused


@pytest.mark.parametrize("code", ["unauthorized_client", "access_denied"])
def test_advice_names_the_secret_first_then_the_grant(code: str) -> None:
    secret, grant = refusal(403, {"error": code}).advice.split("; ")
    assert secret.startswith("check client_id and client_secret in the secret")
    assert "allows the client this grant" in grant


def test_advice_for_refused_client_secret_jwt_names_the_secret() -> None:
    signed = rotation(client_authentication=ClientAuthentication.CLIENT_SECRET_JWT)
    advice = refusal(401, {"error": "invalid_client"}, signed).advice
    assert advice.startswith("check client_id and client_secret in the secret")
    assert "signing_algorithm" in advice
    assert "signing_key_id" not in advice


@pytest.mark.parametrize(("status", "reported"), [(401, True), (403, True), (404, False), (400, False)])
def test_refusal_without_a_code_mentions_required_headers(status: int, reported: bool) -> None:
    assert ("secret_headers, token_request_headers" in refusal(status, b"<html>").advice) is reported
    assert "secret_headers" not in refusal(status, {"error": "invalid_client"}).advice


@pytest.mark.parametrize("about", ["client certificate required", "No SSL certificate", "bad secret"])
def test_json_refusal_about_a_client_certificate_says_so(about: str) -> None:
    error = refusal(401, {"error": "invalid_client", "error_description": about})
    assert error.advice.startswith("check client_id and client_secret in the secret")
    assert ("client certificates are not supported" in error.advice) is ("certificate" in about)


def test_unsupported_media_type_names_the_format() -> None:
    assert "token_request_format" in refusal(415, b"").advice
    assert "token_request_format" not in refusal(404, b"").advice


def test_refused_client_is_advised_of_a_space_in_the_secret() -> None:
    spaced = refusal(401, {"error": "invalid_client"}, spaced_members=("client_secret",))
    assert "client_secret in the secret begins or ends with a space" in spaced.advice
    assert "space" not in refusal(400, {"error": "invalid_scope"}, spaced_members=("client_secret",)).advice


def test_codes_are_found_at_the_greatest_depth_and_no_deeper() -> None:
    answer: Any = {"error": "invalid_client"}
    for _ in range(token_error.MAX_DEPTH - 1):
        answer = {"detail": answer}
    assert token_error.error_code(answer) == "invalid_client"
    assert token_error.error_code({"detail": answer}) is None


def test_code_with_spaces_is_known_and_a_long_one_is_not() -> None:
    assert token_error.error_code({"error": "Invalid Client"}) == "invalid_client"
    longest = "invalid_client".rjust(token_error.MAX_CODE_CHARACTERS, ".")
    assert token_error.error_code({"error": longest}) == "invalid_client"
    assert token_error.error_code({"error": f".{longest}"}) is None


def test_client_certificate_is_the_advice_of_a_page_and_the_last_of_an_answer() -> None:
    page = refusal(400, b"<html>No required SSL certificate was sent</html>")
    assert page.advice == token_error.CLIENT_CERTIFICATE_ADVICE
    answer = refusal(401, {"error": "invalid_client", "error_description": "client certificate required"})
    required = "if the endpoint requires a client certificate (mutual TLS)"
    assert answer.advice.endswith(f"; {required}: {token_error.CLIENT_CERTIFICATE_ADVICE}")


def test_unsupported_media_type_advises_the_other_format() -> None:
    assert refusal(415, {}).advice.endswith("; try the other token_request_format (form or json)")
