"""Write the SBOM of the function's zip beside it, in CycloneDX: the same bytes for the same zip and locks.

CycloneDX's own tool makes it from the lock file. The version and the zip's hash are added here.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

from infra.build import INFRA, OUTPUT, REQUIREMENTS
from infra.command import Problem, run, tool, without_variables
from rotator import __version__


def write_sbom(function_zip: Path) -> Path:
    """Write the SBOM and return its path; raises Problem."""
    if not function_zip.is_file():
        raise Problem(f"{function_zip} does not exist", "run `make build`", exit_code=1)
    command = [
        *(sys.executable, "-m", "cyclonedx_py", "requirements", "--output-reproducible"),
        *("--pyproject", str(INFRA.parent / "pyproject.toml"), "--index-url", "", str(REQUIREMENTS)),
    ]
    # With this variable the tool would write a time.
    environ = without_variables("SOURCE_DATE_EPOCH")
    sbom = json.loads(tool(command, f"cyclonedx-py could not read {REQUIREMENTS.name}", environ))
    digest = hashlib.sha256(function_zip.read_bytes()).hexdigest()
    sbom["metadata"]["component"] |= {
        "version": __version__,
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }
    for part in sbom["metadata"]["tools"]["components"]:
        del part["externalReferences"]  # the tool's own pages
    output = function_zip.with_suffix(".cdx.json")
    output.write_text(json.dumps(sbom, indent=2, sort_keys=True) + "\n")
    return output


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the SBOM beside the function's zip.")
    parser.add_argument("--zip", type=Path, default=OUTPUT)
    options = parser.parse_args()
    sys.exit(run("sbom", lambda: print(write_sbom(options.zip))))
