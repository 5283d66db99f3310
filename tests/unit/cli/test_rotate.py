"""``rotator rotate``: its progress, and the report of a failed function."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from multiple_rotations import MultipleRotations, document
from rotator.adapters.operator import lambda_invoke
from rotator.cli import main, rotate
from rotator.errors import RotatorError, SettingsError


def test_short_run_without_terminal_shows_no_progress(command: Any) -> None:
    multiple = MultipleRotations(a=document("a"), bad="{")
    done = command(multiple, "rotate", "--progress", "--json")
    assert (done.exit_code, done.stderr, json.loads(done.stdout)["rotated"]) == (1, "", 1)


def test_progress_counts_every_rotation(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotate, "LINE_INTERVAL_SECONDS", 0.0)
    multiple = MultipleRotations(a=document("a"), b=document("b"), bad="{")
    done = command(multiple, "rotate", "--progress")
    assert done.stderr.splitlines()[-1] == "3 of 3: 2 rotated, 1 failed"
    assert command(multiple, "rotate", "a", "--progress").stderr == "1 of 1: 1 fresh\n"
    assert command(multiple, "rotate", "a").stderr == ""


def test_progress_with_function_option_is_refused(command: Any) -> None:
    done = command(MultipleRotations(), "rotate", "--progress", "--function", "rotator")
    assert done.exit_code == 2
    assert "--progress shows a run on this machine" in done.stderr


# rotate --function


def invoked(monkeypatch: pytest.MonkeyPatch, error: RotatorError, *args: str) -> Result:
    def invoke(*_: object) -> Any:
        raise error

    monkeypatch.setattr(lambda_invoke, "invoke", invoke)
    return CliRunner().invoke(main.main, ["rotate", "--function", "rotator", *args])


@pytest.mark.parametrize(("kind", "code"), [(RotatorError, 1), (SettingsError, 2)], ids=["failed", "refused"])
def test_failed_function_is_reported_as_json(
    kind: type[RotatorError], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = kind("the function rotator failed: a: down\n  b: down", advice="see its log")
    done = invoked(monkeypatch, error, "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (code, {"error": str(error)})
    assert done.stderr == f"rotator: {error}\n"
    assert invoked(monkeypatch, error).stdout == ""
