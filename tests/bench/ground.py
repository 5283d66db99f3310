"""Where the bench measures: the programs with their byte-code, the stub, and the environment they run in."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from bench import world
from infra import build
from rotator.devstack.http_server import LOOPBACK

HERE = Path(__file__).resolve().parent
COMPARATORS = ("typical.py", "least.py")
TYPICAL = frozenset(
    {
        *("boto3", "botocore", "certifi", "charset-normalizer", "idna", "jmespath"),
        *("python-dateutil", "requests", "s3transfer", "six", "urllib3"),
    }
)
"""What a Lambda with boto3 and requests has."""


@dataclass(frozen=True)
class Ground:
    """What every measurement needs. ``folder`` is the bench's own, to write into."""

    folder: Path
    python: str
    zip_size: int
    ports: Mapping[str, int]

    def path_of(self, module: str) -> Path:
        """Where the module's program is: the zip as it is unpacked, or the whole SDK beside a comparator."""
        return self.folder / ("comparators" if f"{module}.py" in COMPARATORS else "function")

    def environment(self, module: str) -> dict[str, str]:
        """The variables of a measured process, and no others."""
        bundle = str(self.folder / "bundle.pem")
        return {
            "PYTHONPATH": str(self.path_of(module)),
            "AWS_ENDPOINT_URL": f"https://{LOOPBACK}:{self.ports['aws']}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_CA_BUNDLE": bundle,
            "REQUESTS_CA_BUNDLE": bundle,
            "ROTATOR_WRITES_PER_SECOND": "10000",  # as if there were no quota
        }

    def single(self, module: str) -> dict[str, str]:
        """The variables of a process that serves the stub's first rotation."""
        return self.environment(module) | {
            "ROTATOR_SECRET_ID": "bench",
            "ROTATOR_PARAMETER_NAME": world.token_parameter(0),
            "ROTATOR_TOKEN_ENDPOINT": f"https://{LOOPBACK}:{self.ports['token']}/token",
        }

    def multiple(self) -> dict[str, str]:
        """The variables of a function that serves all of the stub's rotations."""
        return self.environment("rotator.handler") | {"ROTATOR_ROTATIONS_PATH": world.DOCUMENTS}

    def fill(self, rotations: int, *, due: bool) -> None:
        """Let the stub hold this many rotations, and forget what was called."""
        self._control("/fill", rotations=rotations, due=due)

    def calls(self) -> dict[str, int]:
        """The calls by operation since this was last asked for."""
        return self._control("/counts")

    def _control(self, path: str, **parameters: Any) -> dict[str, int]:
        url = f"http://{LOOPBACK}:{self.ports['control']}{path}"
        request = Request(url, json.dumps(parameters).encode())
        with build_opener(ProxyHandler({})).open(request, timeout=60) as answer:
            counts: dict[str, int] = json.load(answer)
        return counts


@contextmanager
def prepared() -> Iterator[Ground]:
    """Build everything into a folder, start the stub, and remove both at the end."""
    with tempfile.TemporaryDirectory(prefix="rotator-bench-") as name:
        folder = Path(name)
        python = build.find_compiler(os.environ.get("PYTHON313")) or sys.executable
        build.build(folder / "rotator.zip", python)
        with zipfile.ZipFile(folder / "rotator.zip") as archive:
            archive.extractall(folder / "function")
        _install_comparators(folder / "comparators", python)
        with _stub(folder) as ports:
            yield Ground(folder, python, (folder / "rotator.zip").stat().st_size, ports)


def _install_comparators(folder: Path, python: str) -> None:
    """Put them beside the SDK as pip installs it, of the very versions that the function has."""
    requirements = folder.with_suffix(".txt")
    requirements.write_text(_locked(TYPICAL))
    build._install_requirements(folder, requirements)
    for name in COMPARATORS:
        shutil.copy(HERE / name, folder)
    build._compile(folder, python)


def _locked(names: Iterable[str]) -> str:
    """The part of the tests' lock file that is about these packages."""
    entries = re.split(r"\n(?=\S)", (HERE.parent / "requirements.txt").read_text())
    return "\n".join(entry for entry in entries if entry.partition("==")[0] in names)


@contextmanager
def _stub(folder: Path) -> Iterator[dict[str, int]]:
    """Start the stub; it ends with its standard input."""
    roots = (str(HERE.parent), str(HERE.parent.parent))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(roots)}
    command = [sys.executable, "-m", "bench.stub", str(folder)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as stub:
        assert stub.stdin
        assert stub.stdout
        try:
            ports: dict[str, int] = json.loads(stub.stdout.readline())
            yield ports
        finally:
            stub.stdin.close()
            stub.wait(10)
