"""Nobody reads what the runs of a simulated world log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rotator.simulation.world import unheard


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with unheard():
        yield
