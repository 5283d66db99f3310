"""The values of the client credentials grant: frozen, typed, without I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

MAX_LIFETIME_SECONDS = 366 * 24 * 3600
"""The longest life in seconds that is believed; milliseconds given as seconds are not."""


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that must never be shown. Only ``value`` reveals it."""

    value: str

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "Secret(***)"

    @property
    def fingerprint(self) -> str:
        """The first 16 hex digits of its SHA-256: enough to distinguish two, useless to forge one."""
        return hashlib.sha256(self.value.encode()).hexdigest()[:16]


UNUSABLE_TOKEN_TYPES: Mapping[str, str] = MappingProxyType(
    {"dpop": "DPoP", "pop": "PoP", "mac": "mac", "n_a": "N_A"}
)
"""Token types that are never sent after ``Bearer``: by their plain names, as they are registered.

https://www.iana.org/assignments/oauth-parameters/oauth-parameters.xhtml#token-types
"""


def plain_token_type(text: str) -> str:
    """Return a token type without what does not matter in it: case (RFC 6749, 5.1) and spaces."""
    return "".join(text.split()).casefold()


class ClientAuthentication(StrEnum):
    """How the client proves itself to the token endpoint (RFC 7591, 2; OpenID Connect Core, 9)."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    PRIVATE_KEY_JWT = "private_key_jwt"
    CLIENT_SECRET_JWT = "client_secret_jwt"  # noqa: S105 - a method's name


class SigningAlgorithm(StrEnum):
    """How a client assertion is signed (RFC 7518, 3.1)."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    HS256 = "HS256"
    HS384 = "HS384"
    HS512 = "HS512"

    @property
    def family(self) -> str:
        """``RS``, ``PS``, ``ES`` or ``HS``."""
        return self.value[:2]

    @property
    def bits(self) -> int:
        """The length of the SHA-2 digest that is signed."""
        return int(self.value[2:])

    @property
    def is_symmetric(self) -> bool:
        """Whether the client secret signs."""
        return self.family == "HS"


class BasicEncoding(StrEnum):
    """The dialect of Basic: as the Healthwise samples send it, or as RFC 6749, 2.3.1 says."""

    RAW = "raw"
    FORM = "form"


class TokenRequestFormat(StrEnum):
    """How the parameters of the token request are written: as RFC 6749 says, or as a JSON object."""

    FORM = "form"
    JSON = "json"


class Stage(StrEnum):
    """The staging label of a version of a secret: whose credentials are used.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html#term_version
    """

    CURRENT = "AWSCURRENT"
    PENDING = "AWSPENDING"
    PREVIOUS = "AWSPREVIOUS"


@dataclass(frozen=True, kw_only=True)
class ClientCredentials:
    """What the secret holds (RFC 6749, 2.3.1), and which version of the secret it was.

    ``members`` has what ``secret_headers`` and ``secret_params`` name, by their places in the secret.
    ``spaced_members`` names the members whose value begins or ends with a space.
    ``client_secret`` is empty if the client authenticates with a private key.
    """

    client_id: str
    client_secret: Secret
    version_id: str
    stage: Stage = Stage.CURRENT
    members: Mapping[str, Secret] = field(default_factory=dict)
    spaced_members: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AccessToken:
    """A token that passed every check. Its lifetime counts from before the request was sent.

    ``warnings`` name what was implausible in its answer.
    """

    value: Secret
    issued_at: datetime
    expires_at: datetime
    scope: str
    warnings: tuple[str, ...] = ()

    @property
    def lifetime(self) -> float:
        """The whole lifetime in seconds."""
        return (self.expires_at - self.issued_at).total_seconds()


class Client(Protocol):
    """The settings of a client, as far as the protocol needs them."""

    @property
    def token_endpoint(self) -> str:
        """The URL of the token endpoint (RFC 6749, 3.2)."""

    @property
    def scope(self) -> str:
        """The scope to ask for (RFC 6749, 3.3); empty for none."""

    @property
    def grant_type(self) -> str:
        """The grant to ask for; ``client_credentials``, or what a provider calls it."""

    @property
    def token_request_format(self) -> TokenRequestFormat:
        """How the parameters are written."""

    @property
    def token_request_params(self) -> Mapping[str, str | tuple[str, ...]]:
        """More parameters of the token request; several values repeat one."""

    @property
    def token_request_headers(self) -> Mapping[str, str]:
        """More headers of the token request."""

    @property
    def secret_params(self) -> Mapping[str, str]:
        """Parameters of the token request whose values are members of the secret."""

    @property
    def secret_headers(self) -> Mapping[str, str]:
        """Headers of the token request and the probe whose values are members of the secret."""

    @property
    def client_id_in_body(self) -> bool:
        """Whether ``client_id`` is a parameter beside Basic, too."""

    @property
    def client_authentication(self) -> ClientAuthentication:
        """How the client authenticates."""

    @property
    def basic_encoding(self) -> BasicEncoding:
        """The dialect of Basic."""

    @property
    def response_members(self) -> Mapping[str, str]:
        """Where members of the answer are, if not under their own names."""

    @property
    def accepted_token_types(self) -> tuple[str, ...]:
        """Token types that are taken for Bearer."""

    @property
    def lifetime(self) -> int | None:
        """The lifetime in seconds of a token, whatever its answer gives."""

    @property
    def fallback_lifetime(self) -> int | None:
        """The lifetime in seconds of a token whose answer gives none."""

    @property
    def signing_key_id(self) -> str | None:
        """The KMS key that signs the client's assertions."""

    @property
    def signing_algorithm(self) -> SigningAlgorithm | None:
        """How assertions are signed, if not by the method's default."""

    @property
    def key_id(self) -> str | None:
        """The ``kid`` of assertions (RFC 7515, 4.1.4), or ``x5t=`` or ``x5t#S256=`` and a thumbprint."""

    @property
    def assertion_audience(self) -> str | None:
        """The ``aud`` of assertions (RFC 7523, 3), if not the token endpoint."""

    @property
    def ca_parameter_name(self) -> str | None:
        """The parameter with certificates that are trusted for the token endpoint, too."""
