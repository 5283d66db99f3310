"""The check that the settings keep the guarantee to consumers."""

from __future__ import annotations

from typing import Any

import pytest

from fake_ports import rotation
from rotator.config.environment import Settings
from rotator.errors import SettingsError


def check(expiration: str, **changes: Any) -> None:
    of = rotation(token_request_params={"expiration": expiration})
    Settings(rotation=of, **changes).check_overlap([of])


@pytest.mark.parametrize("expiration", ["86400", "3600", "not a number"])
def test_settings_that_meet_the_guarantee_pass(expiration: str) -> None:
    check(expiration)


@pytest.mark.parametrize(
    ("expiration", "changes"),
    [("1200", {}), ("3600", {"schedule_interval": 3600}), ("3600", {"consumer_cache": 3600})],
    ids=["short tokens", "slow schedule", "long cache"],
)
def test_settings_that_break_the_guarantee_are_refused(expiration: str, changes: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="rotation default: a token of"):
        check(expiration, **changes)


FIVE_MINUTES: dict[str, Any] = {"token_lifetime": 300, "schedule_interval": 60, "consumer_cache": 60}


def test_expected_lifetime_that_breaks_the_guarantee_is_refused() -> None:
    with pytest.raises(SettingsError, match="rotation default: a token of 5 min renewed") as refused:
        Settings(rotation=rotation(), **FIVE_MINUTES).check_overlap([rotation()])
    assert "set ROTATOR_RENEW_AT to 0.4 or less" in str(refused.value.advice)


def test_expected_lifetime_of_five_minutes_passes_renewed_early() -> None:
    of = rotation(renew_at=0.2)
    Settings(rotation=of, **FIVE_MINUTES).check_overlap([of])


def test_shortest_lifetime_does_not_count_for_every_document() -> None:
    Settings(rotation=None, rotations_path="/rotations", token_lifetime=300).check_overlap([rotation()])


def test_lifetime_that_is_set_is_held_against_the_contract() -> None:
    of = rotation(lifetime=1200)
    with pytest.raises(SettingsError, match="rotation default: a token of 20 min"):
        Settings(rotation=of).check_overlap([of])
