"""The settings of client assertions: read together, and refused apart."""

from __future__ import annotations

import pytest

from rotation_settings import read, refused
from rotator.oauth.models import SigningAlgorithm

SIGNED = {"client_authentication": "private_key_jwt", "signing_key_id": "alias/client"}


@pytest.mark.parametrize(
    ("settings", "key", "value"),
    [
        (SIGNED, "signing_algorithm", None),
        ({**SIGNED, "signing_algorithm": "PS512"}, "signing_algorithm", SigningAlgorithm.PS512),
        ({**SIGNED, "key_id": "x5t#S256=AbC_-"}, "key_id", "x5t#S256=AbC_-"),
        (
            {**SIGNED, "assertion_audience": "http://idp.internal:8080/realms/x?a=b"},
            "assertion_audience",
            "http://idp.internal:8080/realms/x?a=b",
        ),
        (
            {"client_authentication": "client_secret_jwt", "signing_algorithm": "HS512"},
            "signing_algorithm",
            SigningAlgorithm.HS512,
        ),
    ],
)
def test_settings_of_an_assertion_are_read(settings: dict[str, str], key: str, value: object) -> None:
    assert getattr(read(**settings).rotation, key) == value


@pytest.mark.parametrize("key", ["signing_key_id", "key_id"])
def test_private_key_in_place_of_a_name_is_not_shown(key: str) -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMIGHcanary==\n-----END PRIVATE KEY-----\n"
    message = refused(**{**SIGNED, key: pem})
    assert message.startswith(f"ROTATOR_{key.upper()} is a text of {len(pem)} characters; it must be ")


def test_private_key_jwt_without_key_is_refused() -> None:
    message = refused(client_authentication="private_key_jwt")
    assert message.startswith("ROTATOR_SIGNING_KEY_ID is not set, but private_key_jwt needs a key")


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({**SIGNED, "signing_algorithm": "HS256"}, "private_key_jwt"),
        ({"client_authentication": "client_secret_jwt", "signing_algorithm": "RS256"}, "client_secret_jwt"),
    ],
)
def test_algorithm_of_another_method_is_refused(settings: dict[str, str], method: str) -> None:
    message = refused(**settings)
    assert message.startswith("ROTATOR_SIGNING_ALGORITHM is ")
    assert f"which {method} does not use; set it to one of " in message


@pytest.mark.parametrize(
    ("key", "value", "method"),
    [
        ("signing_key_id", "alias/client", "client_secret_basic"),
        ("signing_key_id", "alias/client", "client_secret_jwt"),
        ("signing_algorithm", "ES256", "client_secret_post"),
        ("key_id", "key-1", "client_secret_basic"),
        ("assertion_audience", "https://auth.example.test", "client_secret_basic"),
    ],
)
def test_setting_of_assertions_without_assertions_is_refused(key: str, value: str, method: str) -> None:
    message = refused(**{key: value, "client_authentication": method})
    assert message.startswith(f"ROTATOR_{key.upper()} is set, but {method} does not use it; remove it")
