"""When a token expires, by whatever an answer says of it."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from fake_ports import DAY, START, jwt, rotation
from rotator.errors import InvalidTokenResponse
from rotator.oauth.expiry import MAX_DATE_CHARACTERS, expiry
from rotator.oauth.models import MAX_LIFETIME_SECONDS

EPOCH = START.timestamp()


def lifetime(answer: dict[str, Any], token: str = "opaque", **settings: Any) -> tuple[float, tuple[str, ...]]:
    """The lifetime in seconds, and the warnings."""
    expires_at, warnings = expiry(rotation(**settings), answer.get, token, START)
    return (expires_at - START).total_seconds(), warnings


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ({"expires_in": " 3600 "}, 3600),
        ({"expires_on": EPOCH + 3600}, 3600),
        ({"expires_on": str(int(EPOCH) + 3600)}, 3600),
        ({"expires_at": (EPOCH + 3600) * 1000}, 3600),
        ({"expires_at": "2026-11-24T07:00:00Z"}, 3600),
        ({"expires_at": "2026-11-24T08:00:00+01:00"}, 3600),
        ({"expires_at": "2026-11-24 07:00:00.1234567+00:00"}, 3600.123456),
        ({".expires": "Tue, 24 Nov 2026 07:00:00 GMT"}, 3600),
        ({".expires": "Tue, 24 Nov 2026 08:00:00 +0100"}, 3600),
        ({"expires_in": DAY, "expires_on": EPOCH + 3600, ".expires": "Tue, 24 Nov 2026 08:00:00 GMT"}, 3600),
        ({"expires_in": 60, "expires_at": EPOCH + 3600}, 60),
        ({"expires_at": EPOCH - 5}, -5),
    ],
)
def test_earliest_stated_expiry_counts(answer: dict[str, Any], seconds: float) -> None:
    assert lifetime(answer) == (seconds, ())


WRONG = [
    ("expires_in", 0),
    ("expires_in", -1),
    ("expires_in", ""),
    ("expires_in", "soon"),
    ("expires_in", "nan"),
    ("expires_in", "3600s"),
    ("expires_in", 10 * 366 * DAY),
    ("expires_in", EPOCH + 3600),
    ("expires_in", 86_400_000),
    ("expires_in", True),
    ("expires_in", [3600]),
    ("expires_in", {"seconds": 3600}),
    ("expires_on", 3600),
    ("expires_on", 1e300),
    ("expires_on", ""),
    ("expires_on", "2026-11-24T07:00:00"),
    ("expires_on", "Tue, 24 Nov 2026 07:00:00"),
    ("expires_on", "11/24/2026 07:00:00 AM"),
    ("expires_on", "2126-11-24T07:00:00Z"),
    ("expires_on", "0001-01-01T00:00:00+14:00"),
    ("expires_on", False),
    ("expires_at", []),
    (".expires", "x" * 65_536),
    (".expires", "GMT" * 10 + " GMT"),
]


@pytest.mark.parametrize(("member", "value"), WRONG)
def test_wrong_expiry_is_reported_and_the_fallback_counts(member: str, value: object) -> None:
    seconds, [warning] = lifetime({member: value}, fallback_lifetime=600)
    assert seconds == 600
    assert warning.startswith(f"the token endpoint sent an {member} that is ")
    assert warning.endswith("; fallback_lifetime is used instead")


@pytest.mark.parametrize(("member", "value"), WRONG)
def test_wrong_expiry_without_fallback_says_what_to_set(member: str, value: object) -> None:
    with pytest.raises(InvalidTokenResponse, match="set fallback_lifetime to the token's lifetime") as caught:
        lifetime({member: value})
    assert caught.value.problem.startswith(f"the token endpoint sent an {member} that is ")
    assert len(str(caught.value)) < 250


def test_wrong_expiry_beside_another_is_reported() -> None:
    seconds, warnings = lifetime({"expires_in": 0, "expires_on": EPOCH + 3600}, fallback_lifetime=600)
    assert seconds == 3600
    assert [warning.rpartition("; ")[2] for warning in warnings] == ["the rest of the answer is used instead"]


@pytest.mark.parametrize(
    ("settings", "seconds", "counts"),
    [
        ({}, 3600, "the exp of the JWT is used instead"),
        ({"fallback_lifetime": 600}, 600, "fallback_lifetime is used instead"),
        ({"fallback_lifetime": DAY}, 3600, "fallback_lifetime is used instead"),
    ],
)
def test_wrong_expiry_of_a_jwt_is_capped_by_its_exp(
    settings: dict[str, Any], seconds: float, counts: str
) -> None:
    found, [warning] = lifetime({"expires_in": 0}, jwt({"exp": EPOCH + 3600}), **settings)
    assert found == seconds
    assert warning.endswith(counts)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"expires_in": 3_600_000},
        {"expires_in": 60},
        {"expires_in": "soon", "expires_at": EPOCH + 60},
        {"expires_in": {}},
    ],
)
def test_lifetime_overrides_what_the_answer_says(answer: dict[str, Any]) -> None:
    assert lifetime(answer, lifetime=3600, fallback_lifetime=600) == (3600, ())
    assert lifetime(answer, jwt({"exp": EPOCH + 1800}), lifetime=3600) == (1800, ())
    assert lifetime(answer, jwt({"exp": EPOCH + DAY}), lifetime=3600) == (3600, ())


def test_jwt_that_lives_for_centuries_lives_for_the_fallback() -> None:
    seconds, [warning] = lifetime({}, jwt({"exp": EPOCH + DAY * 40_000}), fallback_lifetime=600)
    assert seconds == 600
    assert "a JWT that expires more than" in warning


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ({"expires_in": MAX_LIFETIME_SECONDS}, MAX_LIFETIME_SECONDS),
        ({"expires_on": EPOCH + MAX_LIFETIME_SECONDS}, MAX_LIFETIME_SECONDS),
        ({"expires_at": "2026-11-24T07:00:00Z" + " " * (MAX_DATE_CHARACTERS - 20)}, 3600),
    ],
)
def test_largest_allowed_values_are_accepted(answer: dict[str, Any], seconds: float) -> None:
    assert lifetime(answer) == (seconds, ())


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"expires_on": "soon"}, "neither seconds since 1970 nor a date with its time zone"),
        ({"expires_on": 3600}, f"more than {MAX_LIFETIME_SECONDS} seconds from now"),
    ],
)
def test_unusable_time_is_refused_with_its_reason(answer: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidTokenResponse) as caught:
        lifetime(answer)
    assert caught.value.problem == f"the token endpoint sent an expires_on that is {why}"


def test_jwt_of_the_longest_lifetime_counts() -> None:
    assert lifetime({}, jwt({"exp": int(EPOCH) + MAX_LIFETIME_SECONDS})) == (MAX_LIFETIME_SECONDS, ())


def test_expiry_with_another_zone_is_returned_in_utc() -> None:
    expires_at, _ = expiry(rotation(), {"expires_at": "2026-11-24T08:00:00+01:00"}.get, "opaque", START)
    assert expires_at.tzinfo is UTC
