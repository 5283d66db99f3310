"""The values of the client credentials grant: frozen, typed, without I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

MAX_LIFETIME_SECONDS = 366 * 24 * 3600
"""The longest plausible lifetime in seconds; a number of milliseconds exceeds it."""


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that must never be shown. Only ``value`` returns it."""

    value: str

    def __repr__(self) -> str:
        """Return the same text for every secret."""
        return "Secret(***)"

    @property
    def fingerprint(self) -> str:
        """The first 16 hex digits of the SHA-256, which distinguish two secrets and reveal neither."""
        return hashlib.sha256(self.value.encode()).hexdigest()[:16]


UNUSABLE_TOKEN_TYPES = MappingProxyType({"dpop": "DPoP", "pop": "PoP", "mac": "mac", "n_a": "N_A"})
"""Token types that are never sent after ``Bearer``: their registered names, by plain name.

https://www.iana.org/assignments/oauth-parameters/oauth-parameters.xhtml#token-types
"""


def plain_token_type(text: str) -> str:
    """Return a token type without spaces and in lower case: its case is insignificant (RFC 6749, 5.1)."""
    return "".join(text.split()).casefold()


class ClientAuthentication(StrEnum):
    """How the client authenticates to the token endpoint (RFC 7591, 2; OpenID Connect Core, 9)."""

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
        """Whether the client secret is the key."""
        return self.family == "HS"


class BasicEncoding(StrEnum):
    """How Basic encodes the credentials: as in the Healthwise samples, or as RFC 6749, 2.3.1 defines."""

    RAW = "raw"
    FORM = "form"


class TokenRequestFormat(StrEnum):
    """The body of the token request: a form, as RFC 6749 defines, or a JSON object."""

    FORM = "form"
    JSON = "json"


class Stage(StrEnum):
    """The staging label that selects a version of a secret.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html#term_version
    """

    CURRENT = "AWSCURRENT"
    PENDING = "AWSPENDING"
    PREVIOUS = "AWSPREVIOUS"


@dataclass(frozen=True, kw_only=True)
class ClientCredentials:
    """The client credentials in one version of a secret (RFC 6749, 2.3.1).

    ``members`` are the values that ``secret_headers`` and ``secret_params`` name, by their paths.
    """

    client_id: str
    client_secret: Secret  # empty if the client authenticates with a private key
    version_id: str
    stage: Stage = Stage.CURRENT
    members: Mapping[str, Secret] = field(default_factory=dict)
    spaced_members: tuple[str, ...] = ()  # whose value begins or ends with a space


@dataclass(frozen=True, kw_only=True)
class AccessToken:
    """A token that passed every check. Its lifetime counts from before the request was sent."""

    value: Secret
    issued_at: datetime
    expires_at: datetime
    scope: str
    warnings: tuple[str, ...] = ()  # which name the implausible members of its answer

    @property
    def lifetime(self) -> float:
        """The whole lifetime in seconds."""
        return (self.expires_at - self.issued_at).total_seconds()


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Client:
    """The settings of a client that the protocol needs. Only its subclass Rotation is created.

    ``token_request_params`` are additional parameters; one with several values is repeated. ``secret_params``
    and ``secret_headers`` have members of the secret as values; the headers are also those of the probe.
    """

    token_endpoint: str
    scope: str  # the requested scope (RFC 6749, 3.3); empty to request none
    grant_type: str = "client_credentials"  # in a provider's own name if that differs from RFC 6749
    token_request_format: TokenRequestFormat = TokenRequestFormat.FORM
    token_request_params: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict, repr=False)
    token_request_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    client_authentication: ClientAuthentication = ClientAuthentication.BASIC
    client_id_in_body: bool = False  # whether ``client_id`` is a parameter even with Basic
    basic_encoding: BasicEncoding = BasicEncoding.RAW
    secret_params: Mapping[str, str] = field(default_factory=dict)
    secret_headers: Mapping[str, str] = field(default_factory=dict)
    response_members: Mapping[str, str] = field(default_factory=dict)  # paths other than in RFC 6749, 5.1
    accepted_token_types: tuple[str, ...] = ()  # as Bearer
    lifetime: int | None = None  # of tokens in seconds, which replaces the lifetime in the answer
    fallback_lifetime: int | None = None  # in seconds, of a token whose answer states none
    signing_key_id: str | None = None  # the KMS key that signs the client's assertions
    signing_algorithm: SigningAlgorithm | None = None  # None for the default of the authentication method
    key_id: str | None = None  # ``kid`` of assertions (RFC 7515, 4.1.4); x5t= or x5t#S256= and a thumbprint
    assertion_audience: str | None = None  # ``aud`` of assertions (RFC 7523, 3); None for the token endpoint
    ca_parameter_name: str | None = None  # with additional certificates, trusted for the token endpoint
