"""The consumers' ledger: which seconds count as expired, and which as revoked."""

from __future__ import annotations

import pytest

from rotator.simulation.consumers import Consumers
from rotator.simulation.provider import IssuedToken

CACHE = 100.0


def ledger(*published: tuple[float, IssuedToken], end: float = 10_000) -> Consumers:
    consumers = Consumers(CACHE)
    for when, token in published:
        consumers.receive(token, when)
    consumers.close(end)
    return consumers


def token(expires_at: float, revoked_at: float | None = None) -> IssuedToken:
    return IssuedToken(expires_at=expires_at, revoked_at=revoked_at)


LASTING = token(1_000_000)


@pytest.mark.parametrize(
    ("expires_at", "expired"),
    [
        pytest.param(1101, 0, id="expires after every cache"),
        pytest.param(1100, 0, id="expires together with the last cache"),
        pytest.param(1099, 1, id="expires a second before the last cache"),
        pytest.param(1000, 100, id="expires when it is replaced"),
        pytest.param(900, 200, id="expires before it is replaced"),
    ],
)
def test_replaced_token_counts_until_the_consumer_cache_expires(expires_at: float, expired: float) -> None:
    assert ledger((0, token(expires_at)), (1000, LASTING)).expired_seconds == expired


def test_overlapping_expired_seconds_count_once() -> None:
    consumers = ledger((0, token(500)), (550, token(600)), (620, LASTING))
    assert consumers.expired_seconds == (650 - 500) + (720 - 650)


def test_expired_token_in_the_parameter_keeps_counting() -> None:
    assert ledger((0, token(400)), end=1000).expired_seconds == 600


def test_token_published_after_expiry_counts_from_publication() -> None:
    assert ledger((0, LASTING), (500, token(100)), (510, LASTING)).expired_seconds == 110


def test_least_remaining_lifetime_is_taken_at_replacement() -> None:
    assert ledger((0, token(1500)), (1000, token(3000)), (2800, LASTING)).least_remaining_seconds == 200


def test_revoked_token_counts_while_it_is_in_the_parameter() -> None:
    consumers = ledger((0, token(5000, revoked_at=900)), (1000, LASTING))
    assert (consumers.revoked_seconds, consumers.expired_seconds) == (100, 0)


def test_token_revoked_after_replacement_counts_nothing() -> None:
    assert ledger((0, token(5000, revoked_at=1200)), (1000, LASTING)).revoked_seconds == 0


def test_history_has_each_tokens_time_in_the_parameter() -> None:
    consumers = ledger((0, token(1500)), (1000, LASTING), end=1200)
    assert [(each.since, each.until) for each in consumers.history] == [(0, 1000), (1000, 1200)]
