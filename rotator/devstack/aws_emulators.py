"""The embedded AWS: MiniStack as a process on loopback, with its IAM enforced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from rotator.devstack.http_server import LOOPBACK, free_port

REGION = "us-east-1"
ACCOUNT = "000000000000"
START_SECONDS = 30
STOP_SECONDS = 5

ADMINISTRATOR: Mapping[str, str] = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
"""MiniStack's root user; the keys are public and valid on loopback only."""


def client_environment(endpoint: str, credentials: Mapping[str, str] = ADMINISTRATOR) -> dict[str, str]:
    """Return the variables with which an AWS SDK or CLI calls only the embedded AWS."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        **credentials,
    }


@contextmanager
def running_aws(folder: Path, code: Path | None = None) -> Iterator[str]:
    """Run MiniStack, with its data in the folder, while the body runs; yields its endpoint.

    Args:
        folder: An empty folder.
        code: Where zips of functions are extracted, by default in the folder. MiniStacks may share it.

    Raises:
        RuntimeError: It does not start.
    """
    port = free_port()
    endpoint = f"http://{LOOPBACK}:{port}"
    log = folder / "ministack.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "rotator.devstack.ministack", str(code or folder / "code")],
            env=_environment(folder, port),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # its process group includes the functions that it starts
        )
    try:
        _wait_until_healthy(process, endpoint, log)
        yield endpoint
    finally:
        _stop(process)


def _environment(folder: Path, port: int) -> dict[str, str]:
    """Return MiniStack's variables, with only PATH from the caller, because every function inherits them."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "BIND_HOST": LOOPBACK,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _wait_until_healthy(process: subprocess.Popen[bytes], endpoint: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=2):  # noqa: S310 - loopback
                return
        except OSError:  # includes URLError
            time.sleep(0.1)
    raise RuntimeError(f"the embedded AWS did not start; its log ends with: {log.read_text()[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop MiniStack and every function that it started."""
    for kind in (signal.SIGTERM, signal.SIGKILL):  # SIGKILL for processes that ignore SIGTERM
        with suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=STOP_SECONDS)
