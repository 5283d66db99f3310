"""The function's zip: the same bytes anywhere, nothing superfluous in it, nothing missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from email import message_from_bytes
from importlib.metadata import version
from pathlib import Path

import pytest

from infra import build

AS_STARTED = dict(os.environ)
"""With the proxy and the package index of whoever runs the tests: pip needs them."""

NOT_FOR_LAMBDA = re.compile(
    r"rotator/(local/|simulation/|doctor/|adapters/inspector\.py|cli\.py|report\.py|__main__\.py)"
    r"|(tests|click|rich|ministack|authlib|flask)\b"
    r"|.*\.(so|pyd|pyc)$|(.*/)?__pycache__/",
    re.IGNORECASE,
)


@pytest.fixture(scope="session")
def archive(function_zip: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(function_zip)


@pytest.fixture
def locked() -> list[str]:
    """The lock file's requirements, each on one line."""
    text = build.REQUIREMENTS.read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_another_build_elsewhere_gives_the_same_bytes(function_zip: Path, tmp_path: Path) -> None:
    again = tmp_path / "elsewhere" / "again.zip"
    subprocess.run(
        [sys.executable, build.__file__, "--output", str(again)],
        env={**AS_STARTED, "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "1"},
        cwd=tmp_path,
        umask=0o077,
        check=True,
        capture_output=True,
    )
    assert again.read_bytes() == function_zip.read_bytes()


def test_every_file_has_the_same_time_and_mode(archive: zipfile.ZipFile) -> None:
    assert {(f.date_time, oct(f.external_attr >> 16)) for f in archive.infolist()} == {
        ((1980, 1, 1, 0, 0, 0), oct(0o100644))
    }


def test_nothing_is_in_it_that_the_function_does_not_use(archive: zipfile.ZipFile) -> None:
    assert [name for name in archive.namelist() if NOT_FOR_LAMBDA.match(name)] == []


def test_only_services_that_are_called_have_their_descriptions(archive: zipfile.ZipFile) -> None:
    folders = [name.split("/") for name in archive.namelist() if name.startswith("botocore/data/")]
    assert {folder[2] for folder in folders if len(folder) > 3} == build.SDK_SERVICES


def test_it_is_small(function_zip: Path) -> None:
    assert function_zip.stat().st_size < 4_000_000


def test_every_requirement_is_pinned_with_a_hash(locked: list[str]) -> None:
    pinned = re.compile(r"[a-z0-9.-]+==[\w.]+(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert locked
    assert [line for line in locked if not pinned.fullmatch(line)] == []


def test_the_lock_file_names_no_host() -> None:
    text = build.REQUIREMENTS.read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|--trusted-host", text)


def test_every_locked_wheel_is_in_it_and_pure(archive: zipfile.ZipFile, locked: list[str]) -> None:
    wheels = {name.split("-")[0]: name for name in archive.namelist() if name.endswith(".dist-info/WHEEL")}
    assert wheels.keys() == {line.split("==")[0].replace("-", "_") for line in locked}
    for name in wheels.values():
        wheel = message_from_bytes(archive.read(name))
        tags = set(wheel.get_all("Tag", []))
        assert wheel["Root-Is-Purelib"] == "true", name
        assert "py3-none-any" in tags <= {"py2-none-any", "py3-none-any"}, name


def test_its_sdk_is_the_one_the_tests_run(archive: zipfile.ZipFile) -> None:
    assert f"botocore-{version('botocore')}.dist-info/METADATA" in archive.namelist()


def test_all_of_it_runs_with_nothing_else_installed(
    unpacked: Path, clean_environment: Mapping[str, str]
) -> None:
    script = """
import importlib, pkgutil, sys
sys.path.append(sys.argv[1])
import rotator
for module in pkgutil.walk_packages(rotator.__path__, "rotator."):
    importlib.import_module(module.name)
from rotator.adapters import aws
from rotator.handler import lambda_handler
print(*(aws.client(service).meta.service_model.service_name for service in ("ssm", "secretsmanager")))
"""
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", script, str(unpacked)],
        env={**clean_environment, "AWS_DEFAULT_REGION": "eu-central-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.stdout, run.stderr) == ("ssm secretsmanager\n", "")


def test_a_wrong_hash_stops_the_build_and_leaves_no_zip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tampered = tmp_path / "requirements.txt"
    tampered.write_text(re.sub(r"sha256:\w{64}", "sha256:" + "0" * 64, build.REQUIREMENTS.read_text()))
    monkeypatch.setattr(build, "REQUIREMENTS", tampered)
    for name, value in AS_STARTED.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(build.BuildError, match="DO NOT MATCH THE HASHES"):
        build.build(tmp_path / "output" / "rotator.zip")
    assert list(tmp_path.iterdir()) == [tampered]
