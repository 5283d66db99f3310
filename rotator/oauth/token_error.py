"""The error for a token endpoint's answer without a token: a refusal, an outage, or a redirect.

Section numbers refer to RFC 6749 unless another document is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from rotator.errors import (
    CLIENT_REFUSED_CODES,
    TokenEndpointUnavailable,
    TokenRequestRejected,
    is_client_refused,
)
from rotator.oauth.client_assertion import signing_algorithm
from rotator.oauth.client_credentials import TokenRequest, TokenResponse
from rotator.oauth.dates import http_date
from rotator.oauth.json_object import read_json

MAX_CODE_CHARACTERS = 100
MAX_DEPTH = 4
"""The nested objects and lists in which an error code is searched."""


def _plain(text: str) -> str:
    """Return a name in lower case and without separators, which servers write differently."""
    return text.casefold().replace("_", "").replace("-", "").replace(" ", "")


# A message repeats only these codes, because a server may echo any text, even a secret, in this member.
# They are defined in 5.2 and elsewhere in RFC 6749, 8628 and 8707.
_KNOWN_CODES = {
    _plain(code): code
    for code in (
        *("invalid_request", "invalid_grant", "unsupported_grant_type", "invalid_scope", "invalid_target"),
        *("server_error", "temporarily_unavailable", "slow_down"),
        *CLIENT_REFUSED_CODES,
    )
}
_CODE_MEMBERS = frozenset({"error", "errors", "errorcode", "code", "errortype", "type", "faultcode"})
"""The plain names of the members in which servers send an error code."""

_PAGE_ERROR = re.compile(rb"(?i)<title>[^<]{0,64}oauth error ([a-z_]{1,64})")
_PAGE_CODES = {"invalid_request": "invalid_client_secret", "application_cannot_be_found": "invalid_client_id"}
"""Shopify's names for a wrong secret and an unknown client, in the title of an HTML page."""
_XML_CODE = re.compile(rb"(?i)<(?:[a-z0-9]+:)?(?:error|error_?code|fault_?code|code)>([\w\s.-]{1,100})</")

ENDPOINT_ADVICE = "check token_endpoint and the endpoint's documentation"
CLIENT_CERTIFICATE_ADVICE = (
    "client certificates are not supported, so ask the provider for another client authentication, such as "
    "private_key_jwt"
)
_WANTS_CERTIFICATE = re.compile(rb"(?i)\b(client|ssl) certificate")
_CLIENT_ADVICE = "check client_id and client_secret in the secret, and the setting client_authentication"
_KEY_ADVICE = (
    "check that the provider has registered this client_id, with the public key of signing_key_id under "
    "this key_id"
)
_ASSERTION_ADVICE = "check signing_algorithm, assertion_audience and the clock of this machine"
_GRANT_ADVICE = "check that the provider allows the client this grant and scope"
_GATEWAY_ADVICE = (
    "if a gateway answered instead of the endpoint, set the headers that it requires (secret_headers, "
    "token_request_headers)"
)
_ADVICE = {
    "invalid_scope": "set scope to one that the provider allows the client",
    "unsupported_grant_type": "check grant_type, and that token_endpoint supports this grant",
    "invalid_request": "check scope, token_request_params, token_request_format and client_id_in_body "
    "against the endpoint's documentation",
}


def is_retryable(status: int) -> bool:
    """Whether a retry may succeed after an answer with this status (RFC 9110, RFC 8470, RFC 6585)."""
    return status in (408, 425, 429) or status >= 500


def check_status(request: TokenRequest, response: TokenResponse, now: datetime) -> None:
    """Raise the error for the answer's HTTP status; return on 2xx.

    Raises TokenEndpointUnavailable for 408, 425, 429 and 5xx, TokenRequestRejected otherwise.
    """
    status = response.status
    if 200 <= status < 300:
        return
    if is_retryable(status):
        raise TokenEndpointUnavailable(
            f"the token endpoint answered HTTP {status}",
            advice="contact the provider of the token endpoint",
            retry_after=retry_after(response.retry_after, now),
        )
    if 300 <= status < 400:
        raise TokenRequestRejected(
            f"the token endpoint answered with a redirect (HTTP {status}), "
            "which is not followed because it could send the credentials to another host",
            advice="set token_endpoint to the URL to which the redirect leads",
            status=status,
            code=None,
            may_have_issued=response.unanswered_before,
        )
    raise rejection(request, response)


