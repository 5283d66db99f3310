"""Write the SBOM of the function's zip beside it, in CycloneDX: the same bytes for the same zip and locks.

CycloneDX's own tool makes it from the lock file. The version and the zip's hash are added here.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rotator import __version__

INFRA = Path(__file__).resolve().parent
PYPROJECT = INFRA.parent / "pyproject.toml"
REQUIREMENTS = INFRA / "requirements.txt"
DEFAULT_ZIP = INFRA.parent / ".build" / "rotator.zip"


class SbomError(Exception):
    """The SBOM could not be written; the text says why."""


def write_sbom(function_zip: Path) -> Path:
    """Write the SBOM and return its path; raises SbomError."""
    if not function_zip.is_file():
        raise SbomError(f"{function_zip} does not exist; build it first with infra/build.py")
    sbom = _requirements()
    digest = hashlib.sha256(function_zip.read_bytes()).hexdigest()
    sbom["metadata"]["component"] |= {
        "version": __version__,
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }
    for tool in sbom["metadata"]["tools"]["components"]:
        del tool["externalReferences"]  # the tool's own pages
    output = function_zip.with_suffix(".cdx.json")
    output.write_text(json.dumps(sbom, indent=2, sort_keys=True) + "\n")
    return output


def _requirements() -> Any:
    """Return the locked requirements as CycloneDX's tool lists them, with hashes and without a host."""
    command = [
        *(sys.executable, "-m", "cyclonedx_py", "requirements", "--output-reproducible"),
        *("--pyproject", str(PYPROJECT), "--index-url", "", str(REQUIREMENTS)),
    ]
    # With this variable the tool would write a time.
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    tool = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if tool.returncode:
        raise SbomError(f"cyclonedx-py could not read {REQUIREMENTS.name}:\n{tool.stderr[-2000:]}")
    return json.loads(tool.stdout)


def main() -> int:
    """Write the SBOM from the command line, and return the exit code."""
    parser = argparse.ArgumentParser(description="Write the SBOM beside the function's zip.")
    parser.add_argument("--zip", type=Path, default=DEFAULT_ZIP)
    try:
        output = write_sbom(parser.parse_args().zip)
    except SbomError as error:
        print(f"sbom: {error}", file=sys.stderr)
        return 1
    print(output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
