"""``rotator demo`` outside a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from rotator.cli import demo, main


def test_demo_of_an_installed_package_advises_a_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(demo, "TEMPLATE", tmp_path / "infra" / "template.yaml")
    done = CliRunner().invoke(main.main, ["demo"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        "rotator: the demo builds and deploys a checkout, and this is an installed package; "
        "run `make demo` in a checkout, which also installs 'oauth-token-rotator[local]'\n"
    )
