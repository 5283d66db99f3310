"""``make release``: the same bytes from another folder, and nothing of a tag that is not this version's."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from conftest import CHECKOUT
from infra import build, release, sbom
from infra.command import Problem
from infra.function_code import CHECKSUMS
from packaging_environment import AS_STARTED, copy_checkout
from rotator import __version__

TAG = f"v{__version__}"


def make_release(folder: Path, *arguments: str, umask: int, **variables: str) -> Path:
    """Run `make release` in a copy of the checkout, with the environment of these tests as its .venv."""
    done = subprocess.run(
        ["make", "--no-print-directory", "release", *arguments],
        cwd=folder,
        env={**AS_STARTED, **variables},
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == (folder / "dist" / CHECKSUMS).read_text()
    return folder / "dist"


def checkout_in(folder: Path) -> Path:
    copy_checkout(folder)
    shutil.copytree(CHECKOUT / "tests", folder / "tests", ignore=lambda *_: ["node", "__pycache__"])
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (folder / ".venv" / ".test").touch()
    return folder


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a release that was built in another folder and environment, over an older release."""
    if build.find_compiler() is None:
        pytest.skip(f"this machine has no Python {build.PYTHON_VERSION}")
    folder = checkout_in(tmp_path_factory.mktemp("another") / "place")
    (folder / "dist").mkdir()
    (folder / "dist" / "left-over.whl").touch()
    for source in folder.rglob("*.py"):
        source.chmod(0o600)
    elsewhere = {"SOURCE_DATE_EPOCH": "1", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "1"}
    return make_release(folder, f"TAG={TAG}", umask=0o077, **elsewhere)


def test_release_is_the_same_bytes_from_another_folder(
    released: Path, function_zip: Path, wheel: Path, tmp_path: Path
) -> None:
    zip_file = Path(shutil.copy(function_zip, tmp_path))
    here = [zip_file, sbom.write_sbom(zip_file), wheel, build.INFRA / "template.yaml"]
    assert [each.name for each in here if (released / each.name).read_bytes() != each.read_bytes()] == []


def test_release_has_zip_sbom_template_wheel_and_checksums(released: Path) -> None:
    wheel = f"oauth_token_rotator-{__version__}-py3-none-any.whl"
    others = {"rotator.zip", "rotator.cdx.json", "template.yaml", wheel}
    assert {path.name for path in released.iterdir()} == {*others, "SHA256SUMS"}
    lines = (released / "SHA256SUMS").read_text().splitlines()
    assert lines == [
        f"{hashlib.sha256((released / name).read_bytes()).hexdigest()}  {name}" for name in sorted(others)
    ]


def test_released_zip_has_byte_code(released: Path) -> None:
    with zipfile.ZipFile(released / "rotator.zip") as archive:
        assert [name for name in archive.namelist() if name.endswith(f".{build.CACHE_TAG}.pyc")]


@pytest.fixture
def dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the built files, which does not exist yet."""
    monkeypatch.setattr(release, "DIST", tmp_path / "dist")
    return tmp_path / "dist"


def test_release_without_the_functions_python_is_refused(dist: Path) -> None:
    with pytest.raises(Problem):
        release.release(compiler=None)
    assert not dist.exists()


def test_failed_build_keeps_the_release_before(dist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise Problem("pip could not install", "fix it", exit_code=1)

    monkeypatch.setattr(build, "build", fail)
    dist.mkdir()
    (dist / "rotator.zip").touch()
    with pytest.raises(Problem) as failed:
        release.release(compiler=sys.executable)
    assert failed.value.exit_code == 1
    assert [path.name for path in dist.iterdir()] == ["rotator.zip"]


@pytest.mark.parametrize("tag", ["", "v", __version__, f"{TAG}.1", f"{TAG}rc1", "v0.1.0", f"{TAG}\n"])
def test_tag_of_another_version_builds_nothing(tag: str, dist: Path) -> None:
    with pytest.raises(Problem) as refused:
        release.release(compiler=sys.executable, tag=tag)
    assert refused.value.exit_code == 2
    assert not dist.exists()


@pytest.mark.parametrize(
    "changelog",
    ["# Changelog\n", f"## Unreleased\n\n## {__version__}\n", f"### {__version__}\n", f"## {__version__}1\n"],
    ids=["no section", "unreleased changes", "a section below", "another version"],
)
def test_tag_without_its_section_of_the_changelog_is_refused(changelog: str) -> None:
    with pytest.raises(Problem):
        release.check_tag(TAG, changelog)


def test_changelog_has_a_section_for_this_version() -> None:
    versions = re.findall(r"^## (\d\S*)", release.CHANGELOG.read_text(), re.MULTILINE)
    assert versions[0] == __version__
    assert versions[-1] == "0.1.0"
