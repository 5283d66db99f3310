"""Build the function's zip: the same sources and lock file give the same bytes, anywhere.

Holds rotator without its command line, its reading side and its worlds, embedded and simulated, the locked
pure-Python wheels, and of the SDK's descriptions of AWS what the function calls (sdk.py). One zip serves both
arm64 and x86_64.
Byte-code lies beside the sources where a Python of the function's version is found to compile it.
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

CACHE_TAG = "cpython-313"
"""What that Python, and no other, has in the names of its byte-code files."""

TASK_ROOT = "/var/task"
"""Where Lambda unpacks the zip: what tracebacks show."""

NOT_IN_THE_FUNCTION = frozenset(
    {
        "cli",
        "consumer",
        "devstack",
        "doctor",
        "simulation",
        "adapters/operator",
        "adapters/runtime/aws_errors.py",
        "config/deployment.py",
        "__main__.py",
    }
)
"""Paths below the package."""

POWERTOOLS_UTILITIES = frozenset({"jmespath_utils", "typing"})
"""Imported with the metrics; the other utilities are most of the package."""

UNUSED = (
    "bin",  # commands
    "*.dist-info/RECORD",
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/direct_url.json",
    "aws_lambda_powertools/event_handler",  # functions that serve HTTP
    "certifi/tests",
    "dateutil/zoneinfo/*.tar.gz",  # all the world's time zones: ours is UTC
)

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The zip format's earliest time: every file has it, so that builds do not differ by theirs."""

NO_BYTE_CODE = (
    f"build: no Python {PYTHON_VERSION} on this machine, so the zip has no byte-code and a cold start takes "
    f"about twice as long: install it, or name one by PYTHON313=/path/to/python{PYTHON_VERSION}"
)


class BuildError(Exception):
    """The zip could not be built; the text says why."""


def build(output: Path, compiler: str | None = None) -> str:
    """Build the zip and return the SHA-256 of its bytes in hex; raises BuildError.

    Without a ``compiler``, a Python of the function's version, it holds no byte-code. An SBOM beside it is
    removed: it names the hash of the zip before.
    """
    with tempfile.TemporaryDirectory(prefix="rotator-build-") as folder:
        stage = Path(folder)
        _install_requirements(stage, REQUIREMENTS)
        _drop_unused(stage)
        _cut_sdk(stage)
        shutil.copytree(
            PACKAGE,
            stage / "rotator",
            ignore=lambda folder, names: {each for each in names if is_ignored(Path(folder) / each)},
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
    """Whether a path of the package is not in the function."""
    parts = path.relative_to(PACKAGE).parts
    above = {"/".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return "__pycache__" in parts or not above.isdisjoint(NOT_IN_THE_FUNCTION)


def _install_requirements(stage: Path, requirements: Path) -> None:
    """Install the locked wheels that run on any platform; a hash that differs is refused."""
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-compile", "--no-deps", "--require-hashes", "--only-binary=:all:"),
        *("--platform", "any", "--implementation", "py", "--abi", "none"),
        *("--python-version", PYTHON_VERSION, "--target", str(stage), "-r", str(requirements)),
    ]
    pip = subprocess.run(command, capture_output=True, text=True, check=False)
    if pip.returncode:
        raise BuildError(f"pip could not install {requirements.name}:\n{pip.stderr[-2000:]}")


def _drop_unused(stage: Path) -> None:
    """Drop what only pip needs, and parts that are never called."""
    unused = [path for pattern in UNUSED for path in stage.glob(pattern)]
    utilities = (stage / "aws_lambda_powertools" / "utilities").iterdir()
    unused += [path for path in utilities if path.is_dir() and path.name not in POWERTOOLS_UTILITIES]
    for path in unused:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _cut_sdk(stage: Path) -> None:
    """Cut the SDK's descriptions of AWS; see sdk.py."""
    command = [sys.executable, str(INFRA / "sdk.py"), str(stage / "botocore" / "data")]
    cut = subprocess.run(command, capture_output=True, text=True, check=False)
    if cut.returncode:
        raise BuildError(f"the SDK's descriptions could not be cut:\n{cut.stderr[-2000:]}")


def _compile(stage: Path, python: str) -> None:
    """Put byte-code beside every source, the same wherever and by whomever it is compiled.

    Lambda must use it without a look at the source's time, which is the same in every zip (PEP 552).
    """
    command = [
        *(python, "-S", "-P", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
        *("-s", str(stage), "-p", TASK_ROOT, str(stage)),
    ]
    compilation = subprocess.run(
        command,
        env=_environment() | {"PYTHONHASHSEED": "0"},  # so that no order can hang on chance
        capture_output=True,
        text=True,
        check=False,
    )
    if compilation.returncode:
        raise BuildError(f"{python} could not compile the function:\n{compilation.stdout[-2000:]}")


def find_compiler(named: str | None = None) -> str | None:
    """Find a Python of the function's version, or none; raises BuildError if the one named is another."""
    if named:
        if not _has_the_functions_version(named):
            raise BuildError(f"{named} does not run Python {PYTHON_VERSION}: name one that does, or none")
        return named
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{PYTHON_VERSION}*/bin/python"))
    candidates = (sys.executable, shutil.which(f"python{PYTHON_VERSION}"), *map(str, pyenv))
    return next((python for python in candidates if python and _has_the_functions_version(python)), None)


def _has_the_functions_version(python: str) -> bool:
    """Whether it really runs: pyenv leaves shims on the PATH that find no Python of their version."""
    command = [python, "-c", "import sys; print(sys.implementation.cache_tag)"]
    try:
        said = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    except OSError:
        return False
    return said.stdout.strip() == CACHE_TAG


def _environment() -> dict[str, str]:
    """The environment without what steers a Python: where it keeps byte-code, how it optimises."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


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
    parser.add_argument(
        "--python",
        default=os.environ.get("PYTHON313"),
        help=f"the Python {PYTHON_VERSION} that compiles the function (PYTHON313; else one that is found)",
    )
    options = parser.parse_args()
    output: Path = options.output
    try:
        compiler = find_compiler(options.python)
        digest = build(output, compiler)
    except BuildError as error:
        print(f"build: {error}", file=sys.stderr)
        return 1
    if compiler is None:
        print(NO_BYTE_CODE, file=sys.stderr)
    print(f"{output}  {output.stat().st_size / 1e6:.1f} MB  sha256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
