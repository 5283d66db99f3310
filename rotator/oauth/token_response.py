"""The token in a token endpoint's 2xx answer (RFC 6749, 5.1), each member checked before it is used."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from rotator.errors import InvalidTokenResponse
from rotator.oauth.client_credentials import TokenRequest, TokenResponse, is_scope
from rotator.oauth.expiry import expiry
from rotator.oauth.json_object import REPEATED, BlockedPath, find, read_object
from rotator.oauth.models import UNUSABLE_TOKEN_TYPES, AccessToken, Secret, plain_token_type
from rotator.oauth.token_error import ENDPOINT_ADVICE, error_code, rejection

_TOKEN = re.compile(r"[\x21-\x7e]+")  # A.12, without the space, which would end the token in a header
_PREFIX = re.compile(r"^bearer +", re.IGNORECASE)  # some servers send the value of the Authorization header
_BEARER = frozenset({"", "bearer", "bearertoken"})  # Shopify sends none, Apigee BearerToken
_PLACES_ADVICE = (
    "check token_endpoint, and set response_members if the answer has this member under another name"
)


def read_token(request: TokenRequest, response: TokenResponse, now: datetime) -> AccessToken:
    """Check a 2xx answer and read the token from it (5.1).

    Raises TokenRequestRejected if the answer holds an ``error``, and InvalidTokenResponse unless it holds a
    Bearer token that is legal and valid.
    """
    client, members = request.client, read_object(response.body)
    if members is None:
        found = "that is not a JSON object" if response.body else "without a body"
        # An HTML page comes from another server than the endpoint; a cut-off object may have held a token.
        raise _invalid(f"sent an answer {found}", may_have_issued=response.body.lstrip().startswith(b"{"))
    member = _finder(members, client.response_members)
    token = member("access_token")
    if members.get("error") or (not token and error_code(members)):  # some send "error": null with a token
        raise rejection(request, response)
    token = _legal_token(token, client.response_members.get("access_token", "access_token"))
    _check_type(member("token_type"), client.accepted_token_types)
    expires_at, warnings = expiry(client, member, token, response.requested_at)
    if expires_at <= now:
        advice = "compare the clocks of this machine and of the endpoint"
        raise _invalid("issued a token that has already expired", advice=advice)
    granted = member("scope")
    return AccessToken(
        value=Secret(token),
        issued_at=response.requested_at,
        expires_at=expires_at,
        scope=granted if _is_usable(granted, token, request) else client.scope,
        warnings=warnings,
    )


def _is_usable(scope: Any, token: str, request: TokenRequest) -> bool:
    """Whether a scope may be stored in plain text: a server may echo a secret in it."""
    if not isinstance(scope, str) or len(scope) > 1024 or not is_scope(scope):
        return False
    credentials = request.credentials
    secrets = (token, *(s.value for s in (credentials.client_secret, *credentials.members.values())))
    return not any(secret and secret in scope for secret in secrets)


def _finder(members: Mapping[str, Any], places: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a function that returns a member of the answer, found through ``response_members``.

    A member that this setting assigns to another name is not read under its own name.
    """
    assigned = set(places.values())

    def member(name: str) -> Any:
        place = places.get(name, name)
        if name not in places and name in assigned:
            return None
        try:
            found = find(members, place)
        except BlockedPath as blocked:
            raise _invalid(f"sent {blocked}", advice=_PLACES_ADVICE) from None
        if found is REPEATED:
            raise _invalid(f"sent {place} twice, with different values")
        return found

    return member


def _legal_token(token: object, place: str) -> str:
    if token is None or token == "":
        raise _invalid(f"sent an answer without {place}", advice=_PLACES_ADVICE)
    article = "an" if place == "access_token" else "a"
    if not isinstance(token, str):
        raise _invalid(f"issued {article} {place} that is not text", advice=_PLACES_ADVICE)
    bare = _PREFIX.sub("", token)
    if not _TOKEN.fullmatch(bare):
        raise _invalid(f"issued {article} {place} with spaces, control or non-ASCII characters")
    return bare


def _check_type(token_type: object, accepted: tuple[str, ...]) -> None:
    """Raise InvalidTokenResponse unless a token may be sent after ``Bearer`` (7.1)."""
    if token_type is not None and not isinstance(token_type, str):
        raise _invalid("issued a token whose token_type is not text")
    plain = plain_token_type(token_type or "")
    if plain in _BEARER or plain in map(plain_token_type, accepted):
        return
    if plain in UNUSABLE_TOKEN_TYPES:
        raise _invalid(
            f"issued a token whose token_type is {UNUSABLE_TOKEN_TYPES[plain]}, not Bearer",
            advice="check token_endpoint, and ask the provider for Bearer tokens: this type needs a key in "
            "the consumer",
        )
    raise _invalid(
        "issued a token whose token_type is not Bearer",
        advice="add this token_type to accepted_token_types if the API accepts such tokens as Bearer tokens",
    )


def _invalid(
    problem: str, *, advice: str = ENDPOINT_ADVICE, may_have_issued: bool = True
) -> InvalidTokenResponse:
    return InvalidTokenResponse(
        f"the token endpoint {problem}", advice=advice, may_have_issued=may_have_issued
    )
