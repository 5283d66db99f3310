"""One stack and one consumer for all recipes that a worker runs; each test begins with nothing broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from consumer_stack import Consuming, consuming
from deployed_stack import running


@pytest.fixture(scope="session")
def _consuming(
    tmp_path_factory: pytest.TempPathFactory, function_zip: Path, clean_environment: Mapping[str, str]
) -> Iterator[Consuming]:
    with (
        running(tmp_path_factory.mktemp("recipes"), function_zip) as deployed,
        consuming(deployed, clean_environment) as found,
    ):
        yield found


@pytest.fixture
def world(_consuming: Consuming) -> Consuming:
    """A stack with a new token, whatever the test before did to its own, and a role that may read it."""
    _consuming.gateway.down = False
    _consuming.rotate()
    _consuming.gateway.calls.clear()
    return _consuming
