"""AWS, embedded: MiniStack as a process of our own on loopback, its IAM enforced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from rotator.devstack.server import LOOPBACK, free_port

REGION = "us-east-1"
ACCOUNT = "000000000000"
START_SECONDS = 30
STOP_SECONDS = 5

ADMINISTRATOR: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}
"""MiniStack's root user: known to everyone, and of use only on loopback."""


def client_environment(endpoint: str, credentials: Mapping[str, str] = ADMINISTRATOR) -> dict[str, str]:
    """The variables with which any AWS SDK or CLI talks to the embedded AWS and to nothing else."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        **credentials,
    }


@contextmanager
def running_aws(folder: Path) -> Iterator[str]:
    """Run MiniStack while the body runs; gives its endpoint. It keeps everything in the folder.

    Raises RuntimeError if it does not start.
    """
    port = free_port()
    endpoint = f"http://{LOOPBACK}:{port}"
    log = folder / "ministack.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "rotator.devstack.ministack"],
            env=_environment(folder, port),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, with the functions it starts
        )
    try:
        _wait_until_healthy(process, endpoint, log)
        yield endpoint
    finally:
        _stop(process)


def _environment(folder: Path, port: int) -> dict[str, str]:
    """Nothing of the caller's but PATH: what is here, every function inherits."""
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
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _wait_until_healthy(process: subprocess.Popen[bytes], endpoint: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=2):  # noqa: S310 - loopback
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the embedded AWS did not start; its last words: {log.read_text()[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End MiniStack and every function it started, kindly first."""
    for kind in (signal.SIGTERM, signal.SIGKILL):  # the second for whatever outlived the first
        with suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=STOP_SECONDS)
