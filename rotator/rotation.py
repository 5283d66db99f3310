"""The job: renew one access token before it expires, and never make anything worse.

Check, policy, claim, credentials, token request, checks, publish, status. The order is the
promise: nothing is written that was not checked, and the status follows the token it names, so
that a run which dies anywhere leaves a good token and something the next run puts right.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

from rotator import __version__, oauth, policy, rollover
from rotator import status as status_text
from rotator.claim import HeldClaim, acquire
from rotator.errors import ParameterStoreError, StatusNotWritten, TokenNotPublished
from rotator.model import (
    AccessToken,
    ClientCredentials,
    Outcome,
    Result,
    Rotation,
    Status,
    Stored,
    format_time,
)
from rotator.policy import TokenState
from rotator.ports import Ports, Run

logger = logging.getLogger(__name__)

INACCURACY = timedelta(seconds=60)
"""By which the end of a token may be misjudged: its request was that long on the way at the most."""


def rotate(
    rotation: Rotation,
    stored: Stored,
    ports: Ports,
    run: Run,
    *,
    force: bool = False,
    dry_run: bool = False,
) -> Result:
    """Renew the rotation's token if it is due, given what is stored now.

    ``force`` renews a fresh one too, and publishes what expires sooner. ``dry_run`` stops
    before the first change, the claim, and tells the outcome that a run would aim at.
    Raises a RotatorError if it fails; the stored token is then what it was, unless the error is
    StatusNotWritten, or the answer to its own write was lost: then it is the new one.
    """
    if settled := look(rotation, stored, run, force=force):
        return settled
    if dry_run:
        ports.secrets.read(rotation)
        return as_stored(rotation, stored, Outcome.ROTATED, note="dry run: nothing was changed")
    claim = acquire(rotation, stored, ports.parameters, run)
    if claim is None:
        return _busy(rotation, stored)
    with claim.given_back_on_failure():
        token, credentials = _obtain(rotation, ports, run)
        if not force and _outlived(stored, token, run):
            return _keep(rotation, stored, claim, credentials)
        claim.check()
        version = _publish(rotation, token, ports)
    if stored.status and _is_repeated(stored.status, token):
        token = replace(token, issued_at=stored.status.issued_at)  # or its renewal window would shrink
    return _publish_status(rotation, token, version, credentials, ports)


def look(rotation: Rotation, stored: Stored, run: Run, *, force: bool) -> Result | None:
    """Return the outcome if there is nothing to do: the token is fresh, or another run is at it.

    Raises ParameterStoreError if the token's parameter is of another type.
    """
    _check_types(rotation, stored)
    if not force and policy.token_state(rotation, stored, run.now()) is TokenState.FRESH:
        return as_stored(rotation, stored, Outcome.FRESH)
    if stored.claim and policy.is_live(stored.claim, run.now()):
        return _busy(rotation, stored)
    return None


def _check_types(rotation: Rotation, stored: Stored) -> None:
    """A parameter's type cannot be changed by a write: better to know before a token is asked for."""
    if stored.token_type != "SecureString":  # noqa: S105 - a type of parameter
        raise ParameterStoreError(
            f"the parameter {rotation.parameter_name} is a {stored.token_type}, not a SecureString",
            advice="delete it, or set parameter_name to another name",
        )
    if stored.status_problem:
        logger.warning(
            "the status of rotation %s cannot be read, %s; it is written anew",
            rotation.name,
            stored.status_problem,
        )


def _obtain(rotation: Rotation, ports: Ports, run: Run) -> tuple[AccessToken, ClientCredentials]:
    """Return a token that has passed every check, and the credentials that it was issued for."""

    def obtain(credentials: ClientCredentials) -> AccessToken:
        request = oauth.token_request(rotation, credentials)
        response = ports.token_endpoint.request(request, time_left=run.time_for_requests)
        token = oauth.read_token(rotation, request, response, run.now())
        if rotation.verify_url:
            ports.token_endpoint.probe(rotation.verify_url, token.value, time_left=run.time_for_requests)
        return token

    return rollover.obtain(rotation, ports.secrets, run, obtain)


def _outlived(stored: Stored, token: AccessToken, run: Run) -> bool:
    """Whether the stored token lives at least as long, in whole seconds as they are stored.

    Where an earlier run may have left it dead, another token that ends at the same time is better.
    """
    status = stored.trusted
    if status is None:
        return False
    if _is_repeated(status, token):
        return True
    expires_at = token.expires_at.replace(microsecond=0)
    if policy.is_unfinished(stored, run.now()):
        return expires_at < status.expires_at
    return expires_at <= status.expires_at


def _is_repeated(status: Status, token: AccessToken) -> bool:
    """Whether it is the stored token once more, as some providers give it from a cache.

    Each request took its own time on the way, so the same token may seem to end a little later than
    before. If it ends much later, its life was extended, and it is as good as new.
    """
    extended = token.expires_at > status.expires_at + INACCURACY
    return status.token_sha256 == token.value.fingerprint and not extended


def _publish(rotation: Rotation, token: AccessToken, ports: Ports) -> int:
    """Store the token for the consumers; return its version."""
    try:
        return ports.parameters.write_token(rotation, token.value)
    except ParameterStoreError as error:
        raise TokenNotPublished(
            f"a new token was issued but not stored: {error.problem}",
            advice=f"{error.advice}; the stored token may have ended if the endpoint allows only one",
        ) from error


def _keep(rotation: Rotation, stored: Stored, claim: HeldClaim, credentials: ClientCredentials) -> Result:
    claim.give_back()
    note = "the endpoint's token expires no later than the stored one"
    kept = as_stored(rotation, stored, Outcome.KEPT, note=note)
    return replace(kept, secret_stage=credentials.stage)


def _publish_status(
    rotation: Rotation,
    token: AccessToken,
    version: int,
    credentials: ClientCredentials,
    ports: Ports,
) -> Result:
    """Write the status that names the published token's version and carries no claim."""
    status = Status(
        parameter_version=version,
        issued_at=token.issued_at,
        expires_at=token.expires_at,
        renew_at=policy.renewal_time(rotation, token),
        scope=token.scope,
        token_sha256=token.value.fingerprint,
        secret_version_id=credentials.version_id,
        rotator_version=__version__,
        secret_stage=credentials.stage,
    )
    try:
        ports.parameters.write_status(rotation, status_text.dump(status))
    except ParameterStoreError as error:
        raise StatusNotWritten(
            f"the new token is stored as version {version}, but its status is not: {error.problem}",
            advice=f"{error.advice}; the next run renews it again",
            status=status,
        ) from error
    return Result(
        name=rotation.name,
        outcome=Outcome.ROTATED,
        expires_at=token.expires_at,
        parameter_version=version,
        lifetime=token.lifetime,
        secret_stage=credentials.stage,
    )


def _busy(rotation: Rotation, stored: Stored) -> Result:
    note = "another run renews it just now"
    if stored.claim:
        note = f"another run may renew it until {format_time(stored.claim.until)}"
    return as_stored(rotation, stored, Outcome.BUSY, note=note)


def as_stored(rotation: Rotation, stored: Stored, outcome: Outcome, *, note: str | None = None) -> Result:
    """An outcome that leaves what is stored as it was."""
    status = stored.trusted
    return Result(
        name=rotation.name,
        outcome=outcome,
        expires_at=status.expires_at if status else None,
        parameter_version=stored.token_version or None,
        lifetime=status.lifetime if status else None,
        note=note,
    )
