"""Secret rollover: renewals while the provider and Secrets Manager have different secrets of a client.

The two cannot be updated at the same moment. In between, the endpoint refuses the client with the version
labelled AWSCURRENT, but may accept the next version (AWSPENDING) or the previous one (AWSPREVIOUS). A run
tries each version once, so it makes at most three requests.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter

from rotator.errors import CredentialsError, RotatorError, TokenRequestRejected
from rotator.oauth.models import AccessToken, ClientCredentials, Stage
from rotator.renewal.models import Rotation
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

_values = attrgetter("client_id", "client_secret", "members")


def obtain(
    rotation: Rotation, secrets: SecretStore, run: Run, obtain_with: Obtain
) -> tuple[AccessToken, ClientCredentials]:
    """Return a token, and the credentials for which it was issued.

    The other stages are tried only if the endpoint refuses the client with AWSCURRENT. Raises the first
    refusal if the endpoint refuses every stage, or the error of a request that failed in another way; its
    ``may_have_issued`` covers all requests.
    """
    refusals: dict[Stage, TokenRequestRejected] = {}
    for credentials in _credentials(rotation, secrets, run):
        try:
            return obtain_with(credentials), credentials
        except RotatorError as error:
            if isinstance(error, TokenRequestRejected) and error.client_refused:
                refusals[credentials.stage] = error
            elif refusals:
                place = f"with {credentials.stage}, after the endpoint refused {' and '.join(refusals)}"
                raise _after(refusals, error, f"{place}: {error.problem}") from error
            else:
                raise
    first = refusals[Stage.CURRENT]
    if len(refusals) == 1:
        raise first
    *stages, last = refusals
    raise _after(refusals, first, f"{first.problem}, with each of {', '.join(stages)} and {last}") from first


def _after(refusals: Mapping[Stage, RotatorError], error: RotatorError, problem: str) -> RotatorError:
    """Return the error with another problem, marked if any refused request may have issued a token."""
    issued = any(each.may_have_issued for each in (*refusals.values(), error))
    return error.again(problem=problem, may_have_issued=issued)


def _credentials(rotation: Rotation, secrets: SecretStore, run: Run) -> Iterator[ClientCredentials]:
    """Yield the credentials of each stage, AWSCURRENT first, except credentials that were already tried."""
    current = secrets.read(rotation)
    yield current
    if not rotation.secret_rollover:
        return
    logger.info(
        "rotation %s: the endpoint refused the client with AWSCURRENT; trying other stages", rotation.name
    )
    tried = [_values(current)]
    reserve = min(TIME_RESERVE_SECONDS, run.budget * 2 / 3)
    for stage in (Stage.PENDING, Stage.PREVIOUS):
        if run.deadline.remaining() < reserve:
            logger.warning(
                "rotation %s: no time left to read the credentials labelled %s", rotation.name, stage
            )
            return
        other = _read(rotation, secrets, stage)
        if other is None or _values(other) in tried:
            continue
        if run.request_deadline.remaining() < SHORTEST_REQUEST_SECONDS:
            logger.warning(
                "rotation %s: no time left for a request with the credentials labelled %s",
                rotation.name,
                stage,
            )
            return
        tried.append(_values(other))
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
