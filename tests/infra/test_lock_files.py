"""What tests, linters and checkov run on is locked, and the locks are used and up to date."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conftest import CHECKOUT

FUNCTION = CHECKOUT / "infra" / "requirements.txt"
TESTS = CHECKOUT / "tests" / "requirements.txt"
CHECKOV = CHECKOUT / "infra" / "checkov.txt"
NODE = CHECKOUT / "tests" / "node" / "package-lock.json"
LOCKED_GROUPS = ("build", "test", "lint")


def locked(file: Path) -> list[str]:
    """The lock file's requirements, each on one line."""
    text = file.read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def pins(file: Path) -> dict[str, set[str]]:
    """The versions of each requirement: more than one where they differ by Python or platform."""
    found: dict[str, set[str]] = {}
    for line in locked(file):
        name, version = line.split()[0].split("==")
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


@pytest.mark.parametrize("file", [TESTS, CHECKOV], ids=lambda file: file.name)
def test_every_requirement_is_pinned_with_a_hash(file: Path) -> None:
    pinned = re.compile(r"[a-z0-9.-]+==[\w.]+( ; [^-]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert locked(file)
    assert [line for line in locked(file) if not pinned.fullmatch(line)] == []


@pytest.mark.parametrize("file", [TESTS, CHECKOV, NODE], ids=lambda file: file.name)
def test_no_lock_file_names_a_host(file: Path) -> None:
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|--trusted-host", file.read_text())


def test_node_packages_are_hashed_and_run_no_install_scripts() -> None:
    lock = json.loads(NODE.read_text())
    asked = json.loads(NODE.with_name("package.json").read_text())["dependencies"]
    packages = {name.removeprefix("node_modules/"): each for name, each in lock["packages"].items() if name}
    assert {name: packages[name]["version"] for name in asked} == asked
    # A bundled package is in the tarball of the one that bundles it, whose hash covers it.
    hashed = {name for name, each in packages.items() if each.get("integrity", "").startswith("sha512-")}
    bundled = {name for name, each in packages.items() if each.get("inBundle")}
    assert packages.keys() - hashed - bundled == set()
    assert {name.split("/node_modules/")[0] for name in bundled} <= hashed
    assert [name for name, each in packages.items() if each.get("hasInstallScript")] == []


def test_tests_lock_satisfies_project_extras_and_build() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    asked = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    asked += [each for extra in extras.values() for each in extra]
    groups = project["dependency-groups"]
    asked += [each for group in LOCKED_GROUPS for each in groups[group] if isinstance(each, str)]
    found = pins(TESTS)
    for requirement in map(Requirement, asked):
        if requirement.name == project["project"]["name"]:
            assert requirement.extras <= set(extras)
            continue
        versions = found.get(canonicalize_name(requirement.name), {"none"})
        assert all(requirement.specifier.contains(version) for version in versions), (
            f"{requirement}: make lock"
        )


def test_the_tests_run_on_the_versions_that_are_deployed() -> None:
    tests = pins(TESTS)
    assert {name: tests.get(name) for name in pins(FUNCTION)} == pins(FUNCTION)


@pytest.mark.parametrize("target", [".test", ".lint"])
def test_make_installs_from_the_lock_only(target: str, tmp_path: Path) -> None:
    plan = make(f"{tmp_path}/{target}", tmp_path)
    locked_install, own_install = re.findall(r"pip install .*", plan)
    assert {"--require-hashes", "--only-binary=:all:", "tests/requirements.txt"} <= set(
        locked_install.split()
    )
    assert {"--no-deps", "--no-build-isolation", "--editable"} <= set(own_install.split())


def test_make_installs_checkov_apart_and_from_its_own_lock(tmp_path: Path) -> None:
    [install] = re.findall(r"\S+ -m pip install .*", make(f"{tmp_path}/.checkov", tmp_path))
    assert install.startswith(f"{tmp_path}/checkov/bin/python ")
    assert {"--require-hashes", "--only-binary=:all:", "infra/checkov.txt"} <= set(install.split())


def make(target: str, venv: Path) -> str:
    """What make would run for the target in a venv that has nothing yet."""
    return subprocess.run(
        ["make", "--dry-run", f"VENV={venv}", target],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
