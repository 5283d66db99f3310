"""What a token endpoint's answer without a token means: a refusal, an outage, or a redirect.

Section numbers refer to RFC 6749 unless another document is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from rotator.errors import (
    CLIENT_REFUSED_CODES,
    TokenEndpointUnavailable,
    TokenRequestRejected,
    is_client_refused,
)
from rotator.oauth.client_credentials import TokenRequest, TokenResponse
from rotator.oauth.http_date import http_date
from rotator.oauth.json_object import read_json

RETRYABLE_STATUS = frozenset({408, 425, 429})
"""Answers besides 5xx that ask for another try (RFC 9110, RFC 8470, RFC 6585)."""

MAX_CODE_CHARACTERS = 100
MAX_DEPTH = 4
"""Objects and lists in one another, in which an error code is looked for."""


def _plain(text: str) -> str:
    """Return a name without what servers write differently: case, and what stands between its words."""
    return text.casefold().replace("_", "").replace("-", "").replace(" ", "")


# Only these codes are ever repeated in a message: the member is the server's text, and a server
# may echo anything. 5.2, and what RFC 6749, 8628 and 8707 add that servers answer with.
_KNOWN_CODES = {
    _plain(code): code
    for code in (
        "invalid_request",
        "invalid_grant",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "server_error",
        "temporarily_unavailable",
        "slow_down",
        *CLIENT_REFUSED_CODES,
    )
}
_CODE_MEMBERS = frozenset({"error", "errors", "errorcode", "code", "errortype", "type", "faultcode"})
"""The plain names of the members in which servers put an error code."""

_PAGE_ERROR = re.compile(rb"(?i)<title>[^<]{0,64}oauth error ([a-z_]{1,64})")
_PAGE_CODES = {"invalid_request": "invalid_client_secret", "application_cannot_be_found": "invalid_client_id"}
"""What Shopify calls a wrong secret and an unknown client, in the title of a page in the place of JSON."""
_XML_CODE = re.compile(rb"(?i)<(?:[a-z0-9]+:)?(?:error|error_?code|fault_?code|code)>([\w\s.-]{1,100})</")

CLIENT_CERTIFICATE_ADVICE = (
    "ask the provider for an endpoint or a client without one, such as a client with private_key_jwt: "
    "client certificates are not supported"
)
_WANTS_CERTIFICATE = re.compile(rb"(?i)\b(client|ssl) certificate")
_CLIENT_ADVICE = "check the secret's client_id and client_secret, and client_authentication"
_KEY_ADVICE = (
    "check that the provider knows this client_id, and the public key of signing_key_id under this key_id"
)
_ASSERTION_ADVICE = "then signing_algorithm, assertion_audience and this machine's clock"
_GRANT_ADVICE = "then have the client allowed to use the grant and what it asks for"
_GATEWAY_ADVICE = (
    "if a gateway answers in the endpoint's place, see which headers it requires (secret_headers, "
    "token_request_headers)"
)
_ADVICE = {
    "invalid_scope": "set scope to one that the client may ask for",
    "unsupported_grant_type": "check that token_endpoint serves the grant, and grant_type",
    "invalid_request": "check scope, token_request_params, token_request_format and client_id_in_body "
    "against the endpoint's documentation",
}


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
    raise rejection(request, response)


def rejection(request: TokenRequest, response: TokenResponse) -> TokenRequestRejected:
    """Return the refusal that an answer means, with the error code if it is a known one."""
    answer, status = read_json(response.body), response.status
    code = _page_code(response.body) if answer is None else error_code(answer)
    problem = f"the token endpoint refused the request: HTTP {status}, error {code or 'not given or unknown'}"
    advice = "; ".join(_advice(request, status, code))
    if _WANTS_CERTIFICATE.search(response.body):
        if answer is None:  # a page of a gateway
            problem = f"the token endpoint demands a client certificate (mutual TLS): HTTP {status}"
            advice = CLIENT_CERTIFICATE_ADVICE
        else:  # the endpoint's own words (RFC 8705, 2), which may be about something else
            advice += f"; if it demands a client certificate (mutual TLS), {CLIENT_CERTIFICATE_ADVICE}"
    return TokenRequestRejected(
        problem,
        advice=advice,
        status=status,
        code=code,
        may_have_issued=response.unanswered_before,
    )


def _advice(request: TokenRequest, status: int, code: str | None) -> Iterator[str]:
    """Say what to check, what is most often wrong first: the secret, the grant, the way there."""
    if is_client_refused(status, code):
        assertion = request.assertion
        yield _KEY_ADVICE if assertion and assertion.signing_key_id else _CLIENT_ADVICE
        if assertion:
            yield _ASSERTION_ADVICE
        for member in request.spaced_members:
            yield f"the secret's {member} begins or ends with a space"
        if code in ("unauthorized_client", "access_denied"):
            yield _GRANT_ADVICE
        if request.ambiguous_basic:
            yield (
                "the two dialects of Basic differ for this secret, so try the other basic_encoding "
                "(raw or form)"
            )
    else:
        if request.assertion and status in (400, 403) and code in (None, "invalid_request"):  # as NHS does
            yield _ASSERTION_ADVICE
        yield _ADVICE.get(code or "", "check token_endpoint and what the client is allowed to do")
        if status == 415:
            yield "set token_request_format to the other one (form or json)"
    if code is None and status in (401, 403):
        yield _GATEWAY_ADVICE


def error_code(answer: object) -> str | None:
    """Return the known error code in an answer, wherever and however the server writes it."""
    return next((code for text in _codes(answer, MAX_DEPTH) if (code := _known(text))), None)


def _page_code(page: bytes) -> str | None:
    """Return the known error code in the title of an error page, or in an element of an answer in XML."""
    title = _PAGE_ERROR.search(page)
    text = title[1].decode("ascii").lower() if title else ""
    elements = (_known(found.decode("ascii").strip()) for found in _XML_CODE.findall(page))
    return _PAGE_CODES.get(text) or _known(text) or next(filter(None, elements), None)


def _codes(value: object, depth: int) -> Iterator[str]:
    """The texts that may be error codes: those of an object itself before those of what is in it."""
    inner = list(value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ())
    if isinstance(value, Mapping):
        for name, member in value.items():
            if _plain(name) in _CODE_MEMBERS:
                yield from (
                    each
                    for each in (member if isinstance(member, list) else [member])
                    if isinstance(each, str)
                )
    if depth > 1:
        for each in inner:
            yield from _codes(each, depth - 1)


def _known(text: str) -> str | None:
    """Return the code that a text is, also with a name space before it (``oauth.v2.InvalidClient``)."""
    if len(text) > MAX_CODE_CHARACTERS:
        return None
    return _KNOWN_CODES.get(_plain(text.rpartition(".")[2]))


def retry_after(header: str | None, now: datetime) -> float | None:
    """Read ``Retry-After`` as seconds or as a date (RFC 9110, 10.2.3); None if it is neither."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    date = http_date(text)
    return None if date is None else max(0.0, (date - now).total_seconds())
