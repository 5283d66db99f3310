"""The job: renew one access token before it expires, and never make anything worse.

Check, policy, claim, credentials, token request, checks, publish, status. The order is the
promise: nothing is written that was not checked, and the status follows the token it names, so
that a run which dies anywhere leaves a good token and something the next run puts right.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from rotator import __version__, oauth, policy
from rotator import status as status_text
from rotator.errors import (
    ConcurrentUpdate,
    CredentialsError,
    ParameterStoreError,
    RotatorError,
    StatusNotWritten,
    TokenRequestRejected,
)
from rotator.model import (
    AccessToken,
    Claim,
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
    _check_types(rotation, stored)
    if not force and policy.token_state(rotation, stored, run.now()) is TokenState.FRESH:
        return _result(rotation, stored, Outcome.FRESH)
    if stored.claim and policy.is_live(stored.claim, run.now()):
        return _busy(rotation, stored)
    if dry_run:
        ports.secrets.read(rotation)
        return _result(rotation, stored, Outcome.ROTATED, note="dry run: nothing was changed")
    if not _claim(rotation, stored, ports, run):
        return _busy(rotation, stored)
    with _claim_ended_on_failure(rotation, stored, ports, run):
        credentials = ports.secrets.read(rotation)
        token = _obtain(rotation, credentials, ports, run)
        if not force and _outlived(stored, token):
            return _keep(rotation, stored, ports, run)
        _check_claim(rotation, run)
        version = ports.parameters.write_token(rotation, token.value)
    if stored.trusted and _is_repeated(stored, token):
        token = replace(token, issued_at=stored.trusted.issued_at)  # or its renewal window would shrink
    return _publish_status(rotation, token, version, credentials, ports)


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


def _claim(rotation: Rotation, stored: Stored, ports: Ports, run: Run) -> bool:
    """Mark the rotation as ours until this run must end; False if someone else was faster.

    Parameter Store cannot write on a condition, but it numbers the versions: of all runs that
    read version n, only the one that is answered n + 1 holds the claim.
    """
    seconds = math.ceil(run.time_left() + run.overrun) + 1  # it is written in whole seconds
    until = run.now() + timedelta(seconds=seconds)
    claim = Claim(by=run.id, until=until)
    text = status_text.dump(stored.status, claim)
    write = ports.parameters.write_status if stored.status_version else ports.parameters.create_status
    try:
        return write(rotation, text) == stored.status_version + 1
    except ConcurrentUpdate:
        return False


@contextmanager
def _claim_ended_on_failure(rotation: Rotation, stored: Stored, ports: Ports, run: Run) -> Iterator[None]:
    """End the claim when the body fails, so that who mends the cause need not wait for it."""
    try:
        yield
    except RotatorError as error:
        _end_claim(rotation, stored, ports, run, trace=_trace(rotation, stored, run, error))
        raise


def _trace(rotation: Rotation, stored: Stored, run: Run, error: RotatorError) -> Claim | None:
    """What a failed run leaves of its claim: a claim that has ended, where a dead token may look fresh.

    The endpoint may have issued a token that was not published, and ended the stored one for it. If
    that is due anyway, the next run renews it; if not, the trace makes it (policy.is_unfinished).
    """
    status = stored.trusted
    if status is None or run.now() >= policy.renewal_time(rotation, status.issued_at, status.expires_at):
        return None
    nothing_issued = isinstance(error, CredentialsError | TokenRequestRejected)
    if nothing_issued and not stored.claim:
        return None
    return Claim(by=run.id, until=run.now())


def _end_claim(
    rotation: Rotation, stored: Stored, ports: Ports, run: Run, *, trace: Claim | None = None
) -> None:
    if run.time_left() <= 0:
        return  # the claim may be another run's by the time of the write
    try:
        ports.parameters.write_status(rotation, status_text.dump(stored.status, trace))
    except ParameterStoreError:
        logger.warning("the claim on rotation %s was not given back; it ends by itself", rotation.name)


def _obtain(rotation: Rotation, credentials: ClientCredentials, ports: Ports, run: Run) -> AccessToken:
    """Request a token and return it once it has passed every check."""
    request = oauth.token_request(rotation, credentials)
    response = ports.token_endpoint.request(request, time_left=run.time_for_requests)
    token = oauth.read_token(rotation, request, response, run.now())
    if rotation.verify_url:
        ports.token_endpoint.probe(rotation.verify_url, token.value, time_left=run.time_for_requests)
    return token


def _outlived(stored: Stored, token: AccessToken) -> bool:
    """Whether the stored token lives at least as long, in whole seconds as they are stored.

    Some providers repeat a token from a cache. Each request for it took its own time on the way, so
    the same token may seem to end a little later than before, and is no newer for that.
    """
    if stored.trusted is None:
        return False
    ends_no_later = token.expires_at.replace(microsecond=0) <= stored.trusted.expires_at
    return ends_no_later or _is_repeated(stored, token)


def _is_repeated(stored: Stored, token: AccessToken) -> bool:
    """Whether it is the stored token, and its life was not extended since."""
    status = stored.trusted
    return (
        status is not None
        and status.token_sha256 == token.value.fingerprint
        and token.expires_at <= status.expires_at + timedelta(seconds=policy.RUN_BUDGET)
    )


def _check_claim(rotation: Rotation, run: Run) -> None:
    """A token that comes too late could take the place of another run's newer one."""
    if run.time_left() <= 0:
        raise ParameterStoreError(
            f"the run's time was over before {rotation.parameter_name} could be written",
            advice="the next run tries again; if it lasts, raise the function's timeout",
        )


def _keep(rotation: Rotation, stored: Stored, ports: Ports, run: Run) -> Result:
    _end_claim(rotation, stored, ports, run)
    return _result(
        rotation, stored, Outcome.KEPT, note="the endpoint's token expires no later than the stored one"
    )


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
        renew_at=policy.renewal_time(rotation, token.issued_at, token.expires_at),
        scope=token.scope,
        token_sha256=token.value.fingerprint,
        secret_version_id=credentials.version_id,
        rotator_version=__version__,
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
    )


def _busy(rotation: Rotation, stored: Stored) -> Result:
    note = "another run renews it just now"
    if stored.claim:
        note = f"another run may renew it until {format_time(stored.claim.until)}"
    return _result(rotation, stored, Outcome.BUSY, note=note)


def _result(rotation: Rotation, stored: Stored, outcome: Outcome, *, note: str | None = None) -> Result:
    status = stored.trusted
    return Result(
        name=rotation.name,
        outcome=outcome,
        expires_at=status.expires_at if status else None,
        parameter_version=stored.token_version or None,
        lifetime=status.lifetime if status else None,
        note=note,
    )
