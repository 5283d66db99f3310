"""The function's code: built here, uploaded to a bucket, and compared with the code that the function runs.

A principal that can write to the bucket decides what the function runs. So an existing object is never used,
and the hash of Lambda's code is compared with the hash of the zip.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
from pathlib import Path

from infra import packaging
from infra.aws_cli import DENIED, Cli, CliError
from infra.command import Problem

INFRA = Path(__file__).resolve().parent
BUILD = INFRA.parent / ".build"
UPLOAD = ("--s3-prefix", "rotator", "--force-upload")
"""The options of each command that uploads. Without --force-upload the CLI keeps an existing object."""


def build() -> Path:
    """Build the zip and return its path; raises Problem."""
    zip_file = BUILD / "rotator.zip"
    if subprocess.run([sys.executable, INFRA / "build.py", "--output", zip_file], check=False).returncode:
        raise Problem(
            "the zip could not be built, and nothing was deployed", "fix the error above", exit_code=1
        )
    return zip_file


def package(cli: Cli, template: str, zip_file: Path, bucket: str) -> Path:
    """Upload the zip, and return the path of the template that refers to it; raises Problem."""
    local, packaged = zip_file.with_name("package.yaml"), zip_file.with_name("packaged.yaml")
    local.write_text(packaging.with_local_code(template, zip_file.name))
    try:
        cli.run(
            *("cloudformation", "package", "--template-file", str(local), "--s3-bucket", bucket),
            *UPLOAD,
            *("--output-template-file", str(packaged)),
        )
    except CliError as error:
        raise error.problem("the zip could not be uploaded to the bucket", exit_code=1) from None
    return packaged


def check(cli: Cli, function: str, zip_file: Path) -> None:
    """Raise Problem if the function runs other code than the zip; print a line if reading it is denied.

    https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html: CodeSha256
    """
    built = base64.b64encode(hashlib.sha256(zip_file.read_bytes()).digest()).decode()
    try:
        runs = cli.read(
            *("lambda", "get-function-configuration", "--function-name", function, "--query", "CodeSha256")
        )
    except CliError as error:
        if error.code not in DENIED:
            raise error.problem(
                "the stack was deployed, but the function's code could not be verified", exit_code=1
            ) from None
        print(f"the function's code was not verified: allow this caller {error.permission}")
        return
    if runs != built:
        ours = f"fileb://{zip_file.parent.name}/{zip_file.name}"
        raise Problem(
            f"the function runs other code than the zip: its SHA-256 is {runs}, not {built}",
            "check who can write to the bucket, then upload the right code: aws lambda update-function-code "
            f"--function-name {function} --zip-file {ours}, and deploy again",
            exit_code=1,
        )
