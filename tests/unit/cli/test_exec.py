"""Where no process can be replaced, the command is a child whose exit code is passed on."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import pytest

from rotator.cli.exec import become
from rotator.errors import CommandNotRun


def on_windows(monkeypatch: pytest.MonkeyPatch, command: Sequence[str]) -> int:
    with monkeypatch.context() as windows:
        windows.setattr(os, "name", "nt")
        return become(command, {**os.environ, "TOKEN": "canary"})


def test_child_exit_code_is_returned_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, sys; sys.exit(3 if os.environ['TOKEN'] == 'canary' else 4)"
    assert on_windows(monkeypatch, [sys.executable, "-c", code]) == 3


def test_missing_command_has_exit_code_127_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandNotRun, match="there is no command 'no-such-command'") as caught:
        on_windows(monkeypatch, ["no-such-command"])
    assert caught.value.code == 127
