"""The SBOM beside the zip: what is locked, no more and no less, and the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from infra import sbom
from infra.build import INFRA, REQUIREMENTS
from rotator import __version__
from rotator.extras import DISTRIBUTION


def write_sbom(function_zip: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, sbom.__file__, "--zip", str(function_zip)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def written(
    function_zip: Path, tmp_path_factory: pytest.TempPathFactory, clean_environment: Mapping[str, str]
) -> Path:
    """The SBOM of the function's zip."""
    zip_file = Path(shutil.copy(function_zip, tmp_path_factory.mktemp("sbom")))
    run = write_sbom(zip_file, clean_environment)
    assert run.returncode == 0, run.stderr
    return zip_file.with_name("rotator.cdx.json")


def hashes(component: Mapping[str, Any]) -> set[str]:
    links = component.get("externalReferences", ())
    return {each["content"] for link in links for each in link["hashes"] if each["alg"] == "SHA-256"}


def test_sbom_is_valid_cyclonedx(written: Path) -> None:
    text = written.read_text()
    schema = JsonStrictValidator(SchemaVersion.from_version(json.loads(text)["specVersion"]))
    assert schema.validate_str(text) is None
    assert schema.validate_str(text.replace('"SHA-256"', '"SHA"')) is not None


def test_components_are_the_locked_requirements_with_hashes(written: Path) -> None:
    locked = re.findall(
        r"^([\w.-]+)==(\S+) \\\n((?:    --hash=.*\n?)+)", REQUIREMENTS.read_text(), re.MULTILINE
    )
    components = json.loads(written.read_text())["components"]
    assert sorted(
        (each["name"], each["version"], each["purl"], hashes(each)) for each in components
    ) == sorted(
        (name, version, f"pkg:pypi/{name}@{version}", set(re.findall(r"sha256:(\w{64})", lines)))
        for name, version, lines in locked
    )


def test_sbom_describes_this_version_and_zip(written: Path, function_zip: Path) -> None:
    main = json.loads(written.read_text())["metadata"]["component"]
    assert (main["name"], main["version"]) == (DISTRIBUTION, __version__)
    [digest] = main["hashes"]
    assert digest == {"alg": "SHA-256", "content": hashlib.sha256(function_zip.read_bytes()).hexdigest()}


def test_sbom_names_no_folder_and_only_the_schema_host(written: Path) -> None:
    text = written.read_text()
    assert re.findall(r"\w+://([^/\"]+)", text) == ["cyclonedx.org"]
    assert str(INFRA.parent) not in text
    assert os.fspath(written.parent) not in text


def test_missing_zip_writes_no_sbom_and_says_to_build_first(
    tmp_path: Path, clean_environment: Mapping[str, str]
) -> None:
    run = write_sbom(tmp_path / "rotator.zip", clean_environment)
    assert (run.returncode, run.stdout) == (1, "")
    assert "run `make build`" in run.stderr
    assert list(tmp_path.iterdir()) == []
