"""Parsing a parameter: it gives a token with an expiry, or an error that says why it is not a token."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from typing import Any

import pytest

from fake_ports import CANARY_TOKEN, START, jwt
from rotator.consumer import parse
from rotator.consumer.parse import Found, token_times
from rotator.errors import TokenUnavailable
from rotator.renewal import status
from token_source_setup import NAME, status_of

END = START + timedelta(days=1)
SOONER = START + timedelta(hours=5)


def found(token: str = CANARY_TOKEN, text: str | None = None, *, version: int = 1) -> Found:
    return Found(token=token, version=version, status=text)


def changed(**fields: Any) -> str:
    """Return a valid status with changed fields; None removes a field."""
    good = json.loads(status_of(CANARY_TOKEN, START)) | fields
    return json.dumps({name: value for name, value in good.items() if value is not None})


def test_valid_status_gives_expiry_and_renewal_time() -> None:
    times = token_times(NAME, found(text=status_of(CANARY_TOKEN, START)))
    assert times == (END, START + timedelta(hours=16))


def test_status_with_unknown_members_is_accepted() -> None:
    """Version 0.1 wrote such members while a run renewed the token."""
    claimed = changed(claimed_by="run", claimed_until="2026-11-24T06:01:00Z")
    assert token_times(NAME, found(text=claimed))[0] == END


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("[]", id="a list"),
        pytest.param("null", id="null"),
        pytest.param("no JSON", id="no JSON"),
        pytest.param("[" * 100_000, id="too deep"),
        pytest.param(changed(parameter_version=2), id="of another version"),
        pytest.param(changed(parameter_version="1"), id="with a version that is text"),
        pytest.param(changed(token_sha256="0" * 16), id="of another token"),
        pytest.param(changed(token_sha256=None), id="without a fingerprint"),
        pytest.param(changed(schema=2), id="of a newer schema"),
        pytest.param(changed(expires_at=None), id="without an expiry"),
        pytest.param(changed(expires_at="tomorrow"), id="with an expiry that is not a time"),
        pytest.param(changed(expires_at="2026-11-25T06:00:00"), id="with an expiry without a time zone"),
        pytest.param(changed(expires_at=1e9), id="with an expiry that is a number"),
        pytest.param('{"schema": 1}', id="with only its schema"),
    ],
)
def test_missing_or_invalid_status_gives_no_expiry(text: str | None) -> None:
    assert token_times(NAME, found(text=text)) == (None, None)


def test_jwt_without_status_expires_at_its_exp() -> None:
    token = jwt({"exp": SOONER.timestamp()})
    assert token_times(NAME, found(token))[0] == SOONER


def test_status_of_another_version_yields_to_jwt_exp() -> None:
    token = jwt({"exp": SOONER.timestamp()})
    assert token_times(NAME, found(token, status_of(token, START), version=9))[0] == SOONER


@pytest.mark.parametrize(("exp", "end"), [(SOONER, SOONER), (END + timedelta(days=9), END)])
def test_earlier_of_jwt_exp_and_status_expiry_is_used(exp: Any, end: Any) -> None:
    token = jwt({"exp": exp.timestamp()})
    assert token_times(NAME, found(token, status_of(token, START)))[0] == end


@pytest.mark.parametrize("claims", [{}, {"exp": "soon"}, {"exp": True}, {"exp": 1e300}, {"exp": None}])
def test_jwt_without_usable_exp_gives_no_expiry(claims: dict[str, object]) -> None:
    assert token_times(NAME, found(jwt(claims)))[0] is None


EMPTY, ILLEGAL, JSON = (
    "is empty",
    "contains spaces, line breaks or other characters that a token must not contain",
    "contains JSON instead of a token",
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", EMPTY),
        (" ", ILLEGAL),
        (f"{CANARY_TOKEN}\n", ILLEGAL),
        (f" {CANARY_TOKEN}", ILLEGAL),
        (f"Bearer {CANARY_TOKEN}", ILLEGAL),
        ("tök", ILLEGAL),
        ("a\r\nX: y", ILLEGAL),
        ("a\0b", ILLEGAL),
        (f'{{"access_token":"{CANARY_TOKEN}"}}', JSON),
        (f'"{CANARY_TOKEN}"', JSON),
        (f'["{CANARY_TOKEN}"]', JSON),
    ],
)
def test_invalid_token_text_is_rejected_without_quoting_it(text: str, problem: str) -> None:
    with pytest.raises(TokenUnavailable) as caught:
        token_times(NAME, found(text))
    advice = "store only the token in it, without `Bearer `, or read another parameter"
    assert str(caught.value) == f"the parameter /healthwise/token {problem}; {advice}"


def test_expiry_is_converted_to_utc() -> None:
    expires_at, _ = token_times(NAME, found(text=changed(expires_at="2026-11-25T08:00:00+02:00")))
    assert (expires_at, expires_at and expires_at.tzinfo) == (END, UTC)


def test_repr_does_not_show_the_token() -> None:
    read = found(text=status_of(CANARY_TOKEN, START))
    assert CANARY_TOKEN not in repr(read)


def test_consumer_status_schema_equals_rotator_schema() -> None:
    assert parse.STATUS_SCHEMA == status.SCHEMA


def test_status_outside_of_the_calendar_gives_no_expiry() -> None:
    text = changed(expires_at="0001-01-01T00:00:00+23:59")
    assert token_times(NAME, found(text=text)) == (None, None)
