"""Secret rollover: renewals while the provider and Secrets Manager have different secrets of a client.

Both cannot be updated at the same moment. In between the endpoint refuses the client with the credentials
labelled AWSCURRENT. It may accept those of the next version (AWSPENDING) or of the previous one
(AWSPREVIOUS). Each is tried once: a run makes three requests at most.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from rotator.errors import CredentialsError, RotatorError, TokenRequestRejected
from rotator.oauth.models import AccessToken, ClientCredentials, Stage
from rotator.renewal.models import Result, Rotation
from rotator.renewal.ports import Run, SecretStore

logger = logging.getLogger(__name__)

TIME_RESERVE_SECONDS = 30.0
"""Of a run, or two thirds of a short one, without which no other stage is read.

A read that does not respond takes nearly as long, and a run that is cut off cannot report why it failed.
"""

SHORTEST_REQUEST_SECONDS = 1.0
"""With less time, no request begins: its own error would hide the refusal."""

NEXT_STEP = {
    Stage.PENDING: "promote that version to AWSCURRENT (aws secretsmanager update-secret-version-stage)",
    Stage.PREVIOUS: "the secret in AWSCURRENT is not valid at the provider yet: have it made valid there, "
    "or put the one before back before it ends",
}
"""What finishes a rollover, by the stage that worked; infra/docs/client-secret.md has the commands."""

Obtain = Callable[[ClientCredentials], AccessToken]
"""Requests a token with these credentials and checks it; raises RotatorError if there is none to publish."""


def obtain(
    rotation: Rotation, secrets: SecretStore, run: Run, obtain_with: Obtain
) -> tuple[AccessToken, ClientCredentials]:
    """Return a token, and the credentials that it was issued for.

    The other stages are tried only if the endpoint refuses the client with AWSCURRENT.

    Raises:
        TokenRequestRejected: The first refusal, if no other stage is accepted either.
        RotatorError: Another error of a request, with its stage. ``may_have_issued`` covers all requests.
    """
    current = secrets.read(rotation)
    try:
        return obtain_with(current), current
    except TokenRequestRejected as error:
        if not (error.client_refused and rotation.secret_rollover):
            raise
        refusals = [error]
    tried: list[Stage] = []
    for credentials in _other_credentials(rotation, secrets, run, current):
        tried.append(credentials.stage)
        try:
            return obtain_with(credentials), credentials
        except RotatorError as error:
            if not (isinstance(error, TokenRequestRejected) and error.client_refused):
                raise _error_of_stage(error, tried, refusals) from error
            refusals.append(error)
    if not tried:
        raise refusals[0]
    raise _all_refused(tried, refusals) from refusals[0]


def _other_credentials(
    rotation: Rotation, secrets: SecretStore, run: Run, current: ClientCredentials
) -> Iterator[ClientCredentials]:
    """Read the other stages' credentials one by one, without those that were tried already."""
    logger.info("rotation %s: AWSCURRENT is refused; other stages of its secret are tried", rotation.name)
    tried = [current]
    reserve = min(TIME_RESERVE_SECONDS, run.budget * 2 / 3)
    for stage in (Stage.PENDING, Stage.PREVIOUS):
        if run.deadline.remaining() < reserve:
            logger.warning("rotation %s: no time is left to try %s", rotation.name, stage)
            return
        other = _read(rotation, secrets, stage)
        if other is None or any(_are_same(other, each) for each in tried):
            continue
        if run.request_deadline.remaining() < SHORTEST_REQUEST_SECONDS:
            logger.warning("rotation %s: no time is left to request with %s", rotation.name, stage)
            return
        tried.append(other)
        yield other


def _read(rotation: Rotation, secrets: SecretStore, stage: Stage) -> ClientCredentials | None:
    """A version that cannot be read is passed over: it must not hide why it was looked for."""
    try:
        return secrets.read_stage(rotation, stage)
    except CredentialsError as error:
        logger.warning("rotation %s: %s is passed over: %s", rotation.name, stage, error.problem)
        return None


def _are_same(one: ClientCredentials, other: ClientCredentials) -> bool:
    return (one.client_id, one.client_secret, one.members) == (
        other.client_id,
        other.client_secret,
        other.members,
    )


def _error_of_stage(
    error: RotatorError, tried: Sequence[Stage], refusals: Sequence[TokenRequestRejected]
) -> RotatorError:
    """Return the error of another stage's request, which names the stages that were tried before."""
    *before, last = [Stage.CURRENT, *tried]
    ended = error.at(f"with {last}, after {' and '.join(before)} had been refused")
    return ended.after(_unanswered(refusals))


def _all_refused(tried: Sequence[Stage], refusals: Sequence[TokenRequestRejected]) -> TokenRequestRejected:
    """Return the refusal of AWSCURRENT, which is what must be fixed, and which other stages were tried."""
    first = refusals[0]
    return TokenRequestRejected(
        f"{first.problem}, and so with {' and '.join(tried)}",
        advice=first.advice,
        status=first.status,
        code=first.code,
    ).after(_unanswered(refusals))


def _unanswered(refusals: Sequence[TokenRequestRejected]) -> TokenRequestRejected | None:
    return next((refusal for refusal in refusals if refusal.may_have_issued), None)


def warnings(results: Sequence[Result]) -> Iterator[str]:
    """Say which rotations' tokens were issued for another stage than AWSCURRENT, and what to do next."""
    for result in results:
        if result.secret_stage is not Stage.CURRENT:
            yield (
                f"rotation {result.name}: the token endpoint refused the client with AWSCURRENT and took "
                f"{result.secret_stage}; {NEXT_STEP[result.secret_stage]}"
            )
