"""Judges the state of a simulated world: whether consumers have a valid token, and whether runs are done."""

from __future__ import annotations

from datetime import datetime

from rotator.renewal import policy
from rotator.simulation.environment import Tenant
from rotator.simulation.provider import LATENCY_SECONDS
from rotator.simulation.world import World


def token_state(tenant: Tenant) -> policy.TokenState:
    """Return the state of the stored token, as a run determines it."""
    return policy.token_state(tenant.rotation, tenant.stored(), tenant.world.timeline.now())


def has_valid_token(tenant: Tenant) -> bool:
    """Return whether consumers have a valid token with a matching status."""
    token = tenant.stored_token
    return bool(token and token.is_valid(tenant.world.timeline.seconds) and tenant.stored().token_status)


def is_healthy(tenant: Tenant, *, due_at: datetime | None = None) -> bool:
    """Return whether consumers have a valid token, and no renewal is running or unfinished.

    Args:
        tenant: The rotation.
        due_at: A renewal counts as unfinished only if the token is due at this time; now by default.
    """
    stored, due_at = tenant.stored(), due_at or tenant.world.timeline.now()
    unfinished = stored.lease.held_until or policy.may_be_revoked(tenant.rotation, stored, due_at)
    return has_valid_token(tenant) and not unfinished


def expect_valid_token(tenant: Tenant) -> None:
    """Record a violation if consumers have no valid token, neither now nor after a grace period.

    A token may just have been issued, and not be published yet because its response takes some time.
    """

    def require_valid_token() -> None:
        if not has_valid_token(tenant):
            tenant.violate("a token that should have been renewed by now is expired, revoked or unknown")

    if not has_valid_token(tenant):
        latency = tenant.provider.latency
        grace = 1 if latency is LATENCY_SECONDS else 1 + latency[1]
        tenant.world.timeline.at(tenant.world.timeline.seconds + grace, require_valid_token)


def is_flooding(world: World) -> bool:
    """Return whether renewing runs sent more than two requests per second; for one rotation only."""
    working = world.runs - world.outcomes["fresh"]
    return world.provider.requests > 2 * policy.RUN_BUDGET_SECONDS * working
