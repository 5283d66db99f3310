"""OAuth 2.0 client credentials without I/O: build the request, judge the answer.

Section numbers refer to RFC 6749 unless another document is named.
"""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

from rotator.errors import InvalidTokenResponse, TokenEndpointUnavailable, TokenRequestRejected
from rotator.oauth import jwt
from rotator.oauth.http_date import http_date
from rotator.oauth.models import (
    AccessToken,
    BasicEncoding,
    Client,
    ClientAuthentication,
    ClientCredentials,
    Secret,
)

MAX_LIFETIME_SECONDS = 366 * 24 * 3600
"""The longest life in seconds that is believed; milliseconds given as seconds are not."""

RETRYABLE_STATUS = frozenset({408, 425, 429})
"""Answers besides 5xx that ask for another try (RFC 9110, RFC 8470, RFC 6585)."""

# Only these codes are ever repeated in a message: the member is the server's text, and a server
# may echo anything. 5.2, and what RFC 6749, 8628 and 8707 add that servers answer with.
_KNOWN_CODES = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "access_denied",
        "server_error",
        "temporarily_unavailable",
        "slow_down",
    }
)
_ADVICE = {
    "invalid_client": "check the secret's client_id and client_secret, and client_authentication",
    "invalid_scope": "set scope to one that the client may ask for",
    "unauthorized_client": "have the client allowed to use the client credentials grant",
    "unsupported_grant_type": "check that token_endpoint serves the client credentials grant",
    "invalid_request": "check scope and token_request_params against the endpoint's documentation",
}
_TOKEN = re.compile(r"[\x21-\x7e]+")  # A.12, less the space that would end it in a header
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


def is_retryable(status: int) -> bool:
    """Whether an answer with this HTTP status may be another one soon."""
    return status in RETRYABLE_STATUS or status >= 500


def check_status(request: TokenRequest, response: TokenResponse, now: datetime) -> None:
    """Raise the error that the answer's HTTP status means; return on 2xx.

    Raises TokenEndpointUnavailable for 408, 425, 429 and 5xx, TokenRequestRejected otherwise.
    """
    status = response.status
    if 200 <= status < 300:
        return
    if is_retryable(status):
        raise TokenEndpointUnavailable(
            f"the token endpoint answered HTTP {status}",
            advice="ask the endpoint's operator",
            retry_after=retry_after(response.retry_after, now),
        )
    if 300 <= status < 400:
        raise TokenRequestRejected(
            f"the token endpoint answered with a redirect (HTTP {status}), "
            "which could carry the credentials elsewhere and is not followed",
            advice="set token_endpoint to the final address",
            status=status,
            code=None,
            may_have_issued=response.unanswered_before,
        )
    raise _rejection(request, response)


def _rejection(request: TokenRequest, response: TokenResponse) -> TokenRequestRejected:
    code = _error_code(_json_object(response.body) or {})
    advice = _ADVICE.get(code or "", "check token_endpoint and what the client is allowed to do")
    if request.ambiguous_basic and (code == "invalid_client" or response.status == 401):
        advice += (
            "; the two dialects of Basic differ for this secret, so try the other basic_encoding "
            "(raw or form)"
        )
    return TokenRequestRejected(
        f"the token endpoint refused the request: HTTP {response.status}, "
        f"error {code or 'not given or unknown'}",
        advice=advice,
        status=response.status,
        code=code,
        may_have_issued=response.unanswered_before,
    )


def retry_after(header: str | None, now: datetime) -> float | None:
    """Read ``Retry-After`` as seconds or as a date (RFC 9110, 10.2.3); None if it is neither."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    date = http_date(text)
    return None if date is None else max(0.0, (date - now).total_seconds())


def read_token(client: Client, request: TokenRequest, response: TokenResponse, now: datetime) -> AccessToken:
    """Check a 2xx answer and read the token from it (5.1).

    Raises TokenRequestRejected if it holds an ``error``, InvalidTokenResponse if it holds anything else than
    a Bearer token that is legal and valid.
    """
    answer = _json_object(response.body)
    if answer is None:
        what = "did not answer with a JSON object" if response.body else "answered nothing"
        # A page comes from something else than the endpoint; half an object may have held a token.
        raise _invalid(what, may_have_issued=response.body.lstrip().startswith(b"{"))
    if "error" in answer:
        raise _rejection(request, response)
    if str(answer.get("token_type", "")).lower() != "bearer":
        raise _invalid("issued a token whose token_type is not Bearer")
    token = _legal_token(answer.get("access_token"))
    expires_at = _expiry(client, answer, token, response.requested_at)
    if expires_at <= now:
        raise InvalidTokenResponse(
            "the token endpoint issued a token that is expired already",
            advice="compare the clocks of this machine and of the endpoint",
        )
    if expires_at > response.requested_at + timedelta(seconds=MAX_LIFETIME_SECONDS):
        raise _invalid(f"issued a JWT that ends more than {MAX_LIFETIME_SECONDS} seconds from now")
    granted = answer.get("scope")
    usable = isinstance(granted, str) and len(granted) <= 1024 and is_scope(granted) and token not in granted
    return AccessToken(
        value=Secret(token),
        issued_at=response.requested_at,
        expires_at=expires_at,
        scope=str(granted) if usable else client.scope,
    )


def _legal_token(token: object) -> str:
    if not isinstance(token, str) or not token:
        raise _invalid("issued no access_token")
    if not _TOKEN.fullmatch(token):
        raise _invalid("issued an access_token with spaces, control or non-ASCII characters")
    return token


def _expiry(client: Client, answer: dict[str, Any], token: str, requested_at: datetime) -> datetime:
    """The earlier of ``expires_in`` and the JWT's ``exp``; failing both, the fallback."""
    lifetime = _expires_in(answer.get("expires_in"))
    exp = jwt.expiry(token)
    if lifetime is None and exp is None:
        lifetime = client.fallback_lifetime
    if lifetime is None and exp is None:
        raise InvalidTokenResponse(
            "the token endpoint did not say how long the token lives",
            advice="set fallback_lifetime to its life in seconds",
        )
    ends = [] if lifetime is None else [requested_at + timedelta(seconds=lifetime)]
    return min([*ends, exp] if exp else ends)


def _expires_in(value: object) -> int | None:
    """``expires_in`` in seconds; some servers send it as text, which is understood."""
    if value is None:
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        seconds = float(value)
    except (ValueError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise _invalid("sent an expires_in that is not a number")
    if not 1 <= seconds <= MAX_LIFETIME_SECONDS:
        raise _invalid(f"sent an expires_in that is not between 1 and {MAX_LIFETIME_SECONDS} seconds")
    return int(seconds)


def is_jwt(token: Secret) -> bool:
    """Whether a token reads as a JWT; whoever accepts it looks at more than that."""
    return jwt.claims(token.value) is not None


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _error_code(answer: dict[str, Any]) -> str | None:
    code = answer.get("error")
    return code if isinstance(code, str) and code in _KNOWN_CODES else None


def _invalid(what: str, *, may_have_issued: bool = True) -> InvalidTokenResponse:
    return InvalidTokenResponse(
        f"the token endpoint {what}",
        advice="check token_endpoint and the endpoint's documentation",
        may_have_issued=may_have_issued,
    )
