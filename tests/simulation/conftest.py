"""Silences the logs of simulated runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rotator.simulation.world import quiet_logs


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with quiet_logs():
        yield
