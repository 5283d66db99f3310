"""Commands on multiple rotations in memory."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner, Result

from multiple_rotations import PATH, MultipleRotations
from rotator import bootstrap
from rotator.bootstrap import Rotator
from rotator.cli import main, wiring


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command on a fleet in memory."""

    def run(
        multiple: MultipleRotations,
        *args: str,
        answer: str | None = None,
        path: str = PATH,
        columns: int = 200,
    ) -> Result:
        def build(_environ: object) -> Rotator:
            return multiple.rotator

        monkeypatch.setattr(bootstrap, "build", build)
        monkeypatch.setattr(bootstrap, "utc_now", multiple.clock.now)
        monkeypatch.setattr(wiring, "document_store", lambda: multiple.documents)
        return CliRunner().invoke(
            main.main, args, input=answer, env={"ROTATOR_ROTATIONS_PATH": path, "COLUMNS": f"{columns}"}
        )

    return run
