"""The settings of client assertions, checked against each other: none may be missing or have no effect."""

from __future__ import annotations

from collections.abc import Callable

from rotator.errors import SettingsError
from rotator.oauth.client_assertion import ALGORITHMS
from rotator.oauth.models import ClientAuthentication
from rotator.renewal.models import Rotation


def check(rotation: Rotation, label: Callable[[str], str]) -> None:
    """Raise SettingsError for a setting that is missing, or not used with this client_authentication."""
    method = rotation.client_authentication
    algorithms = ALGORITHMS.get(method, ())
    if method is ClientAuthentication.PRIVATE_KEY_JWT and not rotation.signing_key_id:
        raise SettingsError(
            f"{label('signing_key_id')} is not set, but {method} needs a key",
            advice="set it to the id, ARN or alias/NAME of an asymmetric KMS key with the usage SIGN_VERIFY",
        )
    if rotation.signing_algorithm and algorithms and rotation.signing_algorithm not in algorithms:
        raise SettingsError(
            f"{label('signing_algorithm')} is {rotation.signing_algorithm}, which {method} does not use",
            advice="set it to one of " + ", ".join(algorithms),
        )
    users = {
        "signing_key_id": [ClientAuthentication.PRIVATE_KEY_JWT],
        **{key: list(ALGORITHMS) for key in ("signing_algorithm", "key_id", "assertion_audience")},
    }
    for key, methods in users.items():
        if getattr(rotation, key) and method not in methods:
            raise SettingsError(
                f"{label(key)} is set, but {method} does not use it",
                advice=f"remove it, or set client_authentication to {' or '.join(methods)}",
            )
