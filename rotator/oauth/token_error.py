"""What a token endpoint's answer without a token means: a refusal, an outage, or a redirect.

Section numbers refer to RFC 6749 unless another document is named.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from rotator.errors import TokenEndpointUnavailable, TokenRequestRejected
from rotator.oauth.client_credentials import TokenRequest, TokenResponse
from rotator.oauth.http_date import http_date

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
    code = _error_code(json_object(response.body) or {})
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


def _error_code(answer: dict[str, Any]) -> str | None:
    code = answer.get("error")
    return code if isinstance(code, str) and code in _KNOWN_CODES else None


def json_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object that a body holds, None if it holds anything else."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None
