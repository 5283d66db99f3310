"""When to renew, and for how long consumers may cache: pure arithmetic on times.

A token is renewed in the last part of its life, its renewal window, so that an outage of the
endpoint has to outlast the whole window before a consumer notices. Two thirds of life is where
certbot and cert-manager renew, too.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

from rotator.model import Claim, Result, Rotation, Stored, format_time

EARLIEST_RENEWAL = 0.1
"""The least ``renew_at`` that the settings take."""

FASTEST_SCHEDULE = 60.0
"""The shortest interval in seconds at which EventBridge Scheduler runs anything."""

JITTER = 0.02
"""The part of a life by which renewals are spread, so that a fleet does not renew as one."""

RUN_BUDGET = 60.0
"""Seconds a run may take where nothing says otherwise; the function's default timeout."""

LONGEST_RUN = timedelta(minutes=16)
"""Longer than any run: a Lambda function ends after 15 minutes, and clocks differ a little."""


class TokenState(StrEnum):
    """What a stored token is to its consumers and to the next tick."""

    FRESH = "fresh"
    DUE = "due"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    MISSING = "missing"


def token_state(rotation: Rotation, stored: Stored, now: datetime) -> TokenState:
    """Judge the stored token. Everything but FRESH is renewed by the next tick.

    UNKNOWN is a token whose status is missing, unreadable or speaks of another version:
    it may be good, but nothing here can promise it.
    """
    if not stored.token_version:
        return TokenState.MISSING
    status = stored.trusted
    if status is None:
        return TokenState.UNKNOWN
    if now >= status.expires_at:
        return TokenState.EXPIRED
    if now >= renewal_time(rotation, status.issued_at, status.expires_at) or is_unfinished(stored, now):
        return TokenState.DUE
    return TokenState.FRESH


def is_unfinished(stored: Stored, now: datetime) -> bool:
    """Whether a run claimed the rotation, ended, and did not say how.

    It may have been issued a token and died before that was published, and some providers end
    the old token with the new one's birth: a token that looks fresh may be dead.
    """
    return stored.claim is not None and not is_live(stored.claim, now)


def fails_late(rotation: Rotation, stored: Stored, now: datetime) -> bool:
    """Whether a failure now is an error; in the first half of the renewal window it is a warning.

    Where nothing is known of the stored token, it is an error.
    """
    status = stored.trusted
    if status is None:
        return True
    due = renewal_time(rotation, status.issued_at, status.expires_at)
    return now >= due + (status.expires_at - due) / 2


def is_live(claim: Claim, now: datetime) -> bool:
    """Whether a claim still keeps others away.

    It ends by itself. One that reaches further than any run can last was not made by a run.
    """
    return now < claim.until <= now + LONGEST_RUN


def renewal_time(rotation: Rotation, issued_at: datetime, expires_at: datetime) -> datetime:
    """The moment from which a token is due: ``renew_at`` of its life, less a stable jitter.

    The jitter only ever makes it earlier, so the promised remaining life holds for everyone.
    """
    lifetime = expires_at - issued_at
    return issued_at + lifetime * (rotation.renew_at - JITTER * _spread(rotation.parameter_name))


