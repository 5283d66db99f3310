"""The token in a token endpoint's 2xx answer (RFC 6749, 5.1), each member judged before it is believed."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from typing import Any

from rotator.errors import InvalidTokenResponse
from rotator.oauth import jwt
from rotator.oauth.client_credentials import TokenRequest, TokenResponse, is_scope
from rotator.oauth.models import MAX_LIFETIME_SECONDS, AccessToken, Client, Secret
from rotator.oauth.token_error import json_object, rejection

_TOKEN = re.compile(r"[\x21-\x7e]+")  # A.12, less the space that would end it in a header


def read_token(client: Client, request: TokenRequest, response: TokenResponse, now: datetime) -> AccessToken:
    """Check a 2xx answer and read the token from it (5.1).

    Raises TokenRequestRejected if it holds an ``error``, InvalidTokenResponse if it holds anything else than
    a Bearer token that is legal and valid.
    """
    answer = json_object(response.body)
    if answer is None:
        what = "did not answer with a JSON object" if response.body else "answered nothing"
        # A page comes from something else than the endpoint; half an object may have held a token.
        raise _invalid(what, may_have_issued=response.body.lstrip().startswith(b"{"))
    if "error" in answer:
        raise rejection(request, response)
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


def _invalid(what: str, *, may_have_issued: bool = True) -> InvalidTokenResponse:
    return InvalidTokenResponse(
        f"the token endpoint {what}",
        advice="check token_endpoint and the endpoint's documentation",
        may_have_issued=may_have_issued,
    )
