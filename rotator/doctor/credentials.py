"""The check of credentials: a token is requested, examined, and discarded."""

from __future__ import annotations

from dataclasses import replace

from rotator.errors import InvalidTokenResponse, RotatorError, TokenRequestRejected
from rotator.oauth import client_credentials, token_response
from rotator.oauth.models import AccessToken, BasicEncoding, ClientAuthentication, ClientCredentials
from rotator.renewal.models import Rotation
from rotator.renewal.ports import Run, TokenEndpoint

Answer = AccessToken | InvalidTokenResponse
"""The answer to accepted credentials: a token of any size, or the error of an unusable token."""


def request_token(
    rotation: Rotation, credentials: ClientCredentials, endpoint: TokenEndpoint, run: Run, *, both: bool
) -> tuple[Answer, str]:
    """Request a token; return the answer, and a text about the accepted credentials.

    ``both`` tries both encodings of Basic if they differ for these credentials.

    Raises:
        TokenRequestError: The endpoint refused the credentials, or did not answer.
        RotatorError: The endpoint accepts only the other encoding.
    """
    is_ambiguous = client_credentials.token_request(rotation, credentials).ambiguous_basic
    if both and is_ambiguous:
        return _compare(rotation, credentials, endpoint, run)
    try:
        answer = _ask(rotation, credentials, endpoint, run)
    except TokenRequestRejected as error:
        if not (error.client_refused and is_ambiguous):
            raise
        hint = "`rotator doctor --try-encodings` tries both encodings"
        raise RotatorError(error.problem, advice=f"{error.advice}; {hint}") from error
    if rotation.client_authentication is not ClientAuthentication.BASIC:
        return answer, f"accepted, as {rotation.client_authentication}"
    if is_ambiguous:
        return answer, f"accepted, with Basic in the encoding {rotation.basic_encoding}"
    return answer, "accepted, with Basic; both encodings are the same for this secret"


def _compare(
    rotation: Rotation, credentials: ClientCredentials, endpoint: TokenEndpoint, run: Run
) -> tuple[Answer, str]:
    answers: dict[BasicEncoding, Answer | TokenRequestRejected] = {}
    for encoding in BasicEncoding:
        try:
            answers[encoding] = _ask(replace(rotation, basic_encoding=encoding), credentials, endpoint, run)
        except TokenRequestRejected as error:
            if not error.client_refused:
                raise
            answers[encoding] = error
    answer = answers[rotation.basic_encoding]
    accepted = [name for name, each in answers.items() if not isinstance(each, TokenRequestRejected)]
    found = ", ".join(f"{'accepted' if name in accepted else 'refused'} as {name}" for name in answers)
    if not isinstance(answer, TokenRequestRejected):
        return answer, f"{found}; basic_encoding is {rotation.basic_encoding}"
    if accepted:
        raise RotatorError(found, advice=f"set basic_encoding to {accepted[0]}")
    raise RotatorError(
        f"{found}: {answer.problem}",
        advice="check client_id and client_secret in the secret, and the setting client_authentication",
    )


def _ask(rotation: Rotation, credentials: ClientCredentials, endpoint: TokenEndpoint, run: Run) -> Answer:
    request = client_credentials.token_request(rotation, credentials)
    response = endpoint.request(request, deadline=run.request_deadline)
    try:
        return token_response.read_token(rotation, request, response, run.now())
    except InvalidTokenResponse as error:
        return error
