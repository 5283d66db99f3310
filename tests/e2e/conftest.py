"""An account on the embedded AWS, once for each file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deployed import Deployed, running


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """An account in which a test creates its stacks."""
    with running(tmp_path_factory.mktemp("deployed")) as found:
        yield found
