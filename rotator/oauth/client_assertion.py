"""The JWT by which a client authenticates (RFC 7523, 2.2 and 3; OpenID Connect Core, 9), without I/O.

Each request and each retry carries its own assertion: an endpoint may have recorded the ``jti`` of a request
that it did not answer, and would refuse a second use of that assertion as a replay.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
from collections.abc import Callable
from datetime import datetime

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

_THUMBPRINTS = frozenset({"x5t", "x5t#S256"})

Signer = Callable[[bytes, str, SigningAlgorithm], bytes]
"""Returns the signature of a message by the private key of this id, in the encoding of JWS (RFC 7518, 3).

Raises CredentialsError if the key is missing, denied, disabled or does not fit the algorithm.
"""


def parameters(
    client: Client, credentials: ClientCredentials, algorithm: SigningAlgorithm, signer: Signer, now: datetime
) -> dict[str, Secret]:
    """Return the parameters with which a token request authenticates the client.

    Raises CredentialsError if the assertion cannot be signed.
    """
    header: dict[str, object] = {"alg": algorithm.value, "typ": "JWT"}
    if client.key_id:
        name, _, thumbprint = client.key_id.partition("=")
        header |= {name: thumbprint} if thumbprint and name in _THUMBPRINTS else {"kid": client.key_id}
    issued_at = int(now.timestamp()) - SKEW_SECONDS  # an endpoint whose clock is behind refuses the future
    claims = {
        "iss": credentials.client_id,
        "sub": credentials.client_id,
        "aud": client.assertion_audience or client.token_endpoint,
        "jti": os.urandom(16).hex(),
        "iat": issued_at,
        "exp": issued_at + LIFETIME_SECONDS,
    }
    message = b".".join(
        _base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)
    )
    if client.signing_key_id:
        signature = signer(message, client.signing_key_id, algorithm)
    else:
        signature = hmac.digest(credentials.client_secret.value.encode(), message, f"sha{algorithm.bits}")
    return {
        "client_assertion_type": Secret(ASSERTION_TYPE),
        "client_assertion": Secret(b".".join((message, _base64url(signature))).decode("ascii")),
    }


def signing_algorithm(client: Client) -> SigningAlgorithm | None:
    """Return the algorithm that signs the client's assertions, or None if the client uses none."""
    algorithms = ALGORITHMS.get(client.client_authentication)
    return (client.signing_algorithm or algorithms[0]) if algorithms else None


def _base64url(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")
