"""The function's code: built here or downloaded, uploaded to a bucket, and compared with what Lambda runs.

A principal that can write to the bucket decides what the function runs. So an existing object is replaced,
and the hash of Lambda's code is compared with the hash of the zip.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

from infra import build
from infra.aws_cli import DENIED, Cli, CliError
from infra.command import Problem
from rotator import __version__

BUILD = (sys.executable, "-m", "infra.build")

CHECKSUMS = "SHA256SUMS"
"""The file of a release that has a line for the zip, as `sha256sum` writes and reads them."""

_LINE = re.compile(r"\\?([0-9a-fA-F]{64}) [ *](.+)")
_VERSION = re.compile(r'^__version__ = "([\w.+-]+)"$', re.MULTILINE | re.ASCII)


def built() -> Path:
    """Build the zip and return its path; raises Problem."""
    if subprocess.run(BUILD, cwd=build.PACKAGE.parent, check=False).returncode:
        raise Problem(
            "the zip could not be built, and nothing was deployed", "fix the error above", exit_code=1
        )
    return build.OUTPUT


def verified(zip_file: Path) -> Path:
    """Return a copy of the zip after comparing its SHA-256 and version; raises Problem.

    A later change of the download does not affect the copy.
    """
    content = _read(zip_file)
    digest, released = hashlib.sha256(content).hexdigest(), _checksums(zip_file)
    if released != {digest}:
        raise Problem(
            f"{zip_file.name} is not the released file: its SHA-256 is {digest}, but {CHECKSUMS} has "
            f"{' and '.join(sorted(released))}",
            "download both files of the release again",
        )
    version = _version(content)
    if version is None:
        raise Problem(f"{zip_file.name} is not the function's zip", "set CODE to a release's rotator.zip")
    if version != __version__:
        # The template of another version may set variables that the function refuses as unknown.
        raise Problem(
            f"{zip_file.name} is of version {version}, but the template in this checkout is of {__version__}",
            f"check out v{version}, or download v{__version__}",
        )
    copy = build.OUTPUT.with_name("downloaded.zip")
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(content)
    return copy


def upload(cli: Cli, zip_file: Path, bucket: str) -> str:
    """Upload the zip and return its key, which is the same for the same zip; raises Problem.

    It is encrypted with S3's own key, which needs no permission, also if the bucket's default is another.
    """
    key = f"rotator/{hashlib.sha256(zip_file.read_bytes()).hexdigest()}.zip"
    cli.run(
        *("s3", "cp", "--only-show-errors", "--sse", "AES256", str(zip_file), f"s3://{bucket}/{key}"),
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


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        step = "set CODE to the path of a release's rotator.zip"
        raise Problem(f"{file} cannot be read: {error.strerror}", step) from None


def _checksums(zip_file: Path) -> set[str]:
    """Return the checksums in SHA256SUMS for a file of this name: one, unless the file was changed."""
    file = zip_file.with_name(CHECKSUMS)
    if not file.is_file():
        step = f"download {CHECKSUMS} of the same release to the zip's folder"
        raise Problem(f"{file} does not exist", step)
    lines = map(_LINE.fullmatch, _read(file).decode(errors="replace").splitlines())
    found = {line[1].lower() for line in lines if line and line[2] == zip_file.name}
    if not found:
        step = "keep the zip's name in the release: rotator.zip"
        raise Problem(f"{file} has no line for {zip_file.name}", step)
    return found


def _version(content: bytes) -> str | None:
    """Return the version of a zip of the function, None for another file."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.getinfo("botocore/session.py")  # not in the wheel
            with archive.open("rotator/__init__.py") as file:
                # More is not read: a few bytes of a zip can unpack to gigabytes.
                found = _VERSION.search(file.read(4096).decode(errors="replace"))
    # Of a damaged, encrypted or unknown archive, and of one without the file.
    except (zipfile.BadZipFile, zlib.error, LookupError, RuntimeError, EOFError):
        return None
    return found[1] if found else None
