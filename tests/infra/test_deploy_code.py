"""`make deploy CODE=`: a downloaded zip is uploaded as it was released, and nothing else is."""

from __future__ import annotations

import base64
import hashlib
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fake_aws_cli import FakeAws
from infra import build, function_code
from infra.function_code import CHECKSUMS
from operator_account import run_deploy, the_line
from rotator import __version__

Refusal = Callable[[Path], str]


def write_zip(file: Path, version: str = __version__, *, has_sdk: bool = True) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("rotator/__init__.py", f'"""Rotator."""\n\n__version__ = "{version}"\n')
        if has_sdk:
            archive.writestr("botocore/session.py", "")
    return file


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def release(zip_file: Path, line: str = "{digest}  {name}") -> None:
    """Write the checksums beside the zip."""
    others = f"{'0' * 64}  rotator.cdx.json\n{'1' * 64}  old-{zip_file.name}\n"
    text = line.format(digest=digest(zip_file), name=zip_file.name)
    zip_file.with_name(CHECKSUMS).write_text(f"{others}{text}\n")


@pytest.fixture(autouse=True)
def build_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that uploads are made from; nothing may be built."""
    monkeypatch.setattr(build, "OUTPUT", tmp_path / ".build" / "rotator.zip")
    monkeypatch.setattr(function_code, "built", lambda: pytest.fail("it was built"))
    return tmp_path / ".build"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A downloaded zip, still without its checksums."""
    (tmp_path / "downloads").mkdir()
    return write_zip(tmp_path / "downloads" / "rotator.zip")


@pytest.fixture
def refusal(aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Refusal:
    """Deploy, and return the one line; there is no call of AWS at all."""

    def deploy(code: Path) -> str:
        assert run_deploy(environ | {"CODE": str(code)}) == 2
        assert aws.calls == []
        return the_line(capsys)

    return deploy


@pytest.mark.parametrize("line", ["{digest}  {name}", "{digest} *{name}", "{digest}  {name}\r"])
def test_released_zip_is_uploaded_unchanged(
    line: str, code: Path, aws: FakeAws, environ: dict[str, str], build_folder: Path
) -> None:
    release(code, line)
    aws.answers("s3 cp", None)
    runs = base64.b64encode(bytes.fromhex(digest(code))).decode()
    aws.answers("lambda get-function-configuration", runs)
    assert run_deploy(environ | {"CODE": str(code)}) == 0
    uploaded = [str(build_folder / "downloaded.zip"), f"s3://code/rotator/{digest(code)}.zip"]
    assert aws.call("s3 cp")[-2:] == uploaded
    assert digest(build_folder / "downloaded.zip") == digest(code)
    assert sorted(path.name for path in code.parent.iterdir()) == [CHECKSUMS, "rotator.zip"]


def test_function_zip_of_this_checkout_is_accepted(
    code: Path, function_zip: Path, build_folder: Path
) -> None:
    shutil.copy(function_zip, code)
    release(code)
    assert function_code.verified(code) == build_folder / "downloaded.zip"


BAD_SUMS = {
    "another hash": ("0" * 64 + "  {name}", "rotator.zip is not the released file: its SHA-256 is "),
    "two hashes": ("{digest}  {name}\n" + "0" * 64 + "  {name}", "rotator.zip is not the released file"),
    "another name": ("{digest}  other.zip", "has no line for rotator.zip"),
    "a name within a name": ("{digest}  dist/{name}", "has no line for rotator.zip"),
    "another digest": ("d41d8cd98f00b204e9800998ecf8427e  {name}", "has no line for rotator.zip"),
    "no line": ("", "has no line for rotator.zip"),
    "no text": ("\0\x7f", "has no line for rotator.zip"),
}


@pytest.mark.parametrize(("line", "reported"), BAD_SUMS.values(), ids=BAD_SUMS)
def test_zip_without_its_released_hash_is_refused(
    line: str,
    reported: str,
    code: Path,
    refusal: Refusal,
    build_folder: Path,
) -> None:
    release(code, line)
    assert reported in refusal(code)
    assert not build_folder.exists()


def test_changed_zip_is_refused(code: Path, refusal: Refusal) -> None:
    release(code)
    with zipfile.ZipFile(code, "a") as archive:
        archive.writestr("rotator/handler.py", "")
    assert f"its SHA-256 is {digest(code)}, but SHA256SUMS has " in refusal(code)


def test_zip_without_checksums_is_refused(code: Path, refusal: Refusal) -> None:
    assert "SHA256SUMS does not exist; download SHA256SUMS of the same release" in refusal(code)


@pytest.mark.parametrize("name", ["nothing.zip", "."], ids=["missing", "a folder"])
def test_unreadable_zip_is_refused(name: str, code: Path, refusal: Refusal) -> None:
    assert "cannot be read: " in refusal(code.parent / name)


def test_zip_of_another_version_is_refused(code: Path, refusal: Refusal) -> None:
    write_zip(code, "0.1.0")
    release(code)
    assert "rotator.zip is of version 0.1.0" in refusal(code)


@pytest.mark.parametrize("content", ["wheel", "text", "empty zip"])
def test_another_file_of_the_release_is_refused(content: str, code: Path, refusal: Refusal) -> None:
    if content == "wheel":
        write_zip(code, has_sdk=False)
    elif content == "text":
        code.write_text("Resources: {}\n")
    else:
        zipfile.ZipFile(code, "w").close()
    release(code)
    assert "rotator.zip is not the function's zip" in refusal(code)


INIT = "rotator/__init__.py"
LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
"""The first bytes of a file's header, and of its entry in the zip's directory."""


def corrupt(zip_file: Path, *places: tuple[bytes, int, bytes]) -> None:
    """Overwrite bytes of the zip's last file, each at an offset from a header of it."""
    with zipfile.ZipFile(zip_file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("botocore/session.py", "")
        archive.writestr(INIT, f'__version__ = "{__version__}"\n' * 9)
    content = bytearray(zip_file.read_bytes())
    for header, offset, wrong in places:
        start = content.rindex(header) + offset
        content[start : start + len(wrong)] = wrong
    zip_file.write_bytes(content)


@pytest.mark.parametrize(
    "places",
    [
        [(LOCAL, 6, b"\1"), (CENTRAL, 8, b"\1")],
        [(CENTRAL, 10, b"\x63")],
        [(LOCAL, 30 + len(INIT), b"\xff" * 8)],
    ],
    ids=["encrypted", "unknown compression", "damaged"],
)
def test_zip_that_cannot_be_unpacked_is_refused(
    places: list[tuple[bytes, int, bytes]], code: Path, refusal: Refusal
) -> None:
    corrupt(code, *places)
    release(code)
    assert "rotator.zip is not the function's zip" in refusal(code)


@pytest.mark.parametrize(
    "content", [b"\xff", b'__version__ = "\x1b[2J"\n', b"\n" * 9000 + b'__version__ = "1"']
)
def test_zip_without_a_legal_version_is_refused(content: bytes, code: Path, refusal: Refusal) -> None:
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("botocore/session.py", "")
        archive.writestr(INIT, content)
    release(code)
    assert "rotator.zip is not the function's zip" in refusal(code)


@pytest.mark.parametrize("value", ["", " ", "a\nb"], ids=["empty", "space", "two lines"])
def test_code_without_a_path_is_refused(
    value: str, aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_deploy(environ | {"CODE": value}) == 2
    assert the_line(capsys).startswith("deploy: CODE is ")
    assert aws.calls == []
