"""Answers as servers give them: where they put the token, and what they call its type."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fake_ports import CANARY_TOKEN, DAY, START, jwt, rotation
from rotator.errors import InvalidTokenResponse, TokenRequestRejected
from rotator.oauth import token_response
from rotator.oauth.client_credentials import TokenResponse, token_request
from rotator.oauth.models import AccessToken, ClientCredentials, Secret

CREDENTIALS = ClientCredentials(
    client_id="client",
    client_secret=Secret("canary-secret"),
    version_id="v1",
    members={"api_key": Secret("canary-key")},
)


def read(body: object, **settings: Any) -> AccessToken:
    client = rotation(**settings)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = TokenResponse(status=200, body=raw, requested_at=START)
    return token_response.read_token(token_request(client, CREDENTIALS), response, START)


def valid(**changes: Any) -> dict[str, Any]:
    return {"access_token": CANARY_TOKEN, "token_type": "Bearer", "expires_in": DAY, **changes}


def refused(body: object, **settings: Any) -> str:
    with pytest.raises(InvalidTokenResponse) as caught:
        read(body, **settings)
    assert "canary" not in str(caught.value)
    return str(caught.value)


# The scope


@pytest.mark.parametrize("echoed", ["canary-secret", "canary-key", f"a {CANARY_TOKEN}"])
def test_scope_that_repeats_a_secret_is_not_believed(echoed: str) -> None:
    assert read(valid(scope=f"read {echoed} write"), scope="read").scope == "read"
    assert read(valid(scope="read write"), scope="read").scope == "read write"


# The type


@pytest.mark.parametrize(
    "token_type", [None, "", " ", "bearer", " Bearer ", "BearerToken", "BEARERTOKEN", "bearer token"]
)
def test_token_type_that_means_bearer_is_accepted(token_type: str | None) -> None:
    assert read(valid(token_type=token_type)).value == Secret(CANARY_TOKEN)


def test_token_without_token_type_is_bearer() -> None:
    assert read({"access_token": CANARY_TOKEN, "expires_in": DAY}).lifetime == DAY


@pytest.mark.parametrize(
    ("token_type", "name"),
    [("DPoP", "DPoP"), ("dpop", "DPoP"), ("MAC", "mac"), ("n_a", "N_A"), ("pop", "PoP")],
)
def test_token_type_that_needs_a_key_is_refused_by_name(token_type: str, name: str) -> None:
    assert f"token_type is {name}, not Bearer" in refused(valid(token_type=token_type))


@pytest.mark.parametrize("token_type", ["canary", "Basic", "bearer canary", "bearer" * 10_000])
def test_unknown_token_type_is_refused_unquoted(token_type: str) -> None:
    reported = refused(valid(token_type=token_type))
    assert "token_type is not Bearer; add this token_type to accepted_token_types" in reported
    assert len(reported) < 250


@pytest.mark.parametrize("token_type", ["Session", " session", "SESSION", "urn:x:access_token"])
def test_accepted_token_type_is_taken_for_bearer(token_type: str) -> None:
    accepted = ("session", "urn:x:access_token")
    assert read(valid(token_type=token_type), accepted_token_types=accepted).value == Secret(CANARY_TOKEN)


@pytest.mark.parametrize("token_type", [5, True, False, [], {}, ["Bearer"], {"type": "Bearer"}])
def test_token_type_of_a_wrong_type_is_refused(token_type: object) -> None:
    assert "token_type is not text" in refused(valid(token_type=token_type))


# Errors with 200


@pytest.mark.parametrize("error", [None, "", False, 0, [], {}])
def test_empty_error_beside_a_token_is_no_error(error: object) -> None:
    assert read(valid(error=error)).value == Secret(CANARY_TOKEN)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": "invalid_client"}, "invalid_client"),
        ({"error": True}, None),
        ({"errorCode": "invalid_client"}, "invalid_client"),
        ({"error": {"code": "INVALID_SCOPE"}}, "invalid_scope"),
        (valid(error="canary"), None),
    ],
)
def test_error_in_a_200_is_a_refusal(body: object, code: str | None) -> None:
    with pytest.raises(TokenRequestRejected) as caught:
        read(body)
    assert (caught.value.status, caught.value.code) == (200, code)
    assert "canary" not in str(caught.value)


def test_missing_token_is_named_before_its_type() -> None:
    assert "sent an answer without access_token" in refused({"token_type": "mac", "expires_in": "soon"})


# Places


@pytest.mark.parametrize(
    ("places", "body"),
    [
        ({"access_token": "token"}, {"token": CANARY_TOKEN, "expires_in": 60}),
        (
            {"access_token": "accessToken", "expires_in": "expiresIn"},
            {"accessToken": CANARY_TOKEN, "expiresIn": 60},
        ),
        (
            {"access_token": "tokenData.access_token", "expires_in": "tokenData.expires_in"},
            {"tokenData": {"access_token": CANARY_TOKEN, "expires_in": 60}},
        ),
        ({"access_token": "a.b"}, {"a.b": CANARY_TOKEN, "a": 5, "expires_in": 60}),
        ({"expires_at": "expires_in"}, {"access_token": CANARY_TOKEN, "expires_in": "2026-11-24T06:01:00Z"}),
        ({"expires_at": "expires_in"}, {"access_token": CANARY_TOKEN, "expires_in": START.timestamp() + 60}),
        (
            {"token_type": "kind"},
            {"access_token": CANARY_TOKEN, "kind": "bearer", "expires_in": 60, "token_type": 5},
        ),
    ],
)
def test_member_is_read_where_response_members_puts_it(places: dict[str, str], body: object) -> None:
    token = read(body, response_members=places)
    assert (token.value, token.lifetime, token.warnings) == (Secret(CANARY_TOKEN), 60, ())


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ([{"token": "canary"}], "sent a list in data"),
        ("canary", "sent a value that is not an object in data"),
        (5, "sent a value that is not an object in data"),
        (None, "sent an answer without data.token"),
        ({}, "sent an answer without data.token"),
        ({"token": None}, "sent an answer without data.token"),
        ({"token": ["canary"]}, "issued a data.token that is not text"),
        ({"token": {"canary": 1}}, "issued a data.token that is not text"),
    ],
)
def test_path_that_leads_nowhere_is_named(data: object, problem: str) -> None:
    reported = refused(
        {"data": data, "access_token": "other"}, response_members={"access_token": "data.token"}
    )
    assert problem in reported
    assert "response_members" in reported


# Values


@pytest.mark.parametrize("prefix", ["Bearer ", "bearer  ", "BEARER "])
def test_token_with_the_headers_prefix_is_read_bare(prefix: str) -> None:
    assert read(valid(access_token=prefix + CANARY_TOKEN)).value == Secret(CANARY_TOKEN)


@pytest.mark.parametrize("member", ["access_token", "token_type", "expires_in", "expires_on", "scope"])
def test_member_that_stands_twice_is_refused(member: str) -> None:
    first, second = json.dumps(valid(**{member: "canary-1"})), json.dumps({member: "canary-2"})
    assert f"sent {member} twice" in refused(f"{first[:-1]}, {second[1:]}".encode())


def test_lifetime_that_is_set_needs_no_member_of_the_answer() -> None:
    body = json.dumps(valid())[:-1] + ', "expires_in": 5}'
    assert read(body.encode(), lifetime=600).lifetime == 600


def test_member_that_stands_twice_with_one_value_is_read() -> None:
    body = json.dumps(valid())
    assert read(f"{body[:-1]}, {body[1:]}".encode()).lifetime == DAY


def test_answer_after_a_byte_order_mark_is_read() -> None:
    assert read(b"\xef\xbb\xbf" + json.dumps(valid()).encode()).lifetime == DAY


@pytest.mark.parametrize(
    "member", ["token_type", "expires_in", "expires_on", "expires_at", ".expires", "scope"]
)
@pytest.mark.parametrize(
    "value", ["x" * 65_000, "9" * 4000, [["canary"] * 100], {"canary": {"canary": 1}}, True]
)
def test_odd_member_never_shows_and_never_breaks(member: str, value: object) -> None:
    body = valid(**{"access_token": jwt({"exp": START.timestamp() + 60}), member: value})
    try:
        token = read(body)
    except InvalidTokenResponse as error:
        reported = str(error)
    else:
        assert token.lifetime == 60
        reported = "".join(token.warnings)
    assert "canary" not in reported
    assert len(reported) < 300


def test_token_of_another_type_was_issued_all_the_same() -> None:
    with pytest.raises(InvalidTokenResponse) as caught:
        read(valid(token_type=["Bearer"]))
    assert caught.value.problem == "the token endpoint issued a token whose token_type is not text"
    assert caught.value.may_have_issued
