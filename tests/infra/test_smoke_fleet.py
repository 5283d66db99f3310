"""The check of ``make smoke`` on workers knows what it cannot see."""

from __future__ import annotations

import pytest

from infra.smoke import roles
from infra.smoke.fixtures import NotHere
from smoke_ground import ground


def test_stack_without_workers_gets_deploy_advice() -> None:
    with pytest.raises(NotHere, match="deploy one with Workers"):
        roles.workers(ground({}, resources={}))
