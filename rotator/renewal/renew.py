"""The renewal of one token: read, decide, lease, credentials, token request, checks, token, status.

The order is the guarantee: a token is checked before it is written, and the status is written after the token
it describes. If a run is stopped at any point, the stored token is valid and the next run recovers.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from rotator import __version__
from rotator.errors import InvalidTokenResponse
from rotator.oauth import client_credentials, token_response
from rotator.oauth.models import AccessToken, ClientCredentials
from rotator.renewal import lease, policy, secret_rollover
from rotator.renewal import status as status_text
from rotator.renewal.durations import describe_seconds
from rotator.renewal.lease import HeldLease
from rotator.renewal.models import TIER_LIMITS, Outcome, Result, Rotation, Status, Stored
from rotator.renewal.policy import ExpectedLifetime, TokenState
from rotator.renewal.ports import ParameterStore, Ports, Run
from rotator.renewal.results import as_stored, busy, failed_with

logger = logging.getLogger(__name__)

EXPIRY_TOLERANCE = timedelta(seconds=60)
"""The error of a computed expiry, at most: the time that a token request may take."""


def rotate(rotation: Rotation, checked: Stored, ports: Ports, run: Run) -> Result:
    """Renew the rotation's token if it is due, and return the result; a failure is a result, too.

    A failed renewal leaves the stored token unchanged, with two exceptions: after StatusNotWritten, and if
    the answer to the write of the token was lost, the new token is stored.

    The stored state when the rotation was ``checked`` is only reported, if the state cannot be read again:
    another run may have renewed the token since.
    """
    stored = checked
    try:
        stored = read(rotation, ports.parameters, run.now())
        return _rotate(rotation, stored, ports, run)
    except Exception as error:  # noqa: BLE001 - a defect in one rotation may not stop the others
        failed = failed_with(rotation, stored, error, run)
        return replace(failed, next_try=run.next_run)  # a fresh token may be due by now: see mark_due


def read(rotation: Rotation, parameters: ParameterStore, now: datetime) -> Stored:
    """Return the stored token, status and lease, read in one call unless the lease needs more versions."""
    found = parameters.read(rotation.parameter_names)
    stored = status_text.read(rotation, found)
    if stored.status and stored.status.parameter_version > stored.token_version > 0:
        # Another run may have written both parameters while this call read them one after the other.
        found = parameters.read(rotation.parameter_names)
        stored = status_text.read(rotation, found)
    return lease.with_lease(rotation, stored, found, parameters, now)


def _rotate(rotation: Rotation, stored: Stored, ports: Ports, run: Run) -> Result:
    if stored.status_problem:
        logger.warning(
            "the status parameter %s of rotation %s has no valid content (%s); "
            "the next renewal overwrites it",
            rotation.status_name,
            rotation.name,
            stored.status_problem,
        )
    state = policy.token_state(rotation, stored, run.now())
    if state is TokenState.FRESH and not run.force:
        return as_stored(rotation, stored, Outcome.FRESH)
    if stored.lease.held_until:
        return busy(rotation, stored, stored.lease.held_until)
    if run.dry_run:
        ports.secrets.read(rotation)
        return as_stored(rotation, stored, Outcome.ROTATED, reason="dry run: nothing was changed")
    held = lease.acquire(rotation, stored, ports.parameters, run)
    if held is None:
        return as_stored(rotation, stored, Outcome.BUSY, reason="another run acquired the lease first")
    with held.released_on_failure():
        if state is TokenState.FRESH:
            held.mark_due()
        return _renew(held, ports)


def _renew(held: HeldLease, ports: Ports) -> Result:
    """Request a token under the lease, and publish it unless the stored token is valid at least as long."""
    token, credentials = _obtain(held, ports)
    if not held.run.force and _stored_lasts_as_long(held, token):
        result = _keep(held, token)
    else:
        result = _publish(held, token, credentials)
    spaced = (f"{member} in the secret begins or ends with a space" for member in credentials.spaced_members)
    return replace(result, secret_stage=credentials.stage, warnings=(*spaced, *token.warnings))


def _obtain(held: HeldLease, ports: Ports) -> tuple[AccessToken, ClientCredentials]:
    """Return a token that passed every check, and the credentials for which it was issued."""
    rotation, run = held.rotation, held.run

    def obtain(credentials: ClientCredentials) -> AccessToken:
        held.check()  # a token that can no longer be published could revoke the stored one
        request = client_credentials.token_request(rotation, credentials)
        response = ports.token_endpoint.request(request, deadline=run.request_deadline)
        token = token_response.read_token(request, response, run.now())
        check_size(rotation, token)
        check_lifetime(rotation, token, run.expected_lifetime)
        if rotation.verify_url:
            headers = client_credentials.secret_headers(rotation, credentials)
            ports.token_endpoint.probe(
                rotation.verify_url, token.value, deadline=run.request_deadline, headers=headers
            )
        return token

    return secret_rollover.obtain(rotation, ports.secrets, run, obtain)


def check_size(rotation: Rotation, token: AccessToken) -> None:
    """Raise InvalidTokenResponse if the rotation's tier cannot hold the token."""
    size, limit = len(token.value.value), TIER_LIMITS[rotation.tier]
    if size > limit:
        is_largest = limit == max(TIER_LIMITS.values())
        raise InvalidTokenResponse(
            f"the token endpoint issued a token of {size} bytes, "
            f"more than the {limit} bytes of the tier {rotation.tier}",
            advice=("" if is_largest else "set tier to Intelligent-Tiering (8192 bytes), or ")
            + "set scope to a narrower one",
        )


