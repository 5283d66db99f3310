"""Secret rollover: renewals while the provider and Secrets Manager have different secrets of a client.

The two cannot be updated at the same moment. In between, the endpoint refuses the client with the version
labelled AWSCURRENT, but may accept the next version (AWSPENDING) or the previous one (AWSPREVIOUS). A run
tries each version once, so it makes at most three requests.
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
"""The remaining seconds of a run (of a short run, two thirds) without which no other version is read.

A read that gets no response takes nearly as long, and a run that Lambda stops cannot report its failure.
"""

SHORTEST_REQUEST_SECONDS = 1.0
"""The remaining seconds without which no request begins: its timeout would hide the refusal."""

NEXT_STEP = {
    Stage.PENDING: "move the label AWSCURRENT to the version labelled AWSPENDING "
    "(aws secretsmanager update-secret-version-stage)",
    Stage.PREVIOUS: "activate the secret labelled AWSCURRENT at the provider, or move the label AWSCURRENT "
    "back to the previous version before the provider revokes that version",
}
"""The step that finishes a rollover, by the accepted stage; infra/docs/client-secret.md has the commands."""

Obtain = Callable[[ClientCredentials], AccessToken]
"""Requests a token with these credentials and checks it; raises RotatorError if none may be published."""


def obtain(
    rotation: Rotation, secrets: SecretStore, run: Run, obtain_with: Obtain
) -> tuple[AccessToken, ClientCredentials]:
    """Return a token, and the credentials for which it was issued.

    The other stages are tried only if the endpoint refuses the client with AWSCURRENT.

    Raises:
        TokenRequestRejected: The endpoint refuses the client with every stage.
        RotatorError: A request failed in another way. ``may_have_issued`` covers all requests.
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
    """Yield the credentials of the other stages, except credentials that were already tried."""
    logger.info(
        "rotation %s: the endpoint refused the client with AWSCURRENT; trying other stages", rotation.name
    )
    tried = [current]
    reserve = min(TIME_RESERVE_SECONDS, run.budget * 2 / 3)
    for stage in (Stage.PENDING, Stage.PREVIOUS):
        if run.deadline.remaining() < reserve:
            logger.warning(
                "rotation %s: no time left to read the credentials labelled %s",
                rotation.name,
                stage,
            )
            return
        other = _read(rotation, secrets, stage)
        if other is None or any(_are_same(other, each) for each in tried):
            continue
        if run.request_deadline.remaining() < SHORTEST_REQUEST_SECONDS:
            logger.warning(
                "rotation %s: no time left for a request with the credentials labelled %s",
                rotation.name,
                stage,
            )
            return
        tried.append(other)
        yield other


def _read(rotation: Rotation, secrets: SecretStore, stage: Stage) -> ClientCredentials | None:
    """Return the credentials of a stage, or None if they cannot be read: the first refusal matters more."""
    try:
        return secrets.read_stage(rotation, stage)
    except CredentialsError as error:
        logger.warning(
            "rotation %s: the credentials labelled %s are not tried: %s", rotation.name, stage, error.problem
        )
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
    """Return the error of another stage's request, with the stages that were tried before."""
    *before, last = [Stage.CURRENT, *tried]
    located = error.at(f"with {last}, after the endpoint refused {' and '.join(before)}")
    return located.after(_unanswered(refusals))


def _all_refused(tried: Sequence[Stage], refusals: Sequence[TokenRequestRejected]) -> TokenRequestRejected:
    """Return the refusal of AWSCURRENT, which the operator must fix, with all stages that were tried."""
    first = refusals[0]
    return TokenRequestRejected(
        f"{first.problem}, with each of {', '.join([Stage.CURRENT, *tried[:-1]])} and {tried[-1]}",
        advice=first.advice,
        status=first.status,
        code=first.code,
    ).after(_unanswered(refusals))


def _unanswered(refusals: Sequence[TokenRequestRejected]) -> TokenRequestRejected | None:
    return next((refusal for refusal in refusals if refusal.may_have_issued), None)


def warnings(results: Sequence[Result]) -> Iterator[str]:
    """Return a warning for each token that was issued for another stage than AWSCURRENT."""
    for result in results:
        if result.secret_stage is not Stage.CURRENT:
            yield (
                f"rotation {result.name}: the token endpoint refused the client with AWSCURRENT and "
                f"accepted {result.secret_stage}; {NEXT_STEP[result.secret_stage]}"
            )
