"""The checks of ``make smoke`` on many rotations know what they cannot see, and leave no secret."""

from __future__ import annotations

from typing import Any

import pytest

from infra import smoke_fleet
from infra.smoke_ground import Different, NotHere, cleaned
from smoked_fleet import ALONE, Manager
from smoking import TOKEN, ground, refused

QUIET: dict[str, Any] = {"delete_alarms": {}, "delete_stack": {}}


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripted answers do not change, however long one waits."""
    monkeypatch.setattr(smoke_fleet, "SETTLED", 0.0)


def test_without_workers_or_with_one_rotation_it_says_what_to_deploy() -> None:
    with pytest.raises(NotHere, match="deploy one with Workers"):
        smoke_fleet.workers(ground({}, resources={}))
    with pytest.raises(
        NotHere, match="ResourceNotFoundException for the other; deploy a stack with RotationsPath"
    ):
        smoke_fleet.secrets_together(ground(Manager().answers(), outputs={}))


def test_with_one_rotation_it_still_tells_what_secrets_manager_does_otherwise() -> None:
    with pytest.raises(Different, match="0 errors were told"):
        smoke_fleet.secrets_together(ground(Manager(errors=()).answers(), outputs={}))


def test_the_secret_is_there_while_it_is_checked_and_not_afterwards() -> None:
    manager = Manager()
    with cleaned(ground({**QUIET, **ALONE, **manager.answers()})) as world:
        smoke_fleet.secrets_together(world)
        assert list(manager.secrets) == ["rotator-smoke-1/there"]
    assert manager.secrets == {}


@pytest.mark.parametrize("fault", [Different, RuntimeError])
def test_what_differs_or_crashes_leaves_no_secret_either(fault: type[Exception]) -> None:
    manager = Manager(value=TOKEN)
    answers = {**QUIET, **manager.answers()}
    if fault is RuntimeError:
        answers["batch_get_secret_value"] = RuntimeError("in the middle")
    with pytest.raises(fault), cleaned(ground(answers)) as world:
        smoke_fleet.secrets_together(world)
    assert manager.secrets == {}


def test_a_secret_whose_creation_was_not_answered_is_removed_too() -> None:
    manager = Manager()
    manager.secrets["rotator-smoke-1/there"] = "created, but the answer was lost"
    answers = {**QUIET, **manager.answers(), "create_secret": refused("InternalServiceError")}
    with pytest.raises(Exception, match="InternalServiceError"), cleaned(ground(answers)) as world:
        smoke_fleet.secrets_together(world)
    assert manager.secrets == {}
