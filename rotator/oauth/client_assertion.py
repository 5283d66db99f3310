"""The JWT by which a client authenticates (RFC 7523, 2.2 and 3; OpenID Connect Core, 9), without I/O.

Each request and each retry carries its own assertion: an endpoint may have recorded the ``jti`` of a request
that it did not answer, and would refuse a second use of that assertion as a replay.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rotator.oauth.models import Client, ClientAuthentication, ClientCredentials, Secret, SigningAlgorithm

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_PARAMS = frozenset({"client_assertion", "client_assertion_type"})

SKEW_SECONDS = 60
"""The tolerated difference between the clocks of this machine and of the endpoint, in either direction."""

LIFETIME_SECONDS = 300
"""From ``iat`` to ``exp``: the longest lifetime that all providers accept.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html#authenticating-to-the-token-endpoint
"""

ALGORITHMS = {
    ClientAuthentication.PRIVATE_KEY_JWT: tuple(a for a in SigningAlgorithm if not a.is_symmetric),
    ClientAuthentication.CLIENT_SECRET_JWT: tuple(a for a in SigningAlgorithm if a.is_symmetric),
}
"""The algorithms of each authentication method; the first is the default."""

_THUMBPRINT = re.compile(r"(x5t|x5t#S256)=(.+)")


class Signer(Protocol):
    """A service that signs with private keys and never returns them."""

    def sign(self, message: bytes, *, signing_key_id: str, algorithm: SigningAlgorithm) -> bytes:
        """Return the signature of a message in the encoding of JWS (RFC 7518, 3).

        Raises CredentialsError if the key is missing, denied, disabled or does not fit the algorithm.
        """


@dataclass(frozen=True, kw_only=True)
class ClientAssertion:
    """The content of a client assertion, and its key: the client secret if there is no ``signing_key_id``."""

    client_id: str
    audience: str
    algorithm: SigningAlgorithm
    key_id: str | None
    signing_key_id: str | None
    client_secret: Secret

    def parameters(self, signer: Signer, now: datetime) -> dict[str, Secret]:
        """Return the parameters with which a token request authenticates the client.

        Raises CredentialsError if the assertion cannot be signed.
        """
        message = b".".join(_base64url(_json(part)) for part in (self._header(), self._claims(now)))
        signed = message + b"." + _base64url(self._signature(message, signer))
        return {
            "client_assertion_type": Secret(ASSERTION_TYPE),
            "client_assertion": Secret(signed.decode("ascii")),
        }

    def _signature(self, message: bytes, signer: Signer) -> bytes:
        if self.signing_key_id:
            return signer.sign(message, signing_key_id=self.signing_key_id, algorithm=self.algorithm)
        return hmac.digest(self.client_secret.value.encode(), message, f"sha{self.algorithm.bits}")

    def _header(self) -> dict[str, object]:
        header: dict[str, object] = {"alg": self.algorithm.value, "typ": "JWT"}
        if self.key_id:
            thumbprint = _THUMBPRINT.fullmatch(self.key_id)
            name, value = thumbprint.groups() if thumbprint else ("kid", self.key_id)
            header[name] = value
        return header

    def _claims(self, now: datetime) -> dict[str, object]:
        issued_at = (
            int(now.timestamp()) - SKEW_SECONDS
        )  # an endpoint whose clock is behind refuses an iat in the future
        return {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.audience,
            "jti": os.urandom(16).hex(),
            "iat": issued_at,
            "exp": issued_at + LIFETIME_SECONDS,
        }


def client_assertion(client: Client, credentials: ClientCredentials) -> ClientAssertion | None:
    """Return the client's assertion, or None if the client authenticates in another way."""
    algorithm = signing_algorithm(client)
    if algorithm is None:
        return None
    return ClientAssertion(
        client_id=credentials.client_id,
        audience=client.assertion_audience or client.token_endpoint,
        algorithm=algorithm,
        key_id=client.key_id,
        signing_key_id=client.signing_key_id,
        client_secret=credentials.client_secret,
    )


def signing_algorithm(client: Client) -> SigningAlgorithm | None:
    """Return the algorithm that signs the client's assertions, or None if the client uses none."""
    algorithms = ALGORITHMS.get(client.client_authentication)
    return (client.signing_algorithm or algorithms[0]) if algorithms else None


def _json(part: dict[str, object]) -> bytes:
    return json.dumps(part, separators=(",", ":")).encode()


def _base64url(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")
