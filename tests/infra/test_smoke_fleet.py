"""The check of ``make smoke`` on workers knows what it cannot see."""

from __future__ import annotations

import pytest

from infra import smoke_fleet
from infra.smoke_ground import NotHere
from smoke_ground import ground


def test_without_workers_it_says_what_to_deploy() -> None:
    with pytest.raises(NotHere, match="deploy one with Workers"):
        smoke_fleet.workers(ground({}, resources={}))
