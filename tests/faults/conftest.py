"""The real parts of the fault table: moto's server behind microburst, and the Authorization API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore.session import Session, get_session

from fake_ports import CANARY_SECRET
from faults.proxy import Microburst, running_microburst
from faults.timing import Timing
from faults.world import SECRET, TOKEN, Api, FaultySystem
from leak_check import Leaks, credential_forms, listening
from rotator.adapters.runtime import aws_client
from rotator.adapters.runtime.tls import SharedTrust
from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.deployment import Account
from rotator.devstack.http_server import serving


@pytest.fixture(scope="session")
def session() -> Session:
    """One for all tests here: reading the services' models takes longer than most of them."""
    return get_session()


@pytest.fixture(scope="module", autouse=True)
def authorities() -> Iterator[None]:
    """Trusted ones are read once for all runs of a file, which takes longer than the rest of a run."""
    reader, read = SharedTrust(pool_maxsize=1), SharedTrust._context
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SharedTrust, "_context", lambda _self, *trusted: read(reader, *trusted))
        yield


@pytest.fixture(scope="session")
def microburst(
    moto_endpoint: str, clean_environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Microburst]:
    folder = tmp_path_factory.mktemp("microburst")
    with running_microburst(moto_endpoint, folder, clean_environment) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def served_api() -> Iterator[Api]:
    api = Api()
    with serving(api.app) as api.address:
        yield api


@pytest.fixture
def api(served_api: Api) -> Api:
    served_api.begin()
    return served_api


@pytest.fixture
def faults(microburst: Microburst) -> Iterator[Microburst]:
    """The proxy, which breaks nothing before and after the test."""
    microburst.heal()
    yield microburst
    microburst.heal()


@pytest.fixture
def timing(monkeypatch: pytest.MonkeyPatch) -> Timing:
    timing = Timing()
    timing.install(monkeypatch)
    return timing


@pytest.fixture
def leaks() -> Iterator[Leaks]:
    with listening() as leaks:
        leaks.secrets |= credential_forms("client", CANARY_SECRET)
        yield leaks


@pytest.fixture
def ssm(moto: Account, session: Session, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The account's parameters, seen directly; the account has the secret already."""
    monkeypatch.setattr(aws_client, "session", lambda: session)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", boto3.Session(botocore_session=session))
    moto.create_secret(SECRET, "client", CANARY_SECRET)
    return moto.client("ssm")


@pytest.fixture
def settings(faults: Microburst, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function's settings lead to the proxy and the API."""
    settings = {
        **client_environment(faults.endpoint),
        "ROTATOR_SECRET_ID": SECRET,
        "ROTATOR_PARAMETER_NAME": TOKEN,
        "ROTATOR_TOKEN_ENDPOINT": api.token_endpoint,
        "ROTATOR_LOG_LEVEL": "DEBUG",
        "ROTATOR_WRITES_PER_SECOND": "100",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def world(
    ssm: Any, api: Api, settings: None, timing: Timing, leaks: Leaks, capfd: pytest.CaptureFixture[str]
) -> FaultySystem:
    """Nothing is stored yet but the secret."""
    return FaultySystem(ssm, api, timing, leaks, capfd.readouterr)
