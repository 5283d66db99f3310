"""OAuth 2.0 without a network: requests built, answers judged."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_ports import CANARY_SECRET, CANARY_TOKEN, DAY, START, jwt, rotation
from rotator.errors import (
    InvalidTokenResponse,
    TokenEndpointUnavailable,
    TokenRequestError,
    TokenRequestRejected,
)
from rotator.oauth import client_credentials, token_error, token_response
from rotator.oauth.client_credentials import TokenResponse
from rotator.oauth.http_date import http_date
from rotator.oauth.jwt import claims
from rotator.oauth.models import (
    MAX_LIFETIME_SECONDS,
    AccessToken,
    BasicEncoding,
    ClientAuthentication,
    ClientCredentials,
    Secret,
)
from rotator.renewal.renew import check_size

NOW = START + timedelta(seconds=2)


def credentials(client_id: str = "client", client_secret: str = CANARY_SECRET) -> ClientCredentials:
    return ClientCredentials(client_id=client_id, client_secret=Secret(client_secret), version_id="v1")


def answer(body: object, status: int = 200, retry_after: str | None = None) -> TokenResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return TokenResponse(status=status, body=raw, requested_at=START, retry_after=retry_after)


def valid(**changes: Any) -> dict[str, Any]:
    fields = {"access_token": CANARY_TOKEN, "token_type": "Bearer", "expires_in": DAY, **changes}
    return {name: value for name, value in fields.items() if value is not None}


def read(body: object, **settings: Any) -> AccessToken:
    of = rotation(**settings)
    request = client_credentials.token_request(of, credentials())
    token = token_response.read_token(request, answer(body), NOW)
    check_size(of, token)
    return token


def basic_pair(encoding: BasicEncoding, client_id: str, client_secret: str) -> str:
    request = client_credentials.token_request(
        rotation(basic_encoding=encoding), credentials(client_id, client_secret)
    )
    kind, _, encoded = request.headers["Authorization"].value.partition(" ")
    assert kind == "Basic"
    return base64.b64decode(encoded, validate=True).decode()


# The request


def test_request_body_has_the_documented_form() -> None:
    request = client_credentials.token_request(
        rotation(token_request_params={"expiration": "86400"}), credentials()
    )
    assert request.body.value == "grant_type=client_credentials&scope=*&expiration=86400"


def test_empty_scope_is_omitted_from_the_body() -> None:
    body = client_credentials.token_request(rotation(scope=""), credentials()).body.value
    assert body == "grant_type=client_credentials"


def test_raw_basic_sends_id_and_secret_as_they_are() -> None:
    assert basic_pair(BasicEncoding.RAW, "id", "a+/=:%é") == "id:a+/=:%é"


def test_form_basic_encodes_id_and_secret_first() -> None:
    assert basic_pair(BasicEncoding.FORM, "i:d", "a+/=:%é b") == "i%3Ad:a%2B%2F%3D%3A%25%C3%A9+b"


@given(st.text(min_size=1), st.text(min_size=1))
def test_strict_server_decodes_form_encoded_basic_credentials(client_id: str, client_secret: str) -> None:
    encodable = (client_id + client_secret).encode(errors="replace").decode()
    if encodable != client_id + client_secret:
        return  # lone surrogates are no text
    got_id, _, got_secret = basic_pair(BasicEncoding.FORM, client_id, client_secret).partition(":")
    assert (unquote_plus(got_id), unquote_plus(got_secret)) == (client_id, client_secret)


def test_client_secret_post_sends_secret_in_body_without_header() -> None:
    by_post = rotation(client_authentication=ClientAuthentication.POST)
    request = client_credentials.token_request(by_post, credentials())
    assert request.client.token_endpoint == by_post.token_endpoint
    assert "Authorization" not in request.headers
    assert request.ambiguous_basic is False
    assert parse_qs(request.body.value)["client_secret"] == [CANARY_SECRET]
    assert parse_qs(request.body.value)["client_id"] == ["client"]


def test_neither_request_nor_answer_shows_a_secret() -> None:
    request = client_credentials.token_request(rotation(), credentials())
    shown = repr(request) + repr(answer(valid())) + repr(credentials())
    encoded = base64.b64encode(f"client:{CANARY_SECRET}".encode()).decode()
    assert CANARY_SECRET not in shown
    assert "client_id='client'" not in repr(request)
    assert encoded not in shown
    assert CANARY_TOKEN not in shown


# The answer's status


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


# The token


def test_valid_response_gives_token_issued_at_request_time() -> None:
    token = read(valid(scope="triage.api"))
    assert token.value == Secret(CANARY_TOKEN)
    assert (token.issued_at, token.expires_at) == (START, START + timedelta(days=1))
    assert (token.scope, token.lifetime) == ("triage.api", DAY)


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER"])
def test_the_token_type_is_compared_without_regard_to_case(token_type: str) -> None:
    assert read(valid(token_type=token_type)).value == Secret(CANARY_TOKEN)


@pytest.mark.parametrize("scope", ["triage.api", "triage.api search.api", "x" * 1024])
def test_valid_scope_of_the_response_is_used(scope: str) -> None:
    assert read(valid(scope=scope), scope="content.api").scope == scope


@pytest.mark.parametrize(
    "scope",
    [None, 5, "two  spaces", 'quote"d', "x" * 1025, f"all {CANARY_TOKEN}"],
    ids=["none", "number", "spaces", "quote", "long", "the token itself"],
)
def test_invalid_scope_is_replaced_by_the_requested_scope(scope: object) -> None:
    assert read(valid(scope=scope), scope="content.api").scope == "content.api"


@pytest.mark.parametrize("expires_in", [3600, "3600", 3600.0, "3600.0", 3600.9])
def test_read_token_accepts_numeric_and_text_expires_in(expires_in: object) -> None:
    assert read(valid(expires_in=expires_in)).lifetime == 3600


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(b"", "sent an answer without a body", id="empty"),
        pytest.param(b"<html>oops</html>", "JSON object", id="HTML"),
        pytest.param(b'{"access_token": "abc', "JSON object", id="truncated"),
        pytest.param(b"[]", "JSON object", id="a list"),
        pytest.param(b"\xff\xfe\xff", "JSON object", id="odd bytes"),
        pytest.param(b"[" * 100_000, "JSON object", id="nested without end"),
        pytest.param(b'{"expires_in": ' + b"9" * 5000 + b"}", "JSON object", id="endless number"),
        pytest.param(valid(access_token=None), "without access_token", id="without access_token"),
        pytest.param(valid(access_token=""), "without access_token", id="empty access_token"),
        pytest.param(valid(access_token=5), "access_token that is not text", id="number as access_token"),
        pytest.param(
            valid(access_token={"x": 1}), "access_token that is not text", id="object as access_token"
        ),
        pytest.param(valid(access_token="a b"), "spaces, control or non-ASCII", id="space in the token"),
        pytest.param(valid(access_token="ab\n"), "spaces, control or non-ASCII", id="newline in the token"),
        pytest.param(valid(access_token="é"), "spaces, control or non-ASCII", id="non-ASCII token"),
        pytest.param(valid(access_token="x" * 8193), "8193 bytes", id="too large"),
        pytest.param(valid(token_type="mac"), "not Bearer", id="token_type mac"),
        pytest.param(valid(token_type=["Bearer"]), "token_type is not text", id="list as token_type"),
        pytest.param(valid(expires_in=0), "between 1 and", id="expires_in 0"),
        pytest.param(valid(expires_in=-1), "between 1 and", id="expires_in negative"),
        pytest.param(valid(expires_in=86_400_000), "between 1 and", id="expires_in in milliseconds"),
        pytest.param(valid(expires_in=1e300), "between 1 and", id="expires_in huge"),
        pytest.param(valid(expires_in="forever"), "not a number", id="expires_in text"),
        pytest.param(valid(expires_in="nan"), "not a number", id="expires_in nan"),
        pytest.param(valid(expires_in=True), "not a number", id="expires_in true"),
        pytest.param(valid(expires_in=[1]), "not a number", id="expires_in list"),
        pytest.param(valid(expires_in=1), "has already expired", id="shorter than its request took"),
        pytest.param(valid(expires_in=2), "has already expired", id="as long as its request took"),
        pytest.param(valid(expires_in=None), "did not state the token's lifetime", id="expires_in missing"),
    ],
)
def test_invalid_token_response_is_refused_with_its_problem(body: object, problem: str) -> None:
    with pytest.raises(InvalidTokenResponse, match=problem):
        read(body)


def test_status_200_with_error_is_rejected() -> None:
    with pytest.raises(TokenRequestRejected) as caught:
        read(valid(error="invalid_client"))
    assert (caught.value.status, caught.value.code) == (200, "invalid_client")


@pytest.mark.parametrize(
    ("tier", "size", "fits"),
    [
        ("Standard", 4096, True),
        ("Standard", 4097, False),
        ("Advanced", 8192, True),
        ("Intelligent-Tiering", 8193, False),
    ],
)
def test_a_token_must_fit_the_tier(tier: str, size: int, fits: bool) -> None:
    body = valid(access_token="x" * size)
    if fits:
        assert read(body, tier=tier).value == Secret("x" * size)
    else:
        with pytest.raises(InvalidTokenResponse, match=f"the tier {tier}"):
            read(body, tier=tier)


def test_read_token_accepts_any_size_and_check_size_refuses_it() -> None:
    of = rotation(tier="Standard")
    body = valid(access_token="x" * 4097)
    token = token_response.read_token(client_credentials.token_request(of, credentials()), answer(body), NOW)
    assert token.lifetime == DAY
    with pytest.raises(InvalidTokenResponse, match="4097 bytes"):
        check_size(of, token)
    check_size(rotation(tier="Advanced"), token)


@pytest.mark.parametrize(
    ("token", "is_jwt"),
    [
        (jwt({"sub": "x"}), True),
        (jwt({}), True),
        (CANARY_TOKEN, False),
        ("a.b", False),
        ("a.b.c", False),
        ("a.W10.c", False),  # a JSON array
        ("a.e30.c.d", False),
    ],
)
def test_is_jwt_distinguishes_jwt_from_opaque_token(token: str, is_jwt: bool) -> None:
    assert (claims(token) is not None) is is_jwt


def test_http_date_is_read_in_utc_and_other_text_is_none() -> None:
    assert http_date("Tue, 24 Nov 2026 06:00:00 GMT") == START
    assert http_date("Tue, 24 Nov 2026 07:00:00 +0100") == START
    assert http_date("Tue, 24 Nov 2026 06:00:00 -0000") == START
    assert http_date("yesterday") is None


def test_http_date_is_in_utc_in_any_local_timezone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        for text in ("Tue, 24 Nov 2026 07:00:00 +0100", "Tue, 24 Nov 2026 06:00:00 -0000"):
            date = http_date(text)
            assert date == START
            assert date.tzinfo is UTC
    finally:
        monkeypatch.undo()
        time.tzset()


# The lifetime of a token that is a JWT, or of unknown lifetime


def epoch(seconds: float) -> float:
    return START.timestamp() + seconds


@pytest.mark.parametrize(
    ("expires_in", "exp", "lifetime"),
    [
        pytest.param(DAY, epoch(3600), 3600, id="exp is earlier"),
        pytest.param(3600, epoch(DAY), 3600, id="expires_in is earlier"),
        pytest.param(None, epoch(DAY), DAY, id="only exp"),
        pytest.param(None, epoch(DAY) + 0.5, DAY + 0.5, id="exp with a fraction"),
        pytest.param(
            MAX_LIFETIME_SECONDS,
            epoch(MAX_LIFETIME_SECONDS),
            MAX_LIFETIME_SECONDS,
            id="the longest life",
        ),
        pytest.param(3600, "soon", 3600, id="exp is text"),
        pytest.param(3600, True, 3600, id="exp is true"),
        pytest.param(3600, 1e40, 3600, id="exp out of range"),
    ],
)
def test_the_earlier_of_expires_in_and_exp_counts(expires_in: object, exp: object, lifetime: float) -> None:
    body = valid(access_token=jwt({"exp": exp}), expires_in=expires_in)
    assert read(body).lifetime == lifetime


@pytest.mark.parametrize("subject", ["", "a", "ab", "abc"])
def test_jwt_expiry_is_read_for_any_payload_length(subject: str) -> None:
    body = valid(access_token=jwt({"exp": epoch(3600), "sub": subject}), expires_in=None)
    assert read(body).lifetime == 3600


@pytest.mark.parametrize(
    "token",
    ["a.b.c", "..", "a.e30.c", "a.W10.c", "opaque"],
    ids=["no Base64", "empty", "no exp", "a list", "opaque"],
)
def test_token_without_expiry_uses_fallback_lifetime(token: str) -> None:
    assert read(valid(access_token=token, expires_in=None), fallback_lifetime=600).lifetime == 600


def test_fallback_lifetime_does_not_replace_jwt_expiry() -> None:
    body = valid(access_token=jwt({"exp": epoch(3600)}), expires_in=None)
    assert read(body, fallback_lifetime=DAY).lifetime == 3600


def test_a_jwt_that_is_expired_already_is_refused() -> None:
    with pytest.raises(InvalidTokenResponse, match="has already expired"):
        read(valid(access_token=jwt({"exp": epoch(-1)})))


def test_jwt_with_lifetime_above_maximum_is_refused() -> None:
    with pytest.raises(InvalidTokenResponse, match="expires more than"):
        read(valid(access_token=jwt({"exp": epoch(DAY * 40_000)}), expires_in=None))


@given(st.binary(max_size=300))
def test_random_body_raises_token_request_error(body: bytes) -> None:
    with pytest.raises(TokenRequestError):
        read(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_member_of_any_value_is_read_or_token_request_error(value: object) -> None:
    for member in (
        *("access_token", "token_type", "expires_in", "scope", "error"),
        *("expires_on", "expires_at", ".expires", "code", "errors"),
    ):
        body = {"access_token": "t", "token_type": "Bearer", "expires_in": 60, member: value}
        try:
            token = read(body)
        except TokenRequestError:
            continue
        assert token.expires_at > NOW


@pytest.mark.parametrize(
    ("body", "issued"), [(b"  {", True), (b"{", True), (b"<html>{", False), (b"", False)], ids=str
)
def test_truncated_object_may_have_issued_a_token(body: bytes, issued: bool) -> None:
    request = client_credentials.token_request(rotation(), credentials())
    response = TokenResponse(status=200, body=body, requested_at=NOW)
    with pytest.raises(InvalidTokenResponse) as caught:
        token_response.read_token(request, response, NOW)
    assert caught.value.may_have_issued is issued


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
