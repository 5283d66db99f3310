"""Signatures of AWS KMS for client assertions: the private key signs in KMS and is never exported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rotator.adapters.runtime import aws_client, aws_errors
from rotator.adapters.runtime.aws_client import AwsError
from rotator.errors import CredentialsError, Retry
from rotator.oauth.models import SigningAlgorithm

_FAMILIES = {"RS": "RSASSA_PKCS1_V1_5", "PS": "RSASSA_PSS", "ES": "ECDSA"}
_INTEGER_BYTES = {256: 32, 384: 48, 512: 66}
"""The length of r and s in a JWS, by the bits of the digest (RFC 7518, 3.4)."""

_WRONG_KIND = (
    "set signing_key_id to a key with the usage SIGN_VERIFY, and signing_algorithm to one of its algorithms"
)
_ENABLE = "enable the key that signing_key_id names, or cancel its deletion"

# https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html
_ADVICE = {
    **dict.fromkeys(
        aws_errors.DENIED,
        "allow this caller kms:Sign with the key that signing_key_id names, also in the key policy",
    ),
    "NotFoundException": "set signing_key_id to a key of this account and Region, or to the ARN of another "
    "account's key",
    "DisabledException": _ENABLE,
    "KMSInvalidStateException": _ENABLE,
    "InvalidKeyUsageException": _WRONG_KIND,
    "UnsupportedOperationException": _WRONG_KIND,
    "ValidationException": _WRONG_KIND,
    "InvalidArnException": "check signing_key_id",
}


def sign(
    client: Callable[[], Any], message: bytes, signing_key_id: str, algorithm: SigningAlgorithm
) -> bytes:
    """Return the signature of a message of up to 4096 bytes; ``client`` returns the SDK's client."""
    try:
        return aws_client.call(
            client().sign,
            read=lambda answer: _as_jws(bytes(answer["Signature"]), algorithm),
            KeyId=signing_key_id,
            Message=message,
            MessageType="RAW",  # KMS computes the digest
            SigningAlgorithm=f"{_FAMILIES[algorithm.family]}_SHA_{algorithm.bits}",
        )
    except AwsError as error:
        raise CredentialsError(
            f"the client assertion could not be signed as {algorithm} with the key {signing_key_id}: "
            f"{error.code}",
            advice=error.advice_with(_ADVICE),
            retry=error.retry and Retry.NEXT_RUN,
        ) from error


def _as_jws(signature: bytes, algorithm: SigningAlgorithm) -> bytes:
    """Return a signature of KMS in the encoding of JWS: for ECDSA, r and s without DER.

    KMS returns ``SEQUENCE { r INTEGER, s INTEGER }`` (RFC 3279, 2.2.3). Raises ValueError or IndexError for
    another structure.
    """
    if algorithm.family != "ES":
        return signature
    size = _INTEGER_BYTES[algorithm.bits]
    r, rest = _integer(signature[3:] if signature[1] & 0x80 else signature[2:])
    s, _ = _integer(rest)
    joined = r.rjust(size, b"\0") + s.rjust(size, b"\0")
    if len(joined) != 2 * size:
        raise ValueError
    return joined


def _integer(der: bytes) -> tuple[bytes, bytes]:
    """Return the digits of the first INTEGER, and the bytes after it."""
    end = 2 + der[1]
    return der[2:end].lstrip(b"\0"), der[end:]
