"""The guarantees of the test suite to its user."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

from conftest import CHECKOUT

TESTS = CHECKOUT / "tests"
STARTS_CHILDREN = """
import conftest, subprocess
for name in "HUP", "INT", "QUIT", "TERM":
    subprocess.run(["sh", "-c", f"kill -{name} $$; echo {name} is ignored"])
"""


def test_child_processes_receive_signals_ignored_by_suite() -> None:
    """As they are ignored under ``nohup``, or behind a shell's ``&``."""
    done = subprocess.run(
        ["sh", "-c", 'trap "" HUP INT QUIT TERM; exec "$@"', "sh", sys.executable, "-c", STARTS_CHILDREN],
        env={"PYTHONPATH": os.pathsep.join(map(str, (CHECKOUT, TESTS, TESTS / "helpers")))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""


def test_garbage_is_collected_while_tests_run() -> None:
    assert gc.isenabled()
