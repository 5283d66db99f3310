"""The order in which rotations are renewed."""

from __future__ import annotations

from datetime import timedelta

from fake_ports import START, rotation
from rotator.fleet.urgency import Due, by_urgency
from rotator.renewal.models import Attempt, Lease, Outcome, Status, Stored

HOUR = timedelta(hours=1)


def due(
    name: str,
    expires_in: float | None = None,
    *,
    failed: float | None = None,
    missing: bool = False,
    outcome: Outcome | None = Outcome.FAILED,
) -> Due:
    """Return a rotation whose token expires in some hours, and whose last attempt failed some hours ago."""
    status = None
    if expires_in is not None:
        status = Status(
            parameter_version=1,
            issued_at=START - 24 * HOUR,
            expires_at=START + expires_in * HOUR,
            renew_at=START - HOUR,
            scope="*",
            token_sha256="0" * 16,
            secret_version_id="v",
            rotator_version="0",
        )
    attempt = None if failed is None else Attempt(at=START - failed * HOUR, outcome=outcome)
    stored = Stored(token_version=int(not missing), status=status, lease=Lease(last_attempt=attempt))
    return Due(rotation=rotation(name=name), stored=stored)


def order(*rotations: Due) -> list[str]:
    return [each.rotation.name for each in by_urgency(rotations, START)]


def test_soonest_expiry_comes_first() -> None:
    assert order(due("8h", 8), due("1h", 1), due("3h", 3)) == ["1h", "3h", "8h"]


def test_expired_and_unknown_tokens_come_before_valid_ones() -> None:
    assert order(due("valid", 1), due("expired", -1), due("unknown")) == ["unknown", "expired", "valid"]


def test_rotation_without_token_comes_after_valid_token() -> None:
    assert order(due("new", missing=True), due("valid", 8)) == ["valid", "new"]


def test_failed_rotations_come_last_oldest_attempt_first() -> None:
    rotations = (
        due("valid", 1, failed=0.1),
        due("expired", -10, failed=1.5),
        due("unknown", failed=3),
        due("missing", missing=True, failed=1),
        due("new", missing=True),
        due("well", 8),
    )
    assert order(*rotations) == ["well", "new", "unknown", "expired", "missing", "valid"]


def test_failed_token_comes_first_as_its_expiry_approaches() -> None:
    """This holds for any number of rotations before it, such as new ones that fail again and again."""
    new = [due(f"new{n}", missing=True) for n in range(1000)]
    assert order(*new, due("valid", 3.1, failed=1))[-1] == "valid"
    assert order(*new, due("well", 5), due("valid", 3, failed=1))[:2] == ["valid", "well"]


def test_failed_expired_token_precedes_new_ones_after_delay() -> None:
    """Its attempts become rare, so that many failing rotations do not delay new ones."""
    rotations = (due("new", missing=True), due("well", 8))
    assert order(*rotations, due("expired", -8, failed=1)) == ["well", "new", "expired"]
    assert order(*rotations, due("expired", -8, failed=4)) == ["well", "expired", "new"]


def test_token_failing_at_its_expiry_comes_before_new_ones() -> None:
    assert order(due("well", 1), due("expiring", 0, failed=0)) == ["well", "expiring"]
    assert order(due("new", missing=True), due("expiring", 0, failed=0)) == ["expiring", "new"]


def test_kept_token_and_crashed_run_count_as_failed() -> None:
    kept = due("kept", 7, failed=2, outcome=Outcome.KEPT)
    crashed = due("crashed", 4, failed=1, outcome=None)
    assert order(crashed, kept, due("well", 3)) == ["well", "kept", "crashed"]


def test_every_failed_rotation_is_tried_before_any_repeats() -> None:
    """This holds for any number of failing rotations."""
    failed = {f"t{n}": 10.0 - n for n in range(10)}
    tried = []
    for run in range(5):
        names = order(*(due(name, failed=hours) for name, hours in failed.items()))[:2]
        failed |= dict.fromkeys(names, -float(run))
        tried += names
    assert sorted(tried) == sorted(failed)
