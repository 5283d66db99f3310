"""Signing with KMS: what it asks KMS, how it reads signatures, and what is said where there is none."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ConnectTimeoutError, ReadTimeoutError
from botocore.stub import Stubber
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jws
from joserfc.jwk import ECKey

from leak_check import foreign, reported
from rotator.adapters.runtime import aws_client, kms
from rotator.adapters.runtime.token_endpoint import SHORTEST_ATTEMPT_SECONDS
from rotator.errors import CredentialsError, Retry, RotatorError
from rotator.oauth.client_assertion import Signer
from rotator.oauth.models import SigningAlgorithm
from rotator.renewal.ports import WRITE_RESERVE_SECONDS

KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd"
MESSAGE = b"header.claims"
CURVES = {
    SigningAlgorithm.ES256: (ec.SECP256R1(), hashes.SHA256(), 32),
    SigningAlgorithm.ES384: (ec.SECP384R1(), hashes.SHA384(), 48),
    SigningAlgorithm.ES512: (ec.SECP521R1(), hashes.SHA512(), 66),
}


@pytest.fixture
def client(access_key: None) -> Any:
    return aws_client.client("kms", aws_client.TWO_ATTEMPTS)


@pytest.fixture
def signer(client: Any) -> Signer:
    return partial(kms.sign, lambda: client)


def sign(signer: Signer, algorithm: SigningAlgorithm = SigningAlgorithm.ES256) -> bytes:
    return signer(MESSAGE, KEY, algorithm)


def refused(signer: Signer) -> CredentialsError:
    with pytest.raises(CredentialsError) as caught:
        sign(signer)
    assert foreign(caught.value, RotatorError, aws_client.AwsError) == []
    assert "could not be signed as ES256 with the key" in caught.value.problem
    return caught.value


def answers(stub: Stubber, signature: bytes) -> None:
    stub.add_response("sign", {"KeyId": KEY, "Signature": signature})


@pytest.mark.parametrize(
    ("algorithm", "named"),
    [
        (SigningAlgorithm.RS256, "RSASSA_PKCS1_V1_5_SHA_256"),
        (SigningAlgorithm.RS384, "RSASSA_PKCS1_V1_5_SHA_384"),
        (SigningAlgorithm.RS512, "RSASSA_PKCS1_V1_5_SHA_512"),
        (SigningAlgorithm.PS256, "RSASSA_PSS_SHA_256"),
        (SigningAlgorithm.PS384, "RSASSA_PSS_SHA_384"),
        (SigningAlgorithm.PS512, "RSASSA_PSS_SHA_512"),
    ],
)
def test_rsa_signature_is_returned_as_it_is(
    stub: Stubber, signer: Signer, algorithm: SigningAlgorithm, named: str
) -> None:
    expected = {"KeyId": KEY, "Message": MESSAGE, "MessageType": "RAW", "SigningAlgorithm": named}
    stub.add_response("sign", {"Signature": b"\x30signature"}, expected)
    assert sign(signer, algorithm) == b"\x30signature"


@pytest.mark.parametrize("algorithm", CURVES)
def test_ecdsa_signature_is_one_that_jose_verifies(
    stub: Stubber, signer: Signer, algorithm: SigningAlgorithm
) -> None:
    curve, digest, size = CURVES[algorithm]
    key = ec.generate_private_key(curve)
    public = ECKey(key.public_key(), key.public_key())
    message = base64.urlsafe_b64encode(b'{"alg":"%s"}' % algorithm.encode()).rstrip(b"=") + b".e30"
    for _ in range(100):  # one in 128 has an r or an s that is a byte shorter
        answers(stub, key.sign(message, ec.ECDSA(digest)))
        signature = signer(message, KEY, algorithm)
        assert len(signature) == 2 * size
        token = message + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")
        assert jws.deserialize_compact(token, public, algorithms=[algorithm.value]).payload == b"{}"


@pytest.mark.parametrize("algorithm", CURVES)
@pytest.mark.parametrize("shift", [0, 1, 8, 9])
def test_numbers_of_any_length_fill_their_places(
    stub: Stubber, signer: Signer, algorithm: SigningAlgorithm, shift: int
) -> None:
    size = CURVES[algorithm][2]
    largest = {66: 2**521 - 1}.get(size, 2 ** (8 * size) - 1)
    r, s = largest >> shift, 1
    answers(stub, encode_dss_signature(r, s))
    assert sign(signer, algorithm) == r.to_bytes(size, "big") + s.to_bytes(size, "big")


@pytest.mark.parametrize(
    "der",
    [b"", b"\x30", b"\x30\x06\x02", b"\x30\x06\x02\x01\x01\x02", encode_dss_signature(2**300, 1)],
    ids=["nothing", "a tag", "cut off", "without s", "of a larger curve"],
)
def test_malformed_signature_is_not_an_answer_of_aws(stub: Stubber, signer: Signer, der: bytes) -> None:
    answers(stub, der)
    error = refused(signer)
    assert error.problem.endswith(": NotAnAnswer")
    assert "proxy" in error.advice


@pytest.mark.parametrize(
    ("code", "advice", "retry"),
    [
        ("AccessDeniedException", "allow this caller kms:Sign", None),
        ("NotFoundException", "set signing_key_id to a key of this account and Region", None),
        ("DisabledException", "enable the key", None),
        ("KMSInvalidStateException", "enable the key that signing_key_id names, or cancel", None),
        (
            "InvalidKeyUsageException",
            "the usage SIGN_VERIFY, and signing_algorithm to one of its algorithms",
            None,
        ),
        (
            "ValidationException",
            "the usage SIGN_VERIFY, and signing_algorithm to one of its algorithms",
            None,
        ),
        ("ThrottlingException", "request rate", Retry.NEXT_RUN),
        ("KMSInternalException", "AWS Health Dashboard", Retry.NEXT_RUN),
        ("DependencyTimeoutException", "AWS Health Dashboard", Retry.NEXT_RUN),
        ("KeyUnavailableException", "AWS Health Dashboard", Retry.NEXT_RUN),
    ],
)
def test_error_of_kms_has_its_code_and_next_step(
    stub: Stubber, signer: Signer, code: str, advice: str, retry: Retry | None
) -> None:
    stub.add_client_error("sign", code, f"canary {MESSAGE.decode()}")
    error = refused(signer)
    assert error.problem.endswith(f": {code}")
    assert advice in error.advice
    assert error.retry is retry
    assert "canary" not in reported(error)


@pytest.mark.parametrize("kind", [ConnectTimeoutError, ReadTimeoutError])
def test_kms_that_does_not_answer_is_unreachable(
    signer: Signer, fail_with: Callable[[BotoCoreError], None], kind: type[BotoCoreError]
) -> None:
    fail_with(kind(endpoint_url="https://kms.test"))
    error = refused(signer)
    assert error.problem.endswith(": Unreachable")
    assert error.retry is Retry.NEXT_RUN


def test_kms_that_does_not_answer_cannot_hold_the_run() -> None:
    config: Any = aws_client.TWO_ATTEMPTS
    longest_wait = 1
    longest = config.retries["total_max_attempts"] * (config.connect_timeout + config.read_timeout)
    assert longest + longest_wait <= WRITE_RESERVE_SECONDS + SHORTEST_ATTEMPT_SECONDS


def test_client_is_made_when_it_first_signs(client: BaseClient, stub: Stubber) -> None:
    made: list[object] = []

    def make() -> BaseClient:
        made.append(client)
        return client

    signer = partial(kms.sign, make)
    assert made == []
    stub.add_response("sign", {"Signature": b"x"})
    sign(signer, SigningAlgorithm.RS256)
    assert made == [client]
