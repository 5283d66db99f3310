"""The values of the client credentials grant: frozen, typed, without I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
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


class ClientAuthentication(StrEnum):
    """How the client proves itself to the token endpoint (RFC 7591, 2)."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"


class BasicEncoding(StrEnum):
    """The dialect of Basic: as the Healthwise samples send it, or as RFC 6749, 2.3.1 says."""

    RAW = "raw"
    FORM = "form"


class Stage(StrEnum):
    """The staging label of a version of a secret: whose credentials are used.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html#term_version
    """

    CURRENT = "AWSCURRENT"
    PENDING = "AWSPENDING"
    PREVIOUS = "AWSPREVIOUS"


@dataclass(frozen=True, kw_only=True)
class ClientCredentials:
    """What the secret holds (RFC 6749, 2.3.1), and which version of the secret it was."""

    client_id: str
    client_secret: Secret
    version_id: str
    stage: Stage = Stage.CURRENT


@dataclass(frozen=True, kw_only=True)
class AccessToken:
    """A token that passed every check. Its lifetime counts from before the request was sent."""

    value: Secret
    issued_at: datetime
    expires_at: datetime
    scope: str

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
    def token_request_params(self) -> Mapping[str, str]:
        """More parameters of the token request."""

    @property
    def client_authentication(self) -> ClientAuthentication:
        """How the client authenticates."""

    @property
    def basic_encoding(self) -> BasicEncoding:
        """The dialect of Basic."""

    @property
    def fallback_lifetime(self) -> int | None:
        """The lifetime in seconds of a token whose answer gives none."""
