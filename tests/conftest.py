"""What every test has: an environment without AWS, embedded servers, and nothing left running."""

from __future__ import annotations

import fcntl
import gc
import logging
import os
import signal
import ssl
import sys
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

import hypothesis
import pytest
from moto import backends as moto_backends
from moto.server import ThreadedMotoServer
from werkzeug.serving import BaseWSGIServer

import shared_sdk
from certificates import server_context, write_self_signed
from deployed_stack import code_folder
from rotator import handler
from rotator.devstack.aws_emulators import ADMINISTRATOR, client_environment, running_aws
from rotator.devstack.deployment import Account, build_zip
from rotator.devstack.http_server import free_port
from warm_commands import warm

CHECKOUT = Path(__file__).resolve().parents[1]


def take_back_ignored_signals() -> None:
    """Let no process of a test ignore what ``nohup`` or a shell's ``&`` let this one ignore.

    What is ignored stays ignored in children, what is handled does not. A worker of xdist is such a child:
    it ends with the process that started it and not by a SIGHUP.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for kind in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        is_workers = kind is signal.SIGHUP and "PYTEST_XDIST_WORKER" in os.environ
        if signal.getsignal(kind) is signal.SIG_IGN or is_workers:
            signal.signal(kind, lambda *_: None)


take_back_ignored_signals()

# No test asserts a time: a busy machine would fail it.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")
# In the report of a failure, a record of every request would hide the others.
logging.getLogger("werkzeug").setLevel(logging.WARNING)
# A server looks twice a second whether it is to end, and every test that has started one waits for that.
BaseWSGIServer.serve_forever.__defaults__ = (0.02,)

# moto lists its folder, which does not change, at every request: a quarter of its work.
MOTO_MODULES = tuple(moto_backends.list_of_moto_modules())
moto_backends.list_of_moto_modules = lambda: MOTO_MODULES

# Its import parses a grammar for seconds. Without it, jsonschema checks no IRIs. moto does not need them, and
# the tool that makes the SBOM checks them in its own process.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

shared_sdk.share()

FIRST = (
    "tests/e2e/test_demo.py",  # these two wait for a schedule
    "tests/e2e/test_workers.py",
    "tests/packaging/",
    "tests/e2e/test_deploy.py",
    "tests/simulation/test_interleavings.py",
    "tests/infra/test_terraform_apply.py",
    "tests/faults/test_fleet.py",
    "tests/simulation/test_simulate.py",
    "tests/faults/test_aws_faults.py",
    "tests/simulation/",
    "tests/infra/",
    "tests/faults/",
    "tests/e2e/",
    "tests/recipes/",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while tests are collected: what that makes stays until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, so that no worker has one left when the others are done.

    Those that wait alternate with those that compute, so that the cores are never idle.
    """

    def place(item: pytest.Item) -> int:
        found = (at for at, name in enumerate(FIRST) if item.nodeid.startswith(name))
        return next(found, len(FIRST))

    items.sort(key=place)


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the account, the proxy and the settings of the user who runs the tests."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "ROTATOR_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    handler._rotator.cache_clear()


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """moto's server on loopback, once for a worker."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Account:
    """An empty account at moto's server, which the environment leads to."""
    import requests

    requests.post(f"{moto_endpoint}/moto-api/reset", timeout=10)
    for name, value in client_environment(moto_endpoint).items():
        monkeypatch.setenv(name, value)
    return Account(moto_endpoint, ADMINISTRATOR)


@pytest.fixture(scope="session")
def ministack_endpoint(tmp_path_factory: pytest.TempPathFactory, function_zip: Path) -> Iterator[str]:
    """MiniStack on loopback with its IAM enforced, once for a worker."""
    with running_aws(tmp_path_factory.mktemp("ministack"), code_folder(function_zip)) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def function_zip(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The zip as infra/build.py builds it. The first worker builds, the others wait for it."""
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent  # what the workers of one run share
    output = folder / "function" / "rotator.zip"
    output.parent.mkdir(exist_ok=True)
    with output.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # given back by closing it, whatever happens
        if not output.exists():
            build_zip(output)
    return output


@pytest.fixture(scope="session")
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The least that a process of ours needs, and nothing of this machine's settings.

    On its PATH, ``aws`` and ``rotator`` are warm commands.
    """
    folder = tmp_path_factory.mktemp("commands")
    path = (str(folder), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))
    environment = {
        "PATH": os.pathsep.join(path),
        "HOME": os.environ.get("HOME", "/"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    with warm("awscli", folder / "aws", environment), warm("rotator", folder / "rotator", environment):
        yield environment


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for the loopback address, and its key."""
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    write_self_signed(file)
    return file


@pytest.fixture(scope="session")
def tls(certificate: Path) -> ssl.SSLContext:
    """What a server needs to show it."""
    return server_context(certificate)
