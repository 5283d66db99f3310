"""Build the function's zip: the same sources and lock file give the same bytes, anywhere.

Holds rotator without its command line and its worlds, embedded and simulated, the locked pure-Python
wheels, and of the SDK's service descriptions only those the function calls. One zip serves arm64 and x86_64.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

INFRA = Path(__file__).resolve().parent
PACKAGE = INFRA.parent / "rotator"
REQUIREMENTS = INFRA / "requirements.txt"
DEFAULT_OUTPUT = INFRA.parent / ".build" / "rotator.zip"

PYTHON_VERSION = "3.13"
"""The function's runtime in template.yaml."""

NOT_IN_THE_FUNCTION = (
    "local",
    "simulation",
    "doctor",
    "inspector.py",
    "function.py",
    "deployment.py",
    "cli.py",
    "report.py",
    "__main__.py",
    "__pycache__",
)
SDK_SERVICES = frozenset({"secretsmanager", "ssm", "sts"})
"""Called by the function, or by the SDK itself to get credentials."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The zip format's earliest time: every file has it, so that builds do not differ by theirs."""


class BuildError(Exception):
    """The zip could not be built; the text says why."""


def build(output: Path) -> str:
    """Build the zip and return the SHA-256 of its bytes in hex; raises BuildError."""
    with tempfile.TemporaryDirectory(prefix="rotator-build-") as folder:
        stage = Path(folder)
        _install_requirements(stage)
        _drop_unused(stage)
        shutil.copytree(PACKAGE, stage / "rotator", ignore=lambda _folder, _names: set(NOT_IN_THE_FUNCTION))
        output.parent.mkdir(parents=True, exist_ok=True)
        unfinished = output.with_suffix(f".{os.getpid()}.part")
        _write_zip(stage, unfinished)
        unfinished.replace(output)
    return hashlib.sha256(output.read_bytes()).hexdigest()


def _install_requirements(stage: Path) -> None:
    """Install the locked wheels that run on any platform; a hash that differs is refused."""
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-compile", "--no-deps", "--require-hashes", "--only-binary=:all:"),
        *("--platform", "any", "--implementation", "py", "--abi", "none"),
        *("--python-version", PYTHON_VERSION, "--target", str(stage), "-r", str(REQUIREMENTS)),
    ]
    pip = subprocess.run(command, capture_output=True, text=True, check=False)
    if pip.returncode:
        raise BuildError(f"pip could not install {REQUIREMENTS.name}:\n{pip.stderr[-2000:]}")


def _drop_unused(stage: Path) -> None:
    """Drop what only pip needs, and the descriptions of the services that are never called."""
    shutil.rmtree(stage / "bin", ignore_errors=True)
    for info in stage.glob("*.dist-info"):
        for name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"):
            (info / name).unlink(missing_ok=True)
    for service in (stage / "botocore" / "data").iterdir():
        if service.is_dir() and service.name not in SDK_SERVICES:
            shutil.rmtree(service)
    shutil.rmtree(stage / "boto3" / "data", ignore_errors=True)  # resources: only clients are used


def _write_zip(stage: Path, output: Path) -> None:
    files = sorted(path for path in stage.rglob("*") if path.is_file())
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(stage).as_posix(), EPOCH)
            entry.external_attr = 0o100644 << 16  # the function runs as another user and must read it
            entry.create_system = 3
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())


def main() -> int:
    """Build from the command line."""
    parser = argparse.ArgumentParser(description="Build the function's zip.")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    output: Path = parser.parse_args().output
    try:
        digest = build(output)
    except BuildError as error:
        print(f"build: {error}", file=sys.stderr)
        return 1
    print(f"{output}  {output.stat().st_size / 1e6:.1f} MB  sha256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