@lru_cache(maxsize=16_384)
def _spread(parameter_name: str) -> float:
    """A number from 0 to 1 that is always the same for one token parameter."""
    digest = hashlib.sha256(parameter_name.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def asked_lifetime(rotation: Rotation) -> float | None:
    """The life in seconds that the settings ask the endpoint for, if they do: ``expiration``."""
    expiration = rotation.token_request_params.get("expiration", "")
    return float(expiration) if expiration.isascii() and expiration.isdigit() else None


def minimum_remaining_life(
    lifetime: float, renew_at: float, *, schedule_interval: float, run_budget: float = RUN_BUDGET
) -> float:
    """The least life in seconds a consumer ever finds, while the endpoint has no outage.

    Renewal window - schedule interval - run budget; what is left of it is also the longest
    outage that goes unnoticed. May be negative: then tokens expire before they are renewed.
    """
    return lifetime * (1 - renew_at) - schedule_interval - run_budget


def longest_outage(
    lifetime: float,
    renew_at: float,
    *,
    schedule_interval: float,
    consumer_cache: float,
    run_budget: float = RUN_BUDGET,
) -> float:
    """The longest outage of the endpoint in seconds that no consumer notices; 0 if there is none.

    An outage counts in whole schedule intervals, since only the first run after it can renew. It may
    begin with the last request of one run and end just after the first of another: hence the budget.
    """
    least = minimum_remaining_life(
        lifetime, renew_at, schedule_interval=schedule_interval, run_budget=run_budget
    )
    return max(0.0, (least - consumer_cache) // schedule_interval * schedule_interval - run_budget)


SETTINGS = MappingProxyType(
    {
        "renew_at": "ROTATOR_RENEW_AT",
        "schedule_interval": "ROTATOR_SCHEDULE_INTERVAL",
        "consumer_cache": "ROTATOR_CONSUMER_CACHE",
    }
)
"""What the parts of the overlap contract are called where they are set."""


def overlap_problem(
    rotation: Rotation,
    lifetime: float,
    *,
    schedule_interval: float,
    consumer_cache: float,
    run_budget: float = RUN_BUDGET,
    names: Mapping[str, str] = SETTINGS,
) -> str | None:
    """Say why consumers that cache for ``consumer_cache`` seconds may present a dead token.

    None when they may not: the contract holds. ``names`` is what the advice calls the settings.
    """
    renew_at = rotation.renew_at
    least = minimum_remaining_life(
        lifetime, renew_at, schedule_interval=schedule_interval, run_budget=run_budget
    )
    if least >= consumer_cache:
        return None
    token, interval = describe_seconds(round(lifetime, -1)), describe_seconds(schedule_interval)
    window = lifetime * (1 - renew_at)
    if lifetime <= schedule_interval:
        problem = f"a token of {token} ends before the next run, which comes every {interval}"
    elif window <= schedule_interval:
        problem = (
            f"a token of {token} renewed at {renew_at:g} of its life leaves {describe_seconds(window)} to "
            f"do so, and runs come every {interval} only"
        )
    else:
        problem = (
            f"a token of {token} renewed at {renew_at:g} of its life, every {interval}, "
            f"leaves consumers {least:.0f} s at the least, but they cache for {consumer_cache:.0f} s"
        )
    advice = _advice(lifetime, renew_at, schedule_interval, consumer_cache, run_budget, names)
    return f"{problem}; {advice}"


def _advice(
    lifetime: float,
    renew_at: float,
    schedule_interval: float,
    consumer_cache: float,
    run_budget: float,
    names: Mapping[str, str],
) -> str:
    """The nearest settings that work, each of them alone; where none does, the lifetime that would."""
    window = lifetime * (1 - renew_at)
    latest = 1 - (consumer_cache + schedule_interval + run_budget) / lifetime
    slowest = window - consumer_cache - run_budget
    ways = []
    if latest >= EARLIEST_RENEWAL:
        ways.append(f"set {names['renew_at']} to {math.floor(latest * 100) / 100:g} or less")
    if slowest >= FASTEST_SCHEDULE:
        ways.append(
            f"run every {slowest // 60:.0f}m or more often, with {names['schedule_interval']} set to it"
        )
    least = window - schedule_interval - run_budget
    if least >= 0:
        ways.append(f"let consumers cache for {math.floor(least)} s at the most ({names['consumer_cache']})")
    if not ways:
        needed = (consumer_cache + schedule_interval + run_budget) / (1 - renew_at)
        ways.append(f"ask for tokens of {math.ceil(needed / 60)}m or longer")
    return ", or ".join(ways)


def outlook(failed: Result) -> str:
    """What a failure means to consumers, and when the next try comes."""
    seconds = failed.seconds_remaining
    if seconds is None:
        left = "it is not known how long the stored token lives"
    elif seconds <= 0:
        left = f"the stored token ended {describe_seconds(-seconds)} ago"
    else:
        left = f"{describe_seconds(seconds)} of the stored token's life left"
    return f"{left}, next try by {format_time(failed.next_try)}" if failed.next_try else left


def describe_seconds(seconds: float) -> str:
    """A duration for people: its two largest units, as in ``7 h 55 min``."""
    sign, rest = ("-" if seconds < 0 else ""), int(abs(seconds))
    shown = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            shown.append(f"{count} {unit}")
    return sign + " ".join(shown[:2]) if shown else "0 s"


def seconds_until(time: datetime, now: datetime) -> float:
    """Seconds from now until then; negative when it has passed."""
    return (time - now) / timedelta(seconds=1)
