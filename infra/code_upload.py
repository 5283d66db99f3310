"""The function's code: built here, uploaded to a bucket, and compared with the code that the function runs.

A principal that can write to the bucket decides what the function runs. So an existing object is replaced,
and the hash of Lambda's code is compared with the hash of the zip.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from infra import build
from infra.aws_cli import DENIED, Cli, CliError
from infra.command import Problem


def built() -> Path:
    """Build the zip and return its path; raises Problem."""
    if build.main([]):
        raise Problem(
            "the zip could not be built, and nothing was deployed", "fix the error above", exit_code=1
        )
    return build.OUTPUT


def upload(cli: Cli, zip_file: Path, bucket: str) -> str:
    """Upload the zip and return its key, which is the same for the same zip; raises Problem."""
    key = f"rotator/{hashlib.sha256(zip_file.read_bytes()).hexdigest()}.zip"
    cli.run(
        *("s3", "cp", "--only-show-errors", str(zip_file), f"s3://{bucket}/{key}"),
        failure="the zip could not be uploaded to the bucket",
        exit_code=1,
    )
    return key


def check(cli: Cli, function: str, zip_file: Path) -> None:
    """Raise Problem if the function runs other code than the zip; print a line if reading it is denied.

    https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html: CodeSha256
    """
    ours = base64.b64encode(hashlib.sha256(zip_file.read_bytes()).digest()).decode()
    try:
        runs = cli.read(
            *("lambda", "get-function-configuration", "--function-name", function, "--query", "CodeSha256"),
            failure="the stack was deployed, but the function's code could not be verified",
            exit_code=1,
        )
    except CliError as error:
        if error.code not in DENIED:
            raise
        print(f"the function's code was not verified: allow this caller {error.permission}")
        return
    if runs != ours:
        raise Problem(
            f"the function runs other code than the zip: its SHA-256 is {runs}, not {ours}",
            "check who can write to the bucket, then upload the right code: aws lambda update-function-code "
            f"--function-name {function} --zip-file fileb://{zip_file.parent.name}/{zip_file.name}, "
            "and deploy again",
            exit_code=1,
        )
