"""Build the function's zip: the same sources and lock file give the same bytes, anywhere.

The zip holds the modules of rotator that the function imports, the locked pure-Python wheels, and the part of
the SDK's descriptions of AWS that the function calls (trimmed_sdk.py). One zip serves both arm64 and x86_64.
It has byte-code beside the sources if a Python of the function's version is found to compile them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from infra import trimmed_sdk
from infra.command import Problem, run, tool, without_variables

INFRA = Path(__file__).resolve().parent
PACKAGE = INFRA.parent / "rotator"
REQUIREMENTS = INFRA / "requirements.txt"
OUTPUT = INFRA.parent / ".build" / "rotator.zip"

PYTHON_VERSION = "3.13"
"""The function's runtime in template.yaml."""

CACHE_TAG = "cpython-313"
"""The tag of that Python alone in the names of byte-code files."""

NOT_IN_THE_FUNCTION = {
    *("cli", "consumer", "devstack", "doctor", "simulation", "adapters/operator"),
    *("config/deployment.py", "extras.py", "__main__.py"),
}
"""Paths below the package."""

POWERTOOLS_UTILITIES = {"jmespath_utils", "typing"}
"""The utilities that the metrics import; the others are most of the package."""

UNUSED = (
    "bin",  # commands
    *(f"*.dist-info/{name}" for name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")),
    "aws_lambda_powertools/event_handler",  # functions that serve HTTP
    "certifi/tests",
    "dateutil/zoneinfo/*.tar.gz",  # time zones: the function uses UTC only
)

NO_BYTE_CODE = (
    f"build: Python {PYTHON_VERSION} was not found, so the zip has no byte-code and a cold start takes about "
    f"twice as long; install it, or set PYTHON313=/path/to/python{PYTHON_VERSION}"
)


def build(output: Path, compiler: str | None = None) -> str:
    """Build the zip and return the SHA-256 of its bytes in hex; raises Problem.

    An SBOM beside it is removed: it names the hash of the previous zip. Only a compiler adds byte-code.
    """
    with tempfile.TemporaryDirectory(prefix="rotator-build-") as folder:
        stage = Path(folder)
        _install_requirements(stage, REQUIREMENTS)
        _drop_unused(stage)
        trimmed_sdk.cut(stage / "botocore" / "data")
        shutil.copytree(
            PACKAGE,
            stage / "rotator",
            ignore=lambda folder, names: {name for name in names if is_ignored(Path(folder) / name)},
        )
        if compiler:
            _compile(stage, compiler)
        output.parent.mkdir(parents=True, exist_ok=True)
        unfinished = output.with_suffix(f".{os.getpid()}.part")
        _write_zip(stage, unfinished)
        output.with_suffix(".cdx.json").unlink(missing_ok=True)
        unfinished.replace(output)
    return hashlib.sha256(output.read_bytes()).hexdigest()


def is_ignored(path: Path) -> bool:
    """Return whether a path of the package, or a folder above it, is not in the function."""
    inside = path.relative_to(PACKAGE)
    paths = {each.as_posix() for each in (inside, *inside.parents)}
    return "__pycache__" in inside.parts or not paths.isdisjoint(NOT_IN_THE_FUNCTION)


def _install_requirements(stage: Path, requirements: Path) -> None:
    """Install the locked wheels that run on any platform; pip refuses another hash."""
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-compile", "--no-deps", "--require-hashes", "--only-binary=:all:"),
        *("--platform", "any", "--implementation", "py", "--abi", "none"),
        *("--python-version", PYTHON_VERSION, "--target", str(stage), "-r", str(requirements)),
    ]
    tool(command, f"pip could not install {requirements.name}")


def _drop_unused(stage: Path) -> None:
    """Delete the files that only pip needs, and the parts that are never called."""
    unused = [path for pattern in UNUSED for path in stage.glob(pattern)]
    utilities = (stage / "aws_lambda_powertools" / "utilities").iterdir()
    unused += [path for path in utilities if path.is_dir() and path.name not in POWERTOOLS_UTILITIES]
    for path in unused:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _compile(stage: Path, python: str) -> None:
    """Write byte-code beside every source, the same on any machine.

    Lambda must use it without checking the source's time, which is the same in every zip (PEP 552). Its
    tracebacks show the folder to which Lambda extracts the zip.
    """
    command = [
        *(python, "-S", "-P", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
        *("-s", str(stage), "-p", "/var/task", str(stage)),
    ]
    # Without a fixed seed, the order of a set in the byte-code would differ between builds.
    environ = without_variables("PYTHON") | {"PYTHONHASHSEED": "0"}
    tool(command, f"{python} could not compile the function", environ)


def find_compiler(named: str | None = None) -> str | None:
    """Return a Python of the function's version, None if there is none; raises Problem for another one."""
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{PYTHON_VERSION}*/bin/python"))
    candidates = [sys.executable, shutil.which(f"python{PYTHON_VERSION}"), *map(str, pyenv)]
    found = filter(_has_the_functions_version, filter(None, [named] if named else candidates))
    compiler = next(found, None)
    if named and not compiler:
        raise Problem(f"{named} is not Python {PYTHON_VERSION}", "set PYTHON313 to one, or remove PYTHON313")
    return compiler


def _has_the_functions_version(python: str) -> bool:
    """Return whether it runs and has this version: a shim of pyenv on PATH may find no Python."""
    command = [python, "-c", "import sys; print(sys.implementation.cache_tag)"]
    try:
        return tool(command, "it does not run", without_variables("PYTHON")).strip() == CACHE_TAG
    except (OSError, Problem):
        return False


def _write_zip(stage: Path, output: Path) -> None:
    with zipfile.ZipFile(output, "w", compresslevel=9) as archive:
        for path in sorted(path for path in stage.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(stage).as_posix())  # of 1980, like all others
            entry.external_attr = 0o100644 << 16  # the function runs as another user and must read it
            entry.create_system = 3
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())


def main(arguments: Sequence[str] | None = None) -> int:
    """Build from the command line, and return the exit code."""
    parser = argparse.ArgumentParser(description="Build the function's zip.")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument(
        "--python",
        default=os.environ.get("PYTHON313"),
        help=f"the Python {PYTHON_VERSION} that compiles the function (default: PYTHON313, or found on PATH)",
    )
    options = parser.parse_args(arguments)

    def body() -> None:
        compiler = find_compiler(options.python)
        digest = build(options.output, compiler)
        if compiler is None:
            print(NO_BYTE_CODE, file=sys.stderr)
        print(f"{options.output}  {options.output.stat().st_size / 1e6:.1f} MB  sha256 {digest}")

    return run("build", body)


if __name__ == "__main__":
    sys.exit(main())
