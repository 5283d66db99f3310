"""``make release``: the files of a release. The same commit gives the same bytes, in any folder.

The function's zip with its SBOM and its template, the wheel, and the SHA-256 of each.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from infra import build, sbom
from infra.command import Problem, run, tool, without_variables
from infra.function_code import CHECKSUMS
from rotator import __version__

CHECKOUT = build.INFRA.parent
CHANGELOG = CHECKOUT / "CHANGELOG.md"
DIST = CHECKOUT / "dist"
"""The folder of the built files, which each release replaces."""


def release(*, compiler: str | None, tag: str | None = None) -> None:
    """Replace the content of ``DIST`` with the files of a release, and print their checksums.

    Raises Problem if the tag that is released is not of this version, or a file could not be built. Without a
    compiler the zip would differ.
    """
    if tag is not None:
        check_tag(tag, CHANGELOG.read_text())
    if compiler is None:
        step = f"install it, or set PYTHON313=/path/to/python{build.PYTHON_VERSION}"
        raise Problem(f"Python {build.PYTHON_VERSION}, which compiles the function, was not found", step)
    with tempfile.TemporaryDirectory(prefix="rotator-release-") as name:
        folder = Path(name)
        build.build(folder / "rotator.zip", compiler)
        sbom.write_sbom(folder / "rotator.zip")
        shutil.copyfile(build.INFRA / "template.yaml", folder / "template.yaml")
        build_wheel(folder)
        files = sorted(folder.iterdir())
        sums = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
        (folder / CHECKSUMS).write_text(sums)
        shutil.rmtree(DIST, ignore_errors=True)
        shutil.copytree(folder, DIST, copy_function=shutil.copyfile)
    print(sums, end="")


def check_tag(tag: str, changelog: str) -> None:
    """Raise Problem unless the tag and the changelog's first section are of this version."""
    if tag != f"v{__version__}":
        raise Problem(f"the tag is {tag!r}, but rotator/__init__.py has {__version__}", f"tag v{__version__}")
    first = re.search(r"^## (\S+)", changelog, re.MULTILINE)
    if not first or first[1] != __version__:
        step = f'give it the heading "## {__version__}"'
        raise Problem(f"the first section of CHANGELOG.md is not {__version__}", step)


def build_wheel(folder: Path) -> None:
    """Build the wheel into the folder by the installed hatchling; raises Problem.

    Without SOURCE_DATE_EPOCH, hatchling gives the files the same times and permissions everywhere.
    """
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    tool(command, "the wheel could not be built", without_variables("SOURCE_DATE_EPOCH"), cwd=CHECKOUT)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the files of a release.")
    parser.add_argument("--tag", help="refuse to build unless this is the tag of this version")
    options = parser.parse_args()
    named = os.environ.get("PYTHON313")
    sys.exit(run("release", lambda: release(compiler=build.find_compiler(named), tag=options.tag)))
