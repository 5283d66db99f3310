"""Whether a token is a JWT."""

from __future__ import annotations

import pytest

from fake_ports import CANARY_TOKEN, jwt
from rotator.oauth.jwt import claims


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
