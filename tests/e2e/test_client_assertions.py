"""oidc-provider as the token endpoint, and a key in moto's KMS: clients with a secret, and with a JWT."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_der_public_key
from joserfc.jwk import ECKey, RSAKey

import node_packages
from conftest import CHECKOUT
from provider_guide import ROWS
from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.deployment import Account
from rotator.devstack.http_server import free_port

PROGRAM = Path(__file__).with_name("oidc_provider.mjs")
CLIENT_ID = "https://client.example.test/a b"
CLIENT_SECRET = "canary-secret-of-at-least-32-bytes +/=:%"
PARAMETER = "/asserted/token"
LATEST_EXPIRY_SECONDS = 300


class Provider:
    """oidc-provider with one client; ``request`` gives the token requests that it logs."""

    def __init__(self, folder: Path, client: Mapping[str, Any]) -> None:
        (folder / "node_modules").symlink_to(node_packages.node_modules())
        program = folder / PROGRAM.name
        program.write_text(PROGRAM.read_text())
        self._process = subprocess.Popen(
            [str(node_packages.NODE), str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdin
        self._process.stdin.write(json.dumps([client]) + "\n")
        self._process.stdin.flush()
        self.issuer = self._line()
        assert self.issuer, "it did not start"

    def request(self) -> dict[str, Any]:
        """The next token request that it was sent."""
        reported: dict[str, Any] = json.loads(self._line())
        return reported

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def stop(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(timeout=20)
        self._process.stdout.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Provider]]:
    """Start a provider that knows this client."""
    with ExitStack() as stack:

        def started(**client: Any) -> Provider:
            provider = Provider(tmp_path, {"client_id": CLIENT_ID, **client})
            stack.callback(provider.stop)
            return provider

        yield started


@pytest.fixture
def salted_as_by_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """KMS salts PSS with as many bytes as the digest has, and moto's KMS with as many as fit.

    https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html
    """
    monkeypatch.setattr(padding.PSS, "MAX_LENGTH", padding.PSS.DIGEST_LENGTH)


def create_key(moto: Account, spec: str, usage: str = "SIGN_VERIFY") -> tuple[str, dict[str, Any]]:
    """Create a key in KMS; return its ARN, and its public part as a JWK."""
    kms = moto.client("kms")
    arn = str(kms.create_key(KeyUsage=usage, KeySpec=spec)["KeyMetadata"]["Arn"])
    if usage != "SIGN_VERIFY":
        return arn, {}
    public: Any = load_der_public_key(kms.get_public_key(KeyId=arn)["PublicKey"])
    kind = RSAKey if spec.startswith("RSA") else ECKey
    return arn, {**kind(public, public).as_dict(private=False), "kid": "key-1", "use": "sig"}


def rotate(
    moto: Account, environment: Mapping[str, str], issuer: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    return rotator(
        "rotate", "--force", "--json", moto=moto, environment=environment, issuer=issuer, **settings
    )


def rotator(
    *arguments: str, moto: Account, environment: Mapping[str, str], issuer: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["rotator", *arguments],
        env={
            **environment,
            **client_environment(moto.endpoint),
            "ROTATOR_SECRET_ID": "asserted",
            "ROTATOR_PARAMETER_NAME": PARAMETER,
            "ROTATOR_SCOPE": "",
            "ROTATOR_TOKEN_ENDPOINT": f"{issuer}/token",
            **{f"ROTATOR_{name.upper()}": value for name, value in settings.items()},
        },
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def store(moto: Account, **secret: str) -> None:
    moto.client("secretsmanager").create_secret(Name="asserted", SecretString=json.dumps(secret))


def outcome(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    [result] = json.loads(done.stdout)["rotations"]
    return dict(result)


def rotate_twice(
    moto: Account, environment: Mapping[str, str], provider: Provider, **settings: str
) -> list[dict[str, Any]]:
    """Rotate twice, each time to a new token; return the provider's log of the two requests."""
    requests = []
    for version in (1, 2):
        done = rotate(moto, environment, provider.issuer, **settings)
        requests.append(provider.request())
        assert outcome(done)["outcome"] == "rotated", (done.stdout, done.stderr, requests)
        assert outcome(done)["parameter_version"] == version
    return requests


def check(requests: list[dict[str, Any]], audience: str) -> None:
    """Check the claims of two assertions."""
    claims = [request["claims"] for request in requests]
    assert len({each["jti"] for each in claims}) == 2
    for each in claims:
        assert (each["iss"], each["sub"], each["aud"]) == (CLIENT_ID, CLIENT_ID, audience)
        assert each["iat"] < time.time() < each["exp"] <= time.time() + LATEST_EXPIRY_SECONDS


