"""The check of the signing key: whether KMS can sign client assertions with it."""

from __future__ import annotations

from rotator.config.deployment import Inspector
from rotator.errors import RotatorError
from rotator.oauth.client_assertion import signing_algorithm
from rotator.oauth.models import SigningAlgorithm
from rotator.renewal.models import Rotation

CHECK = "signing key"
"""The name of the check, which only rotations with ``signing_key_id`` have."""

_CURVES = {256: "ECC_NIST_P256", 384: "ECC_NIST_P384", 512: "ECC_NIST_P521"}
"""The curve for each length of the digest, in bits (RFC 7518, 3.4)."""


def check_signing_key(rotation: Rotation, inspector: Inspector) -> str:
    """Return the finding about the key; raises RotatorError if it cannot sign the rotation's assertions."""
    name, algorithm = rotation.signing_key_id, signing_algorithm(rotation)
    assert name  # noqa: S101 - only rotations with a key have this check
    assert algorithm  # noqa: S101 - the settings refuse a key that is not used
    key = inspector.key(name)
    if key is None:
        raise RotatorError(
            f"there is no KMS key {name}", advice="set signing_key_id to a key of this account and Region"
        )
    if key.usage != "SIGN_VERIFY":
        raise RotatorError(
            f"the KMS key {name} has the spec {key.spec} and the usage {key.usage}",
            advice="set signing_key_id to an asymmetric key with the usage SIGN_VERIFY",
        )
    if key.state != "Enabled":
        raise RotatorError(
            f"the KMS key {name} is {key.state}", advice="enable the key, or cancel its deletion"
        )
    if not _fits(algorithm, key.spec):
        usable = ", ".join(each for each in SigningAlgorithm if _fits(each, key.spec))
        raise RotatorError(
            f"the KMS key {name} has the spec {key.spec} and cannot sign with {algorithm}",
            advice="set "
            + f"signing_algorithm to {usable}, or " * bool(usable)
            + "signing_key_id to another key",
        )
    return f"{name} is enabled, has the spec {key.spec} and signs with {algorithm}"


def _fits(algorithm: SigningAlgorithm, spec: str) -> bool:
    if algorithm.family == "ES":
        return spec == _CURVES[algorithm.bits]
    return spec.startswith("RSA_") and not algorithm.is_symmetric
