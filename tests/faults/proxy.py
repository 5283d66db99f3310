"""microburst, a proxy in front of an emulated AWS that fails as AWS does, as a process of our own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from rotator.devstack.http_server import LOOPBACK, free_port

START_SECONDS = 30

MICROBURST = """
import botocore.session
botocore.session.Session.get_available_services = lambda *_: []
import microburst.__main__
"""
"""Runs microburst without recognizing services by their hosts, for which it reads all descriptions."""


class Microburst:
    """Its control API."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._control = f"{endpoint}/_microburst"

    def break_(self, rule: Mapping[str, Any]) -> None:
        """Break the calls that a rule names, and no others."""
        self.heal()
        requests.post(f"{self._control}/rules", json=[rule], timeout=10).raise_for_status()

    def heal(self) -> None:
        """Let every call pass again, and forget what was broken."""
        requests.post(f"{self._control}/rules", json=[], timeout=10).raise_for_status()
        requests.delete(f"{self._control}/fired", timeout=10).raise_for_status()

    def broken(self) -> int:
        """How many calls were broken since the rule was set."""
        return len(requests.get(f"{self._control}/fired", timeout=10).json())

    def warm_up(self) -> None:
        """Have it read the models of two services, which takes time, before any test's timeout counts."""
        self.break_({"service": "*", "error": {"code": "ThrottlingException"}})
        for service, target in (("ssm", "AmazonSSM.X"), ("secretsmanager", "secretsmanager.X")):
            scope = f"Credential=x/20260101/us-east-1/{service}/aws4_request"
            headers = {"Authorization": f"AWS4-HMAC-SHA256 {scope}", "X-Amz-Target": target}
            requests.post(self.endpoint, data="{}", headers=headers, timeout=60)
        if self.broken() != 2:
            raise RuntimeError("microburst does not break what it should")
        self.heal()


@contextmanager
def running_microburst(upstream: str, folder: Path, environment: Mapping[str, str]) -> Iterator[Microburst]:
    """Run it while the body does; it and its port are gone afterwards."""
    port = free_port()
    log = folder / "microburst.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", MICROBURST, "--upstream", upstream, "--port", str(port)],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        proxy = Microburst(f"http://{LOOPBACK}:{port}")
        _wait_until_healthy(process, proxy, log)
        proxy.warm_up()
        yield proxy
    finally:
        process.kill()  # it has nothing to lose, and would wait for the connections it holds open
        process.wait()


def _wait_until_healthy(process: subprocess.Popen[bytes], proxy: Microburst, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            proxy.heal()
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"microburst did not start; its last words: {log.read_text()[-2000:]}")
