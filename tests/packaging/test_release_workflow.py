"""The workflows: actions by commit, no more permissions than a job needs, and steps that are make targets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from conftest import CHECKOUT

WORKFLOWS = sorted((CHECKOUT / ".github" / "workflows").glob("*.yml"))
WRITES = {"publish": {"contents": "write", "id-token": "write", "attestations": "write"}}


def parsed(file: Path) -> Any:
    text = file.read_text()
    return yaml.safe_load(re.sub(r"^on:", '"on":', text, flags=re.MULTILINE))


RELEASE = parsed(CHECKOUT / ".github" / "workflows" / "release.yml")
JOBS = RELEASE["jobs"]


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in parsed(file)["jobs"].values() for step in job.get("steps", ())]


def commands(job: str) -> list[str]:
    return [step["run"] for step in JOBS[job]["steps"] if "run" in step]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_actions_are_pinned_by_commit_with_their_version(file: Path) -> None:
    uses = re.findall(r"uses: (.+)", file.read_text())
    assert uses
    pinned = re.compile(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\./\.github/workflows/[a-z]+\.yml")
    assert [each for each in uses if not pinned.fullmatch(each)] == []


def test_an_action_has_the_same_commit_in_every_workflow() -> None:
    uses = {each for file in WORKFLOWS for each in re.findall(r"uses: (actions/.+)", file.read_text())}
    assert len({each.partition("@")[0] for each in uses}) == len(uses)


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_commands_contain_no_expression(file: Path) -> None:
    assert [step["run"] for step in steps(file) if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_checkout_keeps_no_credentials(file: Path) -> None:
    checkouts = [step for step in steps(file) if step.get("uses", "").startswith("actions/checkout@")]
    assert [step for step in checkouts if step["with"]["persist-credentials"] is not False] == []


def test_only_the_publishing_job_may_write() -> None:
    assert RELEASE["permissions"] == {}
    expected = {name: WRITES.get(name, {"contents": "read"}) for name in JOBS}
    assert {name: job["permissions"] for name, job in JOBS.items()} == expected
    assert parsed(CHECKOUT / ".github" / "workflows" / "ci.yml")["permissions"] == {"contents": "read"}


def test_publishing_job_runs_nothing_of_the_checkout() -> None:
    assert not [step for step in JOBS["publish"]["steps"] if "checkout" in step.get("uses", "")]
    assert [command.split()[0] for command in commands("publish")] == ["sha256sum", "gh"]


def test_release_is_for_version_tags_alone_and_after_ci() -> None:
    assert RELEASE["on"] == {"push": {"tags": ["v*"]}}
    assert JOBS["ci"]["uses"] == "./.github/workflows/ci.yml"
    assert "workflow_call" in parsed(CHECKOUT / ".github" / "workflows" / "ci.yml")["on"]
    assert (JOBS["build"]["needs"], JOBS["publish"]["needs"]) == ("ci", "build")


def test_ci_of_the_workflows_is_that_of_the_checkout() -> None:
    ci = [step["run"] for step in steps(CHECKOUT / ".github" / "workflows" / "ci.yml") if "run" in step]
    assert ci == ["bash .ci/run"]


def test_release_is_built_by_make_for_its_tag() -> None:
    assert commands("build") == ["python -VV", 'TAG="$GITHUB_REF_NAME" make release']


def test_tag_reaches_the_build_without_expansion(tmp_path: Path) -> None:
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "tests/requirements.txt", ".venv/bin/python", ".venv/.test"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    python.chmod(0o755)
    environment = {**os.environ, "MAKEFLAGS": "--no-print-directory", "GITHUB_REF_NAME": "v1.2.3$(X)"}
    command = ["bash", "-c", commands("build")[-1]]
    printed = subprocess.run(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, check=True)
    assert printed.stdout.decode().splitlines() == ["-m", "infra.release", "--tag=v1.2.3$(X)"]


def test_what_is_built_is_attested_and_attached() -> None:
    [upload] = (step["with"] for step in JOBS["build"]["steps"] if "upload-artifact" in step.get("uses", ""))
    actions = {
        step["uses"].partition("@")[0]: step["with"] for step in JOBS["publish"]["steps"] if "uses" in step
    }
    assert upload["path"] == "dist/"
    assert actions["actions/download-artifact"] == {"name": upload["name"], "path": "dist"}
    assert actions["actions/attest-build-provenance"] == {"subject-checksums": "dist/SHA256SUMS"}
    assert " dist/* " in commands("publish")[-1]
