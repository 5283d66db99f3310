"""A downloaded zip of the function: that of the release beside whose checksums it lies, or refused."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from pathlib import Path

from infra.code_upload import BUILD
from infra.command import Problem
from rotator import __version__

CHECKSUMS = "SHA256SUMS"
"""The file of a release that has a line for the zip, as `sha256sum` writes and reads them."""

_LINE = re.compile(r"\\?([0-9a-fA-F]{64}) [ *](.+)")
_VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)


def verified(zip_file: Path) -> Path:
    """Return a copy of the zip, whose SHA-256 and version were compared; raises Problem.

    The copy is what was compared, whatever becomes of the download, and lies where uploads begin.
    """
    content = _read(zip_file)
    _check_digest(zip_file.name, hashlib.sha256(content).hexdigest(), _checksums(zip_file))
    _check_version(zip_file.name, content)
    copy = BUILD / "downloaded.zip"
    BUILD.mkdir(exist_ok=True)
    copy.write_bytes(content)
    return copy


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Problem(
            f"{file} cannot be read: {error.strerror}", "give the path of a release's rotator.zip as CODE"
        ) from None


def _checksums(zip_file: Path) -> set[str]:
    """Return the checksums that SHA256SUMS has for a file of this name: one, unless it was tampered with."""
    file = zip_file.with_name(CHECKSUMS)
    if not file.is_file():
        raise Problem(f"there is no {file}", f"download {CHECKSUMS} of the same release beside the zip")
    lines = map(_LINE.fullmatch, _read(file).decode(errors="replace").splitlines())
    found = {line[1].lower() for line in lines if line and line[2] == zip_file.name}
    if not found:
        raise Problem(
            f"{file} has no line for {zip_file.name}", "keep the name that it has in the release: rotator.zip"
        )
    return found


def _check_digest(name: str, digest: str, released: set[str]) -> None:
    if released != {digest}:
        raise Problem(
            f"{name} is not the file that was released: its SHA-256 is {digest}, and {CHECKSUMS} has "
            f"{' and '.join(sorted(released))}",
            "download both again, from the release",
        )


def _check_version(name: str, content: bytes) -> None:
    """Raise Problem unless it is the function's zip, of the version of this checkout's template.

    The function refuses settings that it does not know, which another version's template may give it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.getinfo("botocore/session.py")  # not in the wheel
            version = _VERSION.search(archive.read("rotator/__init__.py").decode())
    except (zipfile.BadZipFile, KeyError):
        version = None
    if version is None:
        raise Problem(f"{name} is not the function's zip", "give a release's rotator.zip as CODE")
    if version[1] != __version__:
        raise Problem(
            f"{name} is of version {version[1]}, and this checkout's template of {__version__}",
            f"check out v{version[1]}, or download v{__version__}",
        )