def rejection(request: TokenRequest, response: TokenResponse) -> TokenRequestRejected:
    """Return the error for an answer that refuses the request, with its error code if that is a known one."""
    answer, status = read_json(response.body), response.status
    code = _page_code(response.body) if answer is None else error_code(answer)
    named = f"error {code}" if code else "without a known error code"
    problem = f"the token endpoint refused the request: HTTP {status}, {named}"
    advice = "; ".join(_advice(request, status, code))
    if _WANTS_CERTIFICATE.search(response.body):
        if answer is None:  # a page of a gateway
            problem = f"the token endpoint requires a client certificate (mutual TLS): HTTP {status}"
            advice = CLIENT_CERTIFICATE_ADVICE
        else:  # the endpoint's own text (RFC 8705, 2), which may be about something else
            required = "if the endpoint requires a client certificate (mutual TLS)"
            advice = f"{advice}; {required}: {CLIENT_CERTIFICATE_ADVICE}"
    return TokenRequestRejected(
        problem, advice=advice, status=status, code=code, may_have_issued=response.unanswered_before
    )


def _advice(request: TokenRequest, status: int, code: str | None) -> Iterator[str]:
    """Return the checks to make, the most frequent cause first: secret, grant, gateway."""
    is_signed = signing_algorithm(request.client) is not None
    if is_client_refused(status, code):
        yield _KEY_ADVICE if request.client.signing_key_id else _CLIENT_ADVICE
        if is_signed:
            yield _ASSERTION_ADVICE
        for member in request.credentials.spaced_members:
            yield f"note that {member} in the secret begins or ends with a space"
        if code in ("unauthorized_client", "access_denied"):
            yield _GRANT_ADVICE
        if request.ambiguous_basic:
            yield (
                "try the other basic_encoding (raw or form), because this secret contains characters that "
                "they encode differently"
            )
    else:
        if is_signed and status in (400, 403) and code in (None, "invalid_request"):  # as NHS does
            yield _ASSERTION_ADVICE
        yield _ADVICE.get(code or "", "check token_endpoint and the client's permissions at the provider")
        if status == 415:
            yield "try the other token_request_format (form or json)"
    if code is None and status in (401, 403):
        yield _GATEWAY_ADVICE


def error_code(answer: object) -> str | None:
    """Return the known error code in an answer, in any member and spelling that servers use."""
    return next((code for text in _codes(answer, MAX_DEPTH) if (code := _known(text))), None)


def _page_code(page: bytes) -> str | None:
    """Return the known error code in the title of an error page or in an element of XML."""
    title = _PAGE_ERROR.search(page)
    text = title[1].decode("ascii").lower() if title else ""
    elements = (_known(found.decode("ascii").strip()) for found in _XML_CODE.findall(page))
    return _PAGE_CODES.get(text) or _known(text) or next(filter(None, elements), None)


def _codes(value: object, depth: int) -> Iterator[str]:
    """Yield the texts that may be error codes, an object's own before those of nested objects."""
    members = value if isinstance(value, dict) else {}
    for name, member in members.items():
        if _plain(name) in _CODE_MEMBERS:
            texts = member if isinstance(member, list) else [member]
            yield from (text for text in texts if isinstance(text, str))
    if depth > 1:
        for inner in value if isinstance(value, list) else members.values():
            yield from _codes(inner, depth - 1)


def _known(text: str) -> str | None:
    """Return the known code in a text, also after a name space (``oauth.v2.InvalidClient``)."""
    return _KNOWN_CODES.get(_plain(text.rpartition(".")[2])) if len(text) <= MAX_CODE_CHARACTERS else None


def retry_after(header: str | None, now: datetime) -> float | None:
    """Return the seconds that ``Retry-After`` asks for (RFC 9110, 10.2.3), None if it cannot be read."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    date = http_date(text)
    return None if date is None else max(0.0, (date - now).total_seconds())
