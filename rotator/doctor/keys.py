"""The checks of KMS keys: that of a rotation's parameters, and the one that signs its client assertions."""

from __future__ import annotations

from rotator.config.deployment import Inspector, Key
from rotator.doctor.check import NotChecked
from rotator.errors import RotatorError
from rotator.oauth.client_assertion import signing_algorithm
from rotator.oauth.models import SigningAlgorithm
from rotator.renewal.models import Rotation

AWS_KEY = "alias/aws/ssm"
"""The default key of SecureStrings; AWS creates it on first use."""

_CURVES = {256: "ECC_NIST_P256", 384: "ECC_NIST_P384", 512: "ECC_NIST_P521"}
"""The curve for each length of the digest, in bits (RFC 7518, 3.4)."""


def check_key(rotation: Rotation, inspector: Inspector) -> str:
    """Return the finding about the parameters' key; raises RotatorError if it cannot encrypt them."""
    name = rotation.kms_key_id or AWS_KEY
    try:
        key = inspector.key(name)
    except RotatorError as error:
        if name == AWS_KEY:
            raise NotChecked(f"{error.problem}; AWS manages this key itself") from error
        raise
    if key is None and name == AWS_KEY:
        return f"{name}, which AWS creates on first use"
    key = _existing(key, name, "kms_key_id")
    if key.state != "Enabled":
        raise RotatorError(
            f"the KMS key {name} is {key.state}",
            advice="enable the key, or cancel its deletion: "
            "without it, no caller can read or write the token",
        )
    if (key.usage, key.spec) != ("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"):
        problem = f"the KMS key {name} has the spec {key.spec} and the usage {key.usage}"
        raise RotatorError(problem, advice="set kms_key_id to a symmetric encryption key")
    return f"{name} is enabled"


def check_signing_key(rotation: Rotation, inspector: Inspector) -> str:
    """Return the finding about the key; raises RotatorError if it cannot sign the rotation's assertions."""
    name, algorithm = rotation.signing_key_id, signing_algorithm(rotation)
    assert name  # noqa: S101 - only rotations with a key have this check
    assert algorithm  # noqa: S101 - the settings refuse a key that is not used
    key = _existing(inspector.key(name), name, "signing_key_id")
    if key.usage != "SIGN_VERIFY":
        raise RotatorError(
            f"the KMS key {name} has the spec {key.spec} and the usage {key.usage}",
            advice="set signing_key_id to an asymmetric key with the usage SIGN_VERIFY",
        )
    if key.state != "Enabled":
        advice = "enable the key, or cancel its deletion"
        raise RotatorError(f"the KMS key {name} is {key.state}", advice=advice)
    if not _fits(algorithm, key.spec):
        usable = ", ".join(each for each in SigningAlgorithm if _fits(each, key.spec))
        another = f"signing_algorithm to {usable}, or " if usable else ""
        raise RotatorError(
            f"the KMS key {name} has the spec {key.spec} and cannot sign with {algorithm}",
            advice=f"set {another}signing_key_id to another key",
        )
    return f"{name} is enabled, has the spec {key.spec} and signs with {algorithm}"


def _fits(algorithm: SigningAlgorithm, spec: str) -> bool:
    if algorithm.family == "ES":
        return spec == _CURVES[algorithm.bits]
    return spec.startswith("RSA_") and not algorithm.is_symmetric


def _existing(key: Key | None, name: str, setting: str) -> Key:
    if key is None:
        advice = f"set {setting} to a key of this account and Region"
        raise RotatorError(f"there is no KMS key {name}", advice=advice)
    return key
