"""The wheel, and empty environments in which it is installed as others install it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest

from conftest import CHECKOUT
from packaging_environment import AS_STARTED, Environment, copy_checkout
from rotator.extras import DISTRIBUTION

BUILD_WHEEL = "from pathlib import Path; from infra import release; release.build_wheel(Path('dist'))"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the checkout."""
    folder = copy_checkout(tmp_path_factory.mktemp("wheel") / "checkout")
    subprocess.run([sys.executable, "-c", BUILD_WHEEL], cwd=folder, env=AS_STARTED, check=True)
    [found] = (folder / "dist").iterdir()
    return found


@pytest.fixture(scope="session")
def install(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory, clean_environment: Mapping[str, str]
) -> Callable[..., Environment]:
    """Install the wheel with these extras, in the versions of the lock, once for each worker."""
    pins = tmp_path_factory.mktemp("pins") / "constraints.txt"
    lines = (CHECKOUT / "tests" / "requirements.txt").read_text().splitlines()
    pins.write_text("\n".join(re.sub(r"\s*\\$", "", line) for line in lines if re.match(r"\w", line)))

    @cache
    def environment(*extras: str) -> Environment:
        folder = tmp_path_factory.mktemp("-".join(["venv", *extras]))
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        python, wanted = folder / "bin" / "python", f"{DISTRIBUTION}[{','.join(extras)}] @ {wheel.as_uri()}"
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-compile"]
        subprocess.run([*pip, "--constraint", str(pins), wanted], env=AS_STARTED, check=True)
        return Environment(folder, clean_environment)

    return environment


@pytest.fixture
def consumer(install: Callable[..., Environment]) -> Environment:
    """Nothing but the wheel and what it requires."""
    return install()


@pytest.fixture
def consumer_with_requests(install: Callable[..., Environment]) -> Environment:
    return install("requests")


@pytest.fixture
def command_line(install: Callable[..., Environment]) -> Environment:
    return install("cli")