@pytest.mark.usefixtures("salted_as_by_aws")
@pytest.mark.parametrize(
    ("algorithm", "spec"),
    [
        ("RS256", "RSA_2048"),
        ("RS384", "RSA_2048"),
        ("PS256", "RSA_2048"),
        ("ES256", "ECC_NIST_P256"),
        ("ES384", "ECC_NIST_P384"),
        ("ES512", "ECC_NIST_P521"),
    ],
)
def test_private_key_jwt_with_key_in_kms_is_accepted(
    algorithm: str,
    spec: str,
    start: Callable[..., Provider],
    moto: Account,
    clean_environment: Mapping[str, str],
) -> None:
    arn, jwk = create_key(moto, spec)
    provider = start(
        token_endpoint_auth_method="private_key_jwt",
        token_endpoint_auth_signing_alg=algorithm,
        jwks={"keys": [jwk]},
    )
    store(moto, client_id=CLIENT_ID)
    requests = rotate_twice(
        moto,
        clean_environment,
        provider,
        client_authentication="private_key_jwt",
        signing_key_id=arn,
        signing_algorithm=algorithm,
        key_id="key-1",
    )
    assert {json.dumps(each["header"]) for each in requests} == {
        json.dumps({"alg": algorithm, "typ": "JWT", "kid": "key-1"})
    }
    check(requests, f"{provider.issuer}/token")


@pytest.mark.parametrize(
    "row", ["RFC 6749, Basic", "RFC 6749, form", "OpenID Connect, secret", "OpenID Connect, key"]
)
def test_settings_of_the_guide_are_accepted_by_oidc_provider(
    row: str, start: Callable[..., Provider], moto: Account, clean_environment: Mapping[str, str]
) -> None:
    method = ROWS[row].settings.get("client_authentication", "client_secret_basic")
    if method == "private_key_jwt":
        arn, jwk = create_key(moto, "ECC_NIST_P256")
        client, secret = {"jwks": {"keys": [jwk]}, "token_endpoint_auth_signing_alg": "ES256"}, {}
    else:
        arn, secret = "", {"client_secret": CLIENT_SECRET}
        client = dict(secret)
    provider = start(token_endpoint_auth_method=method, **client)
    store(moto, client_id=CLIENT_ID, **secret)
    values = {"https://HOST": provider.issuer, "alias/KEY": arn, "KEY_ID": "key-1", "SCOPE": ""}
    rotate_twice(moto, clean_environment, provider, **ROWS[row].with_values(values))


def test_client_secret_jwt_with_issuer_as_audience_is_accepted(
    start: Callable[..., Provider], moto: Account, clean_environment: Mapping[str, str]
) -> None:
    provider = start(token_endpoint_auth_method="client_secret_jwt", client_secret=CLIENT_SECRET)
    store(moto, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
    settings = {"client_authentication": "client_secret_jwt", "assertion_audience": provider.issuer}
    requests = rotate_twice(moto, clean_environment, provider, **settings)
    assert [each["header"] for each in requests] == [{"alg": "HS256", "typ": "JWT"}] * 2
    check(requests, provider.issuer)


def test_unregistered_key_is_refused_with_advice_about_the_key(
    start: Callable[..., Provider], moto: Account, clean_environment: Mapping[str, str]
) -> None:
    arn, _ = create_key(moto, "ECC_NIST_P256")
    _, other = create_key(moto, "ECC_NIST_P256")
    provider = start(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [other]})
    store(moto, client_id=CLIENT_ID)
    done = rotate(
        moto,
        clean_environment,
        provider.issuer,
        client_authentication="private_key_jwt",
        signing_key_id=arn,
        signing_algorithm="ES256",
    )
    assert done.returncode == 1
    assert "invalid_client" in outcome(done)["error"]
    assert "the public key of signing_key_id" in outcome(done)["error"]


@pytest.mark.parametrize(
    ("spec", "usage", "code"),
    [
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "ValidationException"),
        ("RSA_2048", "SIGN_VERIFY", "ValidationException"),
        ("", "", "NotFoundException"),
    ],
    ids=["for encryption", "another algorithm's", "missing"],
)
def test_key_that_cannot_sign_fails_with_next_step(
    spec: str, usage: str, code: str, moto: Account, clean_environment: Mapping[str, str]
) -> None:
    arn = create_key(moto, spec, usage)[0] if spec else "arn:aws:kms:us-east-1:123456789012:key/none"
    store(moto, client_id=CLIENT_ID)
    done = rotate(
        moto,
        clean_environment,
        f"http://127.0.0.1:{free_port()}",
        client_authentication="private_key_jwt",
        signing_key_id=arn,
        signing_algorithm="ES256",
    )
    assert done.returncode == 1
    assert f"could not be signed as ES256 with the key {arn}: {code}" in outcome(done)["error"]
    assert "; set signing_key_id to a key" in outcome(done)["error"]


def test_doctor_checks_the_key_and_that_the_client_is_accepted(
    start: Callable[..., Provider], moto: Account, clean_environment: Mapping[str, str]
) -> None:
    arn, jwk = create_key(moto, "ECC_NIST_P256")
    provider = start(
        token_endpoint_auth_method="private_key_jwt",
        token_endpoint_auth_signing_alg="ES256",
        jwks={"keys": [jwk]},
    )
    store(moto, client_id=CLIENT_ID)
    settings = {"client_authentication": "private_key_jwt", "signing_key_id": arn}
    found = []
    for algorithm in ("ES256", "ES384"):
        done = rotator(
            *("doctor", "--json"),
            moto=moto,
            environment=clean_environment,
            issuer=provider.issuer,
            signing_algorithm=algorithm,
            **settings,
        )
        checks = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
        found.append([checks[name]["state"] for name in ("secret", "signing key", "credentials")])
    assert found == [["ok", "ok", "ok"], ["ok", "failed", "skipped"]]
    assert checks["signing key"]["next_step"].startswith("set signing_algorithm to ES256")
