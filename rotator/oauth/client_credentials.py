"""The access token request of the client credentials grant, built without I/O.

Section numbers refer to RFC 6749 unless another document is named.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote_plus, urlencode

from rotator.oauth.models import (
    BasicEncoding,
    Client,
    ClientAuthentication,
    ClientCredentials,
    Secret,
    TokenRequestFormat,
)

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")  # 3.3


@dataclass(frozen=True, kw_only=True)
class TokenRequest:
    """A POST to the client's token endpoint. Its ``repr`` never shows the client's credentials."""

    client: Client
    credentials: ClientCredentials = field(repr=False)
    body: Secret  # without the assertion that is signed for each attempt
    headers: Mapping[str, Secret]

    @property
    def ambiguous_basic(self) -> bool:
        """Whether the encodings of Basic differ, so that the wrong one may be why the client is refused."""
        is_basic = self.client.client_authentication is ClientAuthentication.BASIC
        return is_basic and len({_basic(self.credentials, each) for each in BasicEncoding}) > 1

    def body_with(self, parameters: Mapping[str, Secret]) -> Secret:
        """Return the body with more parameters."""
        more = {name: secret.value for name, secret in parameters.items()}
        if self.client.token_request_format is TokenRequestFormat.JSON:
            return Secret(json.dumps({**json.loads(self.body.value), **more}))
        return Secret(f"{self.body.value}&{urlencode(more)}")


@dataclass(frozen=True, kw_only=True, repr=False)
class TokenResponse:
    """The endpoint's answer."""

    status: int
    body: bytes
    requested_at: datetime  # when the answered request was sent
    retry_after: str | None = None
    date: str | None = None  # the header with the endpoint's own time (RFC 9110, 6.6.1)
    unanswered_before: bool = False  # whether an earlier request of the run was sent and never answered


def is_scope(text: str) -> bool:
    """Whether a text is a legal scope (3.3)."""
    return _SCOPE.fullmatch(text) is not None


def token_request(client: Client, credentials: ClientCredentials) -> TokenRequest:
    """Build the access token request of the client credentials grant (4.4.2)."""
    parameters = _parameters(client, credentials)
    is_json = client.token_request_format is TokenRequestFormat.JSON
    content_type = "application/json" if is_json else "application/x-www-form-urlencoded"
    headers = {"Content-Type": content_type, **client.token_request_headers}
    sent = {**{name: Secret(value) for name, value in headers.items()}, **secret_headers(client, credentials)}
    if client.client_authentication is ClientAuthentication.BASIC:
        sent["Authorization"] = _basic(credentials, client.basic_encoding)
    return TokenRequest(
        client=client,
        credentials=credentials,
        body=Secret(json.dumps(parameters) if is_json else urlencode(parameters, doseq=True, safe="*")),
        headers=sent,
    )


def secret_headers(client: Client, credentials: ClientCredentials) -> Mapping[str, Secret]:
    """Return the headers whose values come from the secret, without surrounding spaces (RFC 9110, 5.5)."""
    return {
        name: Secret(credentials.members[member].value.strip(" "))
        for name, member in client.secret_headers.items()
    }


def _parameters(client: Client, credentials: ClientCredentials) -> dict[str, str | tuple[str, ...]]:
    """Return the request's parameters; a parameter with several values is repeated (RFC 8707, 2)."""
    parameters: dict[str, str | tuple[str, ...]] = {"grant_type": client.grant_type}
    if client.scope:
        parameters["scope"] = client.scope
    parameters |= client.token_request_params
    parameters |= {name: credentials.members[path].value for name, path in client.secret_params.items()}
    # Entra ID requires client_id with an assertion, too (RFC 7521, 4.2).
    if client.client_id_in_body or client.client_authentication is not ClientAuthentication.BASIC:
        parameters["client_id"] = credentials.client_id
    if client.client_authentication is ClientAuthentication.POST:
        parameters["client_secret"] = credentials.client_secret.value
    return parameters


def _basic(credentials: ClientCredentials, encoding: BasicEncoding) -> Secret:
    """Return the Authorization header; both encodings start from UTF-8 (RFC 7617, 2.1)."""
    client_id, client_secret = credentials.client_id, credentials.client_secret.value
    if encoding is BasicEncoding.FORM:  # 2.3.1, with the encoding of appendix B
        client_id, client_secret = quote_plus(client_id), quote_plus(client_secret)
    pair = f"{client_id}:{client_secret}".encode()
    return Secret("Basic " + base64.b64encode(pair).decode("ascii"))
