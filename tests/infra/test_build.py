"""The function's zip: the same bytes anywhere, nothing superfluous in it, nothing missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from email import message_from_bytes
from fnmatch import fnmatch
from importlib.metadata import version
from modulefinder import ModuleFinder
from pathlib import Path, PurePosixPath

import pytest

from infra import build, trimmed_sdk
from infra.command import Problem

AS_STARTED = dict(os.environ)
"""With the user's proxy and package index, which pip needs."""

NOT_FOR_LAMBDA = re.compile(
    r"rotator/(cli|consumer|devstack|doctor|simulation|adapters/operator)/|rotator/__main__\.py"
    r"|(tests|click|rich|ministack|authlib|flask|boto3|s3transfer)\b"
    r"|.*\.(so|pyd)$|.*(?<!\.cpython-313)\.pyc$|(.*/)?__pycache__/.*(?<!\.pyc)$",
    re.IGNORECASE,
)


@pytest.fixture(scope="session")
def archive(function_zip: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(function_zip)


UNCHECKED_HASH = b"\x01\0\0\0"
"""PEP 552: a .pyc of this kind is used whatever has become of its source."""

IMPORT_ALL_OF_IT = """
import importlib, pkgutil, sys
sys.path.append(sys.argv[1])
import rotator
for module in pkgutil.walk_packages(rotator.__path__, "rotator."):
    importlib.import_module(module.name)
from rotator.adapters.runtime import aws_client
from rotator.handler import lambda_handler
print(*(aws_client.client(service).meta.service_model.service_name for service in ("ssm", "secretsmanager")))
"""

SDK = {"botocore", "jmespath"}


def import_all_of_it(
    python: str, task: Path, environment: Mapping[str, str], *options: str
) -> subprocess.CompletedProcess[str]:
    """Import all of the unpacked zip with nothing else installed; prints the services it has clients of."""
    return subprocess.run(
        [python, "-I", "-S", *options, "-c", IMPORT_ALL_OF_IT, str(task)],
        env={**environment, "AWS_DEFAULT_REGION": "eu-central-1"},
        capture_output=True,
        text=True,
        check=False,
    )


def cache_from_source(source: str) -> str:
    """Where Python 3.13 looks for a source's byte-code."""
    path = PurePosixPath(source)
    return str(path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc")


def executable(file: Path, script: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def locked() -> list[str]:
    """The lock file's requirements, each on one line."""
    text = build.REQUIREMENTS.read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_build_removes_the_previous_sbom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_install_requirements", lambda _stage, _requirements: None)
    monkeypatch.setattr(build, "_drop_unused", lambda _stage: None)
    monkeypatch.setattr(trimmed_sdk, "cut", lambda _data: None)
    (tmp_path / "rotator.cdx.json").write_text("the hash of another zip")
    build.build(tmp_path / "rotator.zip")
    assert [file.name for file in tmp_path.iterdir()] == ["rotator.zip"]


def test_every_file_has_the_same_time_and_mode(archive: zipfile.ZipFile) -> None:
    assert {(f.date_time, oct(f.external_attr >> 16)) for f in archive.infolist()} == {
        ((1980, 1, 1, 0, 0, 0), oct(0o100644))
    }


def test_zip_has_no_unused_files(archive: zipfile.ZipFile) -> None:
    assert [name for name in archive.namelist() if NOT_FOR_LAMBDA.match(name)] == []


def test_zip_modules_are_those_the_handler_imports(archive: zipfile.ZipFile) -> None:
    finder = ModuleFinder(path=[str(build.PACKAGE.parent)])
    finder.run_script(str(build.PACKAGE / "handler.py"))
    reachable = {name for name in finder.modules if name.partition(".")[0] == "rotator"}
    files = [Path(name).with_suffix("") for name in archive.namelist() if fnmatch(name, "rotator/*.py")]
    modules = {".".join(file.parts).removesuffix(".__init__") for file in files}
    assert modules == reachable | {"rotator.handler"}


def test_zip_describes_only_the_called_services(archive: zipfile.ZipFile) -> None:
    folders = [name.split("/") for name in archive.namelist() if name.startswith("botocore/data/")]
    assert {folder[2] for folder in folders if len(folder) > 3} == trimmed_sdk.SERVICES


def test_zip_is_below_3_5_megabytes(function_zip: Path) -> None:
    assert function_zip.stat().st_size < 3_500_000


def test_zip_without_the_sdk_is_at_most_2_5_megabytes(archive: zipfile.ZipFile, function_python: str) -> None:
    ours = [f for f in archive.infolist() if re.split("[/-]", f.filename)[0] not in SDK]
    assert any(f.filename.endswith(".pyc") for f in ours)
    assert sum(f.compress_size for f in ours) <= 2_500_000


def test_every_source_has_its_byte_code(archive: zipfile.ZipFile, function_python: str) -> None:
    names = archive.namelist()
    compiled = {cache_from_source(name) for name in names if name.endswith(".py")}
    assert {name for name in names if name.endswith(".pyc")} == compiled


def test_byte_code_is_unchecked_and_names_the_lambda_path(
    archive: zipfile.ZipFile, function_python: str
) -> None:
    for source in (name for name in archive.namelist() if name.endswith(".py")):
        compiled = archive.read(cache_from_source(source))
        assert compiled[4:8] == UNCHECKED_HASH, source
        assert f"/var/task/{source}".encode() in compiled, source
        assert b"rotator-build-" not in compiled, source


def test_python_3_13_runs_the_zip_from_byte_code_alone(
    function_zip: Path, tmp_path: Path, function_python: str, clean_environment: Mapping[str, str]
) -> None:
    with zipfile.ZipFile(function_zip) as archive:
        archive.extractall(tmp_path)
    for source in tmp_path.rglob("*.py"):
        source.write_text("raise SystemExit(f'compiled from {__file__}')")
    files = set(tmp_path.rglob("*"))
    run = import_all_of_it(function_python, tmp_path, clean_environment)
    assert (run.stdout, run.stderr) == ("ssm secretsmanager\n", "")
    assert set(tmp_path.rglob("*")) == files


def test_compiler_search_skips_a_shim_without_a_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = executable(tmp_path / "shims" / "python3.13", "echo 'not installed' >&2; exit 127")
    monkeypatch.setenv("PATH", str(shim.parent))
    monkeypatch.setattr(sys, "executable", str(executable(tmp_path / "python", "echo cpython-311")))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert build.find_compiler() is None
    own = executable(tmp_path / ".pyenv" / "versions" / "3.13.9" / "bin" / "python", "echo cpython-313")
    assert build.find_compiler() == str(own)


@pytest.mark.parametrize("script", ["echo cpython-312", "exit 1", None])
def test_given_compiler_must_run_python_3_13(script: str | None, tmp_path: Path) -> None:
    named = tmp_path / "python"
    if script:
        executable(named, script)
    with pytest.raises(Problem, match=r"is not Python 3\.13"):
        build.find_compiler(str(named))


def test_build_without_a_compiler_warns_about_cold_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module, step in ((build, "_install_requirements"), (build, "_drop_unused"), (trimmed_sdk, "cut")):
        monkeypatch.setattr(module, step, lambda *_: None)
    monkeypatch.setattr(build, "find_compiler", lambda named: None)
    output = tmp_path / "rotator.zip"
    assert build.main(["--output", str(output)]) == 0
    names = zipfile.ZipFile(output).namelist()
    assert "rotator/handler.py" in names
    assert [name for name in names if name.endswith(".pyc")] == []
    [note] = capsys.readouterr().err.splitlines()
    assert "Python 3.13 was not found" in note
    assert "a cold start takes about twice as long" in note
    assert "PYTHON313=" in note


def test_every_requirement_is_pinned_with_a_hash(locked: list[str]) -> None:
    pinned = re.compile(r"[a-z0-9.-]+==[\w.]+(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert locked
    assert [line for line in locked if not pinned.fullmatch(line)] == []


def test_the_lock_file_names_no_host() -> None:
    text = build.REQUIREMENTS.read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|--trusted-host", text)


def test_zip_contains_every_locked_wheel_in_pure_python(archive: zipfile.ZipFile, locked: list[str]) -> None:
    wheels = {name.split("-")[0]: name for name in archive.namelist() if name.endswith(".dist-info/WHEEL")}
    assert wheels.keys() == {line.split("==")[0].replace("-", "_") for line in locked}
    for name in wheels.values():
        wheel = message_from_bytes(archive.read(name))
        tags = set(wheel.get_all("Tag", []))
        assert wheel["Root-Is-Purelib"] == "true", name
        assert "py3-none-any" in tags <= {"py2-none-any", "py3-none-any"}, name


def test_zip_sdk_is_the_version_under_test(archive: zipfile.ZipFile) -> None:
    assert f"botocore-{version('botocore')}.dist-info/METADATA" in archive.namelist()


def test_zip_imports_without_other_packages(unpacked: Path, clean_environment: Mapping[str, str]) -> None:
    run = import_all_of_it(sys.executable, unpacked, clean_environment, "-B")
    assert (run.stdout, run.stderr) == ("ssm secretsmanager\n", "")


def test_a_wrong_hash_stops_the_build_and_leaves_no_zip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tampered = tmp_path / "requirements.txt"
    tampered.write_text(re.sub(r"sha256:\w{64}", "sha256:" + "0" * 64, build.REQUIREMENTS.read_text()))
    monkeypatch.setattr(build, "REQUIREMENTS", tampered)
    for name, value in AS_STARTED.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Problem, match="DO NOT MATCH THE HASHES"):
        build.build(tmp_path / "output" / "rotator.zip")
    assert list(tmp_path.iterdir()) == [tampered]
