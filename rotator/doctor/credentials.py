"""Whether the endpoint accepts the credentials: a token is requested, looked at, and thrown away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rotator.errors import InvalidTokenResponse, RotatorError, TokenRequestRejected
from rotator.oauth import client_credentials
from rotator.oauth.models import AccessToken, BasicEncoding, ClientAuthentication, ClientCredentials
from rotator.renewal.models import Rotation
from rotator.renewal.ports import Run, TokenEndpoint

Answer = AccessToken | InvalidTokenResponse
"""What comes of credentials that are accepted: a token, or what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """What the endpoint issued, whatever its size, and in words how the credentials were accepted."""

    token: Answer
    accepted: str


def request_token(
    rotation: Rotation, credentials: ClientCredentials, endpoint: TokenEndpoint, run: Run, *, both: bool
) -> NewToken:
    """Request a token; with ``both``, in both dialects of Basic if they differ for these credentials.

    Raises TokenRequestError if the credentials are refused or could not be judged, RotatorError
    if another dialect than the one that is set is accepted.
    """
    if rotation.client_authentication is not ClientAuthentication.BASIC:
        answer = _ask(rotation, credentials, endpoint, run)
        return NewToken(token=answer, accepted=f"accepted, as {rotation.client_authentication}")
    if not client_credentials.token_request(rotation, credentials).ambiguous_basic:
        answer = _ask(rotation, credentials, endpoint, run)
        return NewToken(token=answer, accepted="accepted, with Basic; its two dialects are the same here")
    if both:
        return _compare(rotation, credentials, endpoint, run)
    try:
        answer = _ask(rotation, credentials, endpoint, run)
    except TokenRequestRejected as error:
        if not error.client_refused:
            raise
        hint = "`rotator doctor --try-encodings` asks in both"
        raise RotatorError(error.problem, advice=f"{error.advice}; {hint}") from error
    return NewToken(token=answer, accepted=f"accepted, with Basic in the dialect {rotation.basic_encoding}")


def _compare(
    rotation: Rotation, credentials: ClientCredentials, endpoint: TokenEndpoint, run: Run
) -> NewToken:
    answers: dict[BasicEncoding, Answer | TokenRequestRejected] = {}
    for encoding in BasicEncoding:
        try:
            answers[encoding] = _ask(replace(rotation, basic_encoding=encoding), credentials, endpoint, run)
        except TokenRequestRejected as error:
            if not error.client_refused:
                raise
            answers[encoding] = error
    answer = answers[rotation.basic_encoding]
    told = _told(answers)
    if not isinstance(answer, TokenRequestRejected):
        return NewToken(token=answer, accepted=f"{told}; basic_encoding is {rotation.basic_encoding}")
    other = next(encoding for encoding in BasicEncoding if encoding is not rotation.basic_encoding)
    if isinstance(answers[other], TokenRequestRejected):
        raise RotatorError(f"{told}: {answer.problem}", advice=_ADVICE)
    raise RotatorError(told, advice=f"set basic_encoding to {other}")


_ADVICE = "no dialect helps: check the secret's client_id and client_secret, and client_authentication"


def _told(answers: Mapping[BasicEncoding, object]) -> str:
    return ", ".join(
        f"{'refused' if isinstance(answer, TokenRequestRejected) else 'accepted'} as {encoding}"
        for encoding, answer in answers.items()
    )


def _ask(rotation: Rotation, credentials: ClientCredentials, endpoint: TokenEndpoint, run: Run) -> Answer:
    request = client_credentials.token_request(rotation, credentials)
    response = endpoint.request(request, deadline=run.request_deadline)
    try:
        return client_credentials.read_token(rotation, request, response, run.now())
    except InvalidTokenResponse as error:
        return error
