"""The token in an answer: its value, type, scope, size and lifetime."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_ports import CANARY_TOKEN, DAY, START, jwt, rotation
from rotator.errors import InvalidTokenResponse, TokenRequestError, TokenRequestRejected
from rotator.oauth import client_credentials, token_response
from rotator.oauth.client_credentials import TokenResponse
from rotator.oauth.models import MAX_LIFETIME_SECONDS, Secret
from rotator.renewal.renew import check_size
from token_answers import NOW, answer, credentials, read, valid


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
