"""The status of an answer: which error it is, whether a retry may help, and when."""

from __future__ import annotations

from typing import Any

import pytest

from fake_ports import CANARY_SECRET, rotation
from rotator.errors import TokenEndpointUnavailable, TokenRequestRejected
from rotator.oauth import client_credentials, token_error, token_response
from rotator.oauth.client_credentials import TokenResponse
from rotator.oauth.models import ClientAuthentication
from token_answers import NOW, answer, credentials


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_retryable_status_raises_token_endpoint_unavailable(status: int) -> None:
    with pytest.raises(TokenEndpointUnavailable, match=f"HTTP {status}"):
        token_error.check_status(
            client_credentials.token_request(rotation(), credentials()), answer({}, status), NOW
        )


def test_retryable_status_error_has_retry_after_seconds() -> None:
    request = client_credentials.token_request(rotation(), credentials())
    with pytest.raises(TokenEndpointUnavailable) as caught:
        token_error.check_status(request, answer({}, 503, retry_after="Tue, 24 Nov 2026 06:00:32 GMT"), NOW)
    assert caught.value.retry_after == 30


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 400, 401, 403, 404, 405, 422, 451])
def test_redirect_or_client_error_status_is_rejected(status: int) -> None:
    with pytest.raises(TokenRequestRejected) as caught:
        token_error.check_status(
            client_credentials.token_request(rotation(), credentials()), answer({}, status), NOW
        )
    assert (caught.value.status, caught.value.code) == (status, None)


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_2xx_passes(status: int) -> None:
    token_error.check_status(
        client_credentials.token_request(rotation(), credentials()), answer({}, status), NOW
    )


def rejected(
    body: object, status: int = 401, secret: str = CANARY_SECRET, **settings: Any
) -> TokenRequestRejected:
    request = client_credentials.token_request(rotation(**settings), credentials(client_secret=secret))
    with pytest.raises(TokenRequestRejected) as caught:
        token_error.check_status(request, answer(body, status), NOW)
    return caught.value


def test_rejection_has_error_code_and_advice() -> None:
    error = rejected({"error": "invalid_scope"}, 400)
    assert error.code == "invalid_scope"
    assert "set scope" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        {"error": CANARY_SECRET},
        {"error": "canary_code", "error_description": CANARY_SECRET},
        {"error": [CANARY_SECRET]},
        CANARY_SECRET.encode(),
        b"<html>" + CANARY_SECRET.encode(),
    ],
    ids=["as the code", "as description", "in a list", "as the body", "in HTML"],
)
def test_secret_echoed_by_the_server_is_not_in_the_error(body: object) -> None:
    assert "canary" not in str(rejected(body))


@pytest.mark.parametrize(
    ("status", "body", "blamed"),
    [
        pytest.param(401, {"error": "invalid_client"}, True, id="invalid_client"),
        pytest.param(400, {"error": "invalid_client"}, True, id="invalid_client with another status"),
        pytest.param(401, {}, True, id="401 without a code"),
        pytest.param(400, {"error": "invalid_scope"}, False, id="another code"),
        pytest.param(403, {}, False, id="another status without a code"),
    ],
)
def test_basic_encoding_is_suggested_only_for_unknown_client(status: int, body: object, blamed: bool) -> None:
    assert ("basic_encoding" in str(rejected(body, status, secret="a+b"))) is blamed


def test_basic_encoding_is_not_suggested_if_encodings_agree() -> None:
    assert "basic_encoding" not in str(rejected({"error": "invalid_client"}, secret="plain"))


def test_basic_encoding_is_not_suggested_without_basic() -> None:
    error = rejected(
        {"error": "invalid_client"}, secret="a+b", client_authentication=ClientAuthentication.POST
    )
    assert "basic_encoding" not in str(error)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param(None, None, id="none"),
        pytest.param("7", 7.0, id="seconds"),
        pytest.param(" 7 ", 7.0, id="seconds with space"),
        pytest.param("0", 0.0, id="zero"),
        pytest.param("99999999999", 99999999999.0, id="absurd"),
        pytest.param("Tue, 24 Nov 2026 06:00:32 GMT", 30.0, id="a date"),
        pytest.param("Tue, 24 Nov 2026 06:00:32 -0000", 30.0, id="a date without zone"),
        pytest.param("Tue, 24 Nov 2026 05:00:00 GMT", 0.0, id="a date that has passed"),
        pytest.param("-5", None, id="negative"),
        pytest.param("soon", None, id="a word"),
        pytest.param("", None, id="empty"),
        pytest.param("1.5", None, id="a fraction"),
        pytest.param("²", None, id="a digit that is no number"),
        pytest.param("Tue, 99 Nov 2026 06:00:32 GMT", None, id="no date"),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_and_else_ignored(
    header: str | None, seconds: float | None
) -> None:
    assert token_error.retry_after(header, NOW) == seconds


@pytest.mark.parametrize("unanswered", [False, True])
@pytest.mark.parametrize(
    ("status", "body"),
    [(403, b""), (302, b""), (200, b'{"error": "invalid_client"}')],
    ids=["refusal", "redirect", "error in a good answer"],
)
def test_rejection_may_have_issued_after_unanswered_request(
    status: int, body: bytes, unanswered: bool
) -> None:
    request = client_credentials.token_request(rotation(), credentials())
    response = TokenResponse(status=status, body=body, requested_at=NOW, unanswered_before=unanswered)

    def judge() -> None:
        token_error.check_status(request, response, NOW)
        token_response.read_token(request, response, NOW)

    with pytest.raises(TokenRequestRejected) as caught:
        judge()
    assert caught.value.may_have_issued is unanswered
