"""The check of the key that signs client assertions: whether KMS can sign with it as the settings say."""

from __future__ import annotations

from rotator.config.deployment import Inspector
from rotator.errors import RotatorError
from rotator.oauth.client_assertion import signing_algorithm
from rotator.oauth.models import SigningAlgorithm
from rotator.renewal.models import Rotation

CHECK = "signing key"
"""Its name; a rotation that signs with its client secret, or not at all, has none."""

_CURVES = {256: "ECC_NIST_P256", 384: "ECC_NIST_P384", 512: "ECC_NIST_P521"}
"""By the digest's bits (RFC 7518, 3.4)."""


def check_signing_key(rotation: Rotation, inspector: Inspector) -> str:
    """Say what the key is; raises RotatorError if it cannot sign the rotation's assertions."""
    name, algorithm = rotation.signing_key_id, signing_algorithm(rotation)
    assert name  # noqa: S101 - the check is made of keys only
    assert algorithm  # noqa: S101 - settings refuse a key without a use
    key = inspector.key(name)
    if key is None:
        raise RotatorError(
            f"there is no key {name}", advice="set signing_key_id to one of this account and Region"
        )
    if key.usage != "SIGN_VERIFY":
        raise RotatorError(
            f"the key {name} is {key.spec} for {key.usage}",
            advice="set signing_key_id to an asymmetric key with the usage SIGN_VERIFY",
        )
    if key.state != "Enabled":
        raise RotatorError(f"the key {name} is {key.state}", advice="enable it, or cancel its deletion")
    if not _fits(algorithm, key.spec):
        own = ", ".join(each for each in SigningAlgorithm if _fits(each, key.spec))
        raise RotatorError(
            f"the key {name} is {key.spec} and cannot sign as {algorithm}",
            advice="set " + f"signing_algorithm to {own}, or " * bool(own) + "signing_key_id to another key",
        )
    return f"{name} is enabled, {key.spec}, and signs as {algorithm}"


def _fits(algorithm: SigningAlgorithm, spec: str) -> bool:
    if algorithm.family == "ES":
        return spec == _CURVES[algorithm.bits]
    return spec.startswith("RSA_") and not algorithm.is_symmetric
