"""The job on the real adapters, with a provider on loopback, and a secret and a key in memory."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from joserfc.jwk import ECKey, RSAKey

import provider_guide
from documented_providers import DOCUMENTED
from fake_ports import FakeParameterStore
from provider_server import Client, Server, running
from rotator import bootstrap
from rotator.adapters.runtime import kms
from rotator.adapters.runtime.secrets_manager import SecretsManager
from rotator.adapters.runtime.token_endpoint import HttpTokenEndpoint
from rotator.bootstrap import Rotator, utc_now
from rotator.config.environment import read_environment
from rotator.renewal.models import HEALTHWISE_TOKEN_ENDPOINT, Summary

CLIENT_ID = "client"
RIGHT, WRONG = "canary-secret +/=:%é", "canary-wrong +/=:%é"
GATEWAY_KEY = "canary-gateway-key"
THUMBPRINT = base64.urlsafe_b64encode(hashlib.sha256(b"a certificate").digest()).rstrip(b"=").decode()

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES = {"256": ec.SECP256R1(), "384": ec.SECP384R1(), "512": ec.SECP521R1()}


@cache
def private_key(algorithm: str, owner: str) -> PrivateKey:
    """The private key of an owner for an algorithm."""
    if algorithm.startswith("ES"):
        return ec.generate_private_key(CURVES[algorithm[2:]])
    return rsa.generate_private_key(65537, 2048)


def public_jwk(key: PrivateKey) -> Any:
    """The public part of a key, as a provider keeps it."""
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return (RSAKey if isinstance(key, rsa.RSAPrivateKey) else ECKey).import_key(pem)


@dataclass(frozen=True)
class Kms:
    """KMS with one key, which signs as AWS documents it.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html
    """

    key: PrivateKey

    def sign(self, *, KeyId: str, Message: bytes, MessageType: str, SigningAlgorithm: str) -> dict[str, Any]:  # noqa: N803
        """Sign: ECDSA as DER, PSS with a salt as long as the digest."""
        assert (KeyId, MessageType) == ("alias/CLIENT", "RAW")
        digest = HASHES[SigningAlgorithm[-3:]]
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return {"Signature": self.key.sign(Message, ec.ECDSA(digest))}
        pss = padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
        scheme = pss if "PSS" in SigningAlgorithm else padding.PKCS1v15()
        return {"Signature": self.key.sign(Message, scheme, digest)}


@dataclass(frozen=True)
class Secrets:
    """Secrets Manager with one secret: what its versions hold, by their labels."""

    versions: Mapping[str, Mapping[str, str]]

    def get_secret_value(self, *, SecretId: str, VersionStage: str = "AWSCURRENT") -> dict[str, str]:  # noqa: N803
        """Return a version's value; the id is its label."""
        if VersionStage not in self.versions:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetSecretValue")
        return {"SecretString": json.dumps(self.versions[VersionStage]), "VersionId": VersionStage}


@dataclass
class World:
    """A rotation at a provider, and what is stored for it. ``key`` is the private one that KMS has."""

    provider: str
    server: Server
    environment: Mapping[str, str]
    key: PrivateKey | None
    parameters: FakeParameterStore = field(default_factory=FakeParameterStore)
    secrets: Any = None
    token_endpoint: Any = None

    def run(self, **versions: Mapping[str, str]) -> Summary:
        """Run the job once with a secret of these versions."""
        self.secrets = SecretsManager(Secrets(versions))  # type: ignore[arg-type]
        signer = partial(kms.sign, partial(Kms, self.key)) if self.key else None
        self.token_endpoint = HttpTokenEndpoint(bootstrap.make_transport(), now=utc_now, signer=signer)
        rotator = Rotator(settings=read_environment(self.environment), ports=self)
        return rotator.run(bootstrap.begin_run("test"))


def secret(provider: str, client_secret: str = RIGHT, gateway_key: str = GATEWAY_KEY) -> dict[str, str]:
    """What the secret of a client of this provider holds."""
    documented = DOCUMENTED[provider]
    more = {"subscription_key": gateway_key} if documented.gateway_header else {}
    by_secret = {} if documented.algorithm else {"client_secret": client_secret}
    return {"client_id": CLIENT_ID, **by_secret, **more}


@contextmanager
def world(provider: str, *, signed_by: str = "client") -> Iterator[World]:
    """Run a provider, and set a rotation up as its row of the guide says."""
    documented, row = DOCUMENTED[provider], provider_guide.ROWS[provider]
    key = private_key(documented.algorithm, signed_by) if documented.algorithm else None
    settings = row.with_values({"KEY": "CLIENT", "KEY_ID": "key-1", "THUMBPRINT": THUMBPRINT})
    address = urlsplit(settings.get("token_endpoint", HEALTHWISE_TOKEN_ENDPOINT))
    client = Client(
        client_id=CLIENT_ID,
        client_secret=RIGHT,
        key=public_jwk(private_key(documented.algorithm, "client")) if documented.algorithm else None,
        key_name={"kid": "key-1", "x5t#S256": THUMBPRINT}[documented.key_name],
        gateway_key=GATEWAY_KEY,
    )
    server = Server(documented, client, address.path)
    with running(server) as token_endpoint:
        found = environment({**settings, "token_endpoint": token_endpoint}, row.lifetime)
        yield World(provider, server, found, key)


def environment(settings: Mapping[str, str], lifetime: str) -> dict[str, str]:
    """The environment of a function with these settings; the guide says what short tokens need."""
    short = {"schedule_interval": "1m", "consumer_cache": "0"} if lifetime.endswith("m") else {}
    given = {"secret_id": "client", "parameter_name": "/client/token", "token_lifetime": lifetime}
    return {f"ROTATOR_{key.upper()}": text for key, text in {**given, **short, **settings}.items()}
