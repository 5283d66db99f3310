"""``kill -9`` of a real process at every boundary between its calls; the next run recovers.

The API revokes a token when it issues the client's next one. A run that is killed between the request and the
write leaves a revoked token in the parameter, and the next run must replace it.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from joserfc import jwt

from conftest import CHECKOUT
from fake_ports import CANARY_SECRET
from leak_check import credential_forms, secrets_in, token_forms
from misbehaving_api import MisbehavingApi
from rotator import bootstrap
from rotator.devstack.authorization_api import SIGNING_KEY
from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.deployment import Account
from rotator.devstack.http_server import serving
from rotator.fleet.state_reader import read_stored
from rotator.renewal import policy
from rotator.renewal.models import Outcome, Stored
from rotator.renewal.policy import TokenState
from stopping_proxy import StoppingProxy, stopping_proxy

API = MisbehavingApi({"client": CANARY_SECRET})
TOKEN = "/healthwise/token"

CALLS = {
    "check": "GetParameters",
    "read": "GetParameters",
    "lease": f"PutParameter {TOKEN}/lease",
    "due": f"PutParameter {TOKEN}/status",
    "secret": "GetSecretValue",
    "token request": "POST /oauth2/token",
    "probe": "GET /topics",
    "token": f"PutParameter {TOKEN}",
    "status": f"PutParameter {TOKEN}/status",
}
"""Of a forced renewal. The first token has no status that could be marked due."""

RENEWAL = list(CALLS)
FIRST_TOKEN = [call for call in CALLS if call != "due"]
RUNS = [pytest.param(True, call, id=f"renewal-{call}") for call in RENEWAL] + [
    pytest.param(False, call, id=f"first token-{call}") for call in FIRST_TOKEN
]

AN_HOUR_AGO = timedelta(hours=-1)
WHEN_THE_LEASE_HAS_EXPIRED = timedelta(minutes=3)


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    API.misbehaviour.plan(revokes_older_tokens=True)
    with serving(API.app) as address:
        yield address


@pytest.fixture
def account(moto: Account) -> Account:
    moto.create_secret("healthwise/client", "client", CANARY_SECRET)
    return moto


def settings(api: str) -> dict[str, str]:
    return {
        "ROTATOR_SECRET_ID": "healthwise/client",
        "ROTATOR_PARAMETER_NAME": TOKEN,
        "ROTATOR_TOKEN_ENDPOINT": f"{api}/oauth2/token",
        "ROTATOR_VERIFY_URL": f"{api}/topics",
    }


def ordinary_run(api: str, moment: timedelta) -> Outcome:
    """One run in this process, with its clock so far away from now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "utc_now", lambda: datetime.now(UTC) + moment)
        summary = bootstrap.build(settings(api)).run(bootstrap.begin_run("ordinary"))
    return summary.results[0].outcome


def kill_where_it_is_held(proxy: StoppingProxy, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run the command line until the proxy holds a request of it, and kill it there; return what it said."""
    with subprocess.Popen(
        ["rotator", "rotate", "--force", "--json"],
        env={**environment, **client_environment(proxy.address), **settings(proxy.address)},
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            while not proxy.stopped.wait(0.1):
                assert process.poll() is None, f"it ended by itself, after {proxy.calls}"
        finally:
            process.kill()
        said, _ = process.communicate()
    return process.returncode, said


def token_history(account: Account) -> list[str]:
    """Every value that the token parameter ever held, the newest last."""
    ssm = account.client("ssm")
    try:
        history = ssm.get_parameter_history(Name=TOKEN, WithDecryption=True)
    except ssm.exceptions.ParameterNotFound:
        return []
    return [version["Value"] for version in history["Parameters"]]


def assert_healthy(api: str, account: Account) -> None:
    rotator = bootstrap.build(settings(api))
    [rotation] = rotator.fleet().rotations
    now = datetime.now(UTC) + WHEN_THE_LEASE_HAS_EXPIRED
    stored = read_stored([rotation], rotator.ports.parameters, leases_at=now)[rotation.name]
    token: Any = account.client("ssm").get_parameter(Name=TOKEN, WithDecryption=True)["Parameter"]
    assert isinstance(stored, Stored)
    assert stored.status
    assert stored.status.parameter_version == token["Version"]
    assert stored.lease.held_until is None
    assert not policy.may_be_revoked(rotation, stored, now)
    assert policy.token_state(rotation, stored, now) is TokenState.FRESH
    topics = requests.get(f"{api}/topics", headers={"Authorization": f"Bearer {token['Value']}"}, timeout=10)
    assert topics.status_code == 200


@pytest.mark.parametrize("answered", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("renewal", "call"), RUNS)
def test_next_run_recovers_after_a_kill_at_any_call(
    renewal: bool, answered: bool, call: str, api: str, account: Account, clean_environment: Mapping[str, str]
) -> None:
    if renewal:  # forced, not due: the next run cannot see by the time alone that there is something to do
        assert ordinary_run(api, AN_HOUR_AGO) is Outcome.ROTATED
    calls = RENEWAL if renewal else FIRST_TOKEN
    nth = calls.index(call) + 1
    with stopping_proxy(account.endpoint, api, nth=nth, answered=answered) as proxy:
        code, said = kill_where_it_is_held(proxy, {**clean_environment, "ROTATOR_LOG_LEVEL": "DEBUG"})
    assert code == -signal.SIGKILL
    assert proxy.calls == [CALLS[each] for each in calls[:nth]]

    published = (call, answered) == ("token", True) or call == "status"
    tokens = token_history(account)
    assert len(tokens) == renewal + published
    secrets = credential_forms("client", CANARY_SECRET).union(*map(token_forms, tokens))
    assert secrets_in(said, secrets) == []
    for token in tokens:
        jwt.decode(token, SIGNING_KEY)  # raises if the API did not sign, and so issue, it

    assert ordinary_run(api, WHEN_THE_LEASE_HAS_EXPIRED) in (Outcome.ROTATED, Outcome.FRESH)
    assert_healthy(api, account)
