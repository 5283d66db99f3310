"""The guarantees of the test suite to its user."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from conftest import CHECKOUT

TESTS = CHECKOUT / "tests"
STARTS_A_CHILD = (
    "import conftest, subprocess; subprocess.run(['sh', '-c', 'kill -{name} $$; echo it is ignored'])"
)


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "TERM"])
def test_child_process_receives_signal_ignored_by_suite(name: str) -> None:
    """As it is ignored under ``nohup``, or behind a shell's ``&``."""
    done = subprocess.run(
        [
            "sh",
            "-c",
            f'trap "" {name}; exec "$@"',
            "sh",
            sys.executable,
            "-c",
            STARTS_A_CHILD.format(name=name),
        ],
        env={"PYTHONPATH": os.pathsep.join(map(str, (CHECKOUT, TESTS, TESTS / "helpers")))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