def check_lifetime(rotation: Rotation, token: AccessToken, expected: ExpectedLifetime | None) -> None:
    """Raise InvalidTokenResponse if a token's lifetime is implausible, unless ``lifetime`` is set."""
    if rotation.lifetime is None and expected and expected.is_exceeded_by(token.lifetime):
        raise InvalidTokenResponse(
            f"the token endpoint issued a token with a lifetime of {describe_seconds(token.lifetime)}, more "
            f"than {policy.REFUSED_FACTOR} times the expected lifetime ({expected})",
            advice="set lifetime to the token's lifetime in seconds if the endpoint uses another unit, or "
            f"{policy.SET_TOKEN_LIFETIME}",
        )


def _stored_lasts_as_long(held: HeldLease, token: AccessToken) -> bool:
    """Whether the stored token is valid at least as long as the new one, in whole seconds as stored.

    If the stored token may be revoked, a new token that expires at the same time is published.
    """
    status = held.stored.token_status
    if status is None:
        return False
    if _is_repeated(status, token):
        return True
    expires_at = token.expires_at.replace(microsecond=0)
    if policy.may_be_revoked(held.rotation, held.stored, held.run.now()):
        return expires_at < status.expires_at
    return expires_at <= status.expires_at


def _is_repeated(status: Status, token: AccessToken) -> bool:
    """Whether a token is the stored one, which some providers return again from a cache.

    The expiry depends on how long a request took, so the same token may seem to expire a little later than
    before. If the token expires much later, its lifetime was extended, and the token counts as new.
    """
    extended = token.expires_at - status.expires_at > EXPIRY_TOLERANCE
    return status.token_sha256 == token.value.fingerprint and not extended


def _keep(held: HeldLease, token: AccessToken) -> Result:
    held.keep(may_have_issued=not _is_repeated(held.status, token))
    reason = "the endpoint issued a token that expires no later than the stored one"
    kept = as_stored(held.rotation, held.stored, Outcome.KEPT, reason=reason)
    return replace(kept, late=policy.fails_late(held.rotation, held.stored, held.run.now()))


def _publish(held: HeldLease, token: AccessToken, credentials: ClientCredentials) -> Result:
    """Write the token, then the status, which names the token's version."""
    version = held.publish(token.value)
    before = held.stored.status
    if before and _is_repeated(before, token):
        token = replace(token, issued_at=before.issued_at)  # a later one would shorten the renewal window
    status = Status(
        parameter_version=version,
        issued_at=token.issued_at,
        expires_at=token.expires_at,
        renew_at=policy.renewal_time(held.rotation, token),
        scope=token.scope,
        token_sha256=token.value.fingerprint,
        secret_version_id=credentials.version_id,
        rotator_version=__version__,
        secret_stage=credentials.stage,
        lease_version=held.version,
    )
    held.settle(status)
    published = replace(held.stored, token_version=version, status=status)
    return as_stored(held.rotation, published, Outcome.ROTATED)
