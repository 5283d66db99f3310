"""The access token request of the client credentials grant, built without I/O.

Section numbers refer to RFC 6749 unless another document is named.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote_plus, urlencode

from rotator.oauth.models import (
    BasicEncoding,
    Client,
    ClientAuthentication,
    ClientCredentials,
    Secret,
)

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")  # 3.3


@dataclass(frozen=True, kw_only=True)
class TokenRequest:
    """A POST to the token endpoint; what authenticates the client is never shown.

    ``ambiguous_basic`` says that the two dialects of Basic differ for these credentials.
    """

    url: str
    body: Secret
    authorization: Secret | None
    ambiguous_basic: bool = False


@dataclass(frozen=True, kw_only=True, repr=False)
class TokenResponse:
    """The endpoint's answer. ``requested_at`` is when the answered request was sent.

    ``unanswered_before`` says that an earlier request of the run was sent and never answered. ``date`` is
    the header in which the endpoint reports its time (RFC 9110, 6.6.1).
    """

    status: int
    body: bytes
    requested_at: datetime
    retry_after: str | None = None
    date: str | None = None
    unanswered_before: bool = False


def is_scope(text: str) -> bool:
    """Whether a text is a legal scope (3.3)."""
    return _SCOPE.fullmatch(text) is not None


def token_request(client: Client, credentials: ClientCredentials) -> TokenRequest:
    """Build the access token request of the client credentials grant (4.4.2)."""
    parameters = {"grant_type": "client_credentials"}
    if client.scope:
        parameters["scope"] = client.scope
    parameters |= client.token_request_params
    authorization = None
    ambiguous = False
    if client.client_authentication is ClientAuthentication.POST:
        parameters["client_id"] = credentials.client_id
        parameters["client_secret"] = credentials.client_secret.value
    else:
        authorization = _basic(credentials, client.basic_encoding)
        ambiguous = _basic(credentials, BasicEncoding.RAW) != _basic(credentials, BasicEncoding.FORM)
    return TokenRequest(
        url=client.token_endpoint,
        body=Secret(urlencode(parameters, safe="*")),
        authorization=authorization,
        ambiguous_basic=ambiguous,
    )


def _basic(credentials: ClientCredentials, encoding: BasicEncoding) -> Secret:
    """The Authorization header; text is UTF-8 in both dialects (RFC 7617, 2.1)."""
    client_id, client_secret = credentials.client_id, credentials.client_secret.value
    if encoding is BasicEncoding.FORM:  # 2.3.1, with the encoding of appendix B
        client_id, client_secret = quote_plus(client_id), quote_plus(client_secret)
    pair = f"{client_id}:{client_secret}".encode()
    return Secret("Basic " + base64.b64encode(pair).decode("ascii"))
