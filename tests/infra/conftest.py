"""The function's zip unpacked, once for each worker, and an account for the AWS CLI."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from fake_aws_cli import FakeAws
from infra import build, function_code, stacks
from operator_account import ACCOUNT, ALL_GIVEN, CODE, NO_STACK, SECRET_ARN, ZIP, stack


@pytest.fixture(scope="session")
def unpacked(function_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip unpacked, as Lambda has it in /var/task: to read, never to write."""
    folder = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(function_zip) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def function_python() -> str:
    """The function's own interpreter, if this machine has it: the one that has compiled the zip."""
    found = build.find_compiler(os.environ.get("PYTHON313"))
    return found or pytest.skip(f"this machine has no Python {build.PYTHON_VERSION}")


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    """An account in which nothing is missing."""
    monkeypatch.setattr(stacks, "POLL_SECONDS", 0)
    fake = FakeAws.install(tmp_path)
    fake.answers("sts get-caller-identity", ACCOUNT)
    fake.answers("s3api head-bucket", {"BucketRegion": "eu-central-1"})
    fake.answers("secretsmanager describe-secret", {"ARN": SECRET_ARN})
    fake.answers("cloudformation describe-stacks", NO_STACK, stack())
    fake.answers("cloudformation deploy", "Successfully created/updated stack - rotator")
    fake.answers("cloudformation list-change-sets", [])
    fake.answers("cloudformation delete-change-set", None)
    fake.answers("cloudformation delete-stack", None)
    fake.answers("lambda get-function-configuration", CODE)
    return fake


@pytest.fixture
def environ(aws: FakeAws) -> dict[str, str]:
    return {"PATH": str(aws.folder), "AWS_REGION": "eu-central-1", **ALL_GIVEN}


@pytest.fixture
def packaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The zip is in the bucket: what comes after is the point."""
    zip_file = tmp_path / "rotator.zip"
    zip_file.write_bytes(ZIP)
    monkeypatch.setattr(function_code, "built", lambda: zip_file)
    monkeypatch.setattr(function_code, "upload", lambda *_: "rotator/1.zip")
