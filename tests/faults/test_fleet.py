"""A thousand rotations on real parts: throttled writes, a kill in the middle, an endpoint that is down."""

from __future__ import annotations

import io
import json
import subprocess
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from conftest import CHECKOUT
from fake_ports import CANARY_SECRET
from faults.proxy import Microburst
from misbehaving_api import MisbehavingApi
from rotator import bootstrap
from rotator.config.registry import Fleet
from rotator.devstack.aws_emulators import REGION, client_environment
from rotator.devstack.deployment import Account
from rotator.devstack.http_server import LOOPBACK, free_port, serving
from rotator.fleet.circuit_breaker import FAILURES_TO_OPEN
from rotator.fleet.scheduler import MAX_RENEWALS
from rotator.fleet.state_reader import read_stored
from rotator.oauth.models import Secret
from rotator.renewal import status
from rotator.renewal.models import Outcome, Status, Stored, Summary
from rotator.renewal.policy import TokenState, token_state

ALL = 150
DOCUMENTS = "/rotations"
SECRET = "tenants/client"
WRITE_RATE = 100
THROTTLED = {
    "service": "ssm",
    "operation": "PutParameter",
    "sequence": {"fail": 1, "pass": 49},
    "error": {"code": "ThrottlingException"},
}


@dataclass
class Tenants:
    """A fleet whose tokens all end within the hour, each a little after the one before."""

    api: MisbehavingApi
    endpoint: str
    environment: Mapping[str, str]

    def backend(self) -> Any:
        from moto.core.models import DEFAULT_ACCOUNT_ID  # takes a second, and all workers import this file
        from moto.ssm.models import ssm_backends

        return ssm_backends[DEFAULT_ACCOUNT_ID][REGION]

    def store(self, count: int, endpoint: str = "", *, minutes: float = 5) -> None:
        """Store documents, tokens and statuses past the server, for which it would be 3,000 requests."""
        now = datetime.now(UTC)
        for number in range(count):
            name, parameter = f"t{number:04}", f"/tenants/t{number:04}/token"
            self.put(
                f"{DOCUMENTS}/{name}",
                {
                    "secret_id": SECRET,
                    "parameter_name": parameter,
                    "token_endpoint": endpoint or self.endpoint,
                },
            )
            self.put(parameter, f"old-{name}", "SecureString")
            ends_at = now + timedelta(
                minutes=minutes, seconds=3 * ((number * 7) % count)
            )  # in no order of names
            self.put(f"{parameter}/status", json.loads(status.dump(_status(f"old-{name}", ends_at))))

    def put(self, name: str, value: Any, type_name: str = "String") -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        self.backend().put_parameter(name, "", text, type_name, "", "", False, [], "text", "Standard", "")

    def rotate(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["rotator", "rotate", "--json"],
            env=dict(self.environment),
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self) -> Summary:
        """One ordinary run of the command line, to its end."""
        with self.rotate() as process:
            said, log = process.communicate(timeout=120)
        assert said, log
        return Summary.from_dict(json.loads(said))

    def versions(self, kind: str) -> dict[str, list[datetime]]:
        """When each version of the tokens, statuses or leases was written, by rotation."""
        written: dict[str, list[datetime]] = {}
        for name, versions in list(self.backend()._parameters.items()):  # a run can write at the same time
            parts = name.split("/")
            if parts[1] == "tenants" and parts[-1] == kind:
                written[parts[2]] = [version.last_modified_date.replace(tzinfo=UTC) for version in versions]
        return written

    def ends(self) -> dict[str, datetime]:
        """When the tokens end that the fixture stored."""
        ends = {}
        for name, versions in self.backend()._parameters.items():
            if name.endswith("/status"):
                text = json.loads(versions[0].value)["expires_at"]
                ends[name.split("/")[2]] = datetime.fromisoformat(text)
        return ends

    def states(self, at: datetime) -> Counter[TokenState]:
        """What the rotator thinks of all of them; no run may hold a lease."""
        rotator = bootstrap.build(self.environment)
        fleet: Fleet = rotator.fleet()
        found = read_stored(fleet.rotations, rotator.ports.parameters, leases_at=at)
        states: Counter[TokenState] = Counter()
        for rotation in fleet.rotations:
            stored = found[rotation.name]
            assert isinstance(stored, Stored)
            assert stored.lease.held_until is None
            states[token_state(rotation, stored, at)] += 1
        return states


def _status(token: str, ends_at: datetime) -> Status:
    return Status(
        parameter_version=1,
        issued_at=ends_at - timedelta(days=1),
        expires_at=ends_at,
        renew_at=ends_at - timedelta(hours=8),
        scope="*",
        token_sha256=Secret(token).fingerprint,
        secret_version_id="v1",
        rotator_version="1",
    )


@pytest.fixture
def tenants(
    moto: Account,
    faults: Microburst,
    clean_environment: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Tenants]:
    """An account with the secret, and an API that ends a token when it issues the client's next one."""
    moto.create_secret(SECRET, "client", CANARY_SECRET)
    api = MisbehavingApi({"client": CANARY_SECRET})
    settings = {
        **client_environment(faults.endpoint),
        "ROTATOR_ROTATIONS_PATH": DOCUMENTS,
        "ROTATOR_ALLOWED_HOSTS": LOOPBACK,
        "ROTATOR_WRITES_PER_SECOND": str(WRITE_RATE),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with serving(api.app) as address:
        yield Tenants(api, f"{address}/oauth2/token", {**clean_environment, **settings})


def test_throttled_fleet_is_renewed_in_order_of_expiry(tenants: Tenants, faults: Microburst) -> None:
    tenants.store(ALL)
    ends = tenants.ends()
    faults.break_(THROTTLED)
    rotated = 0
    for _ in range(9):
        summary = tenants.run()
        assert {result.error_kind for result in summary.results if result.error} <= {"NotReached"}
        rotated += summary.to_dict()["rotated"]
        if rotated == ALL:
            break
    assert faults.broken() > 5
    faults.heal()
    assert tenants.states(datetime.now(UTC)) == {TokenState.FRESH: ALL}
    tokens = tenants.versions("token")
    assert all(len(versions) == 2 for versions in tokens.values())
    assert all(tokens[name][1] < ends[name] for name in tokens)  # none had expired
    leases, statuses = tenants.versions("lease"), tenants.versions("status")
    _assert_order([leases[name][0] for name in sorted(ends, key=lambda name: ends[name])])
    renewed = (*tokens.values(), *statuses.values())
    _assert_rate(
        [at for each in renewed for at in each[1:]] + [at for each in leases.values() for at in each]
    )


def _assert_order(acquired: Sequence[datetime]) -> None:
    """Leases are acquired in this order, but for those under way together or that had to be tried again.

    In no order half of them would be fifty places from theirs.
    """
    in_time = sorted(acquired)
    away = sorted(abs(in_time.index(at) - place) for place, at in enumerate(acquired))
    assert away[len(away) * 19 // 20] <= 25


def _assert_rate(written: Sequence[datetime]) -> None:
    """In no five seconds are there more writes than the rate allows, and what a slow server lets pile up."""
    seconds = timedelta(seconds=5)
    times = sorted(written)
    for first, at in enumerate(times):
        assert bisect_right(times, at + seconds) - first <= 5 * WRITE_RATE * 1.5


class Quota:
    """An account that allows this number of writes per second and throttles the others."""

    def __init__(self, per_second: float) -> None:
        self.per_second = self.left = per_second
        self.at = time.monotonic()
        self.throttled = 0
        self.lock = Lock()

    def __call__(self, request: Any, **_: object) -> AWSResponse | None:
        with self.lock:
            now = time.monotonic()
            self.left = min(self.per_second, self.left + (now - self.at) * self.per_second)
            self.at = now
            if self.left >= 1:
                self.left -= 1
                return None
            self.throttled += 1
        body = json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"}).encode()
        return AWSResponse(request.url, 400, HEADERS, Answer(body))


HEADERS: Any = {"Content-Type": "application/x-amz-json-1.1"}


class Answer(io.BytesIO):
    """A body as the SDK reads it."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


def test_write_rate_above_the_quota_loses_no_token(tenants: Tenants) -> None:
    tenants.store(60)
    rotator = bootstrap.build({**tenants.environment, "ROTATOR_WRITES_PER_SECOND": "20"})
    quota = Quota(10)
    client = rotator.ports.parameters._client  # type: ignore[attr-defined]
    client.meta.events.register("before-send.ssm.PutParameter", quota)
    first = rotator.run(bootstrap.begin_run("first"))
    assert quota.throttled > 5
    assert first.to_dict()["rotated"] >= 50
    quota.per_second = 1000
    later = datetime.now(UTC) + timedelta(minutes=3)
    second = replace(bootstrap.begin_run("second"), now=lambda: later)
    assert not rotator.run(second).failed
    assert tenants.states(later) == {TokenState.FRESH: 60}


def test_next_run_recovers_from_a_killed_fleet_run(tenants: Tenants, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 120
    tenants.store(count)
    with tenants.rotate() as process:
        _wait_until(lambda: sum(len(each) == 2 for each in tenants.versions("token").values()) > 30)
        process.kill()
    requested = tenants.api.misbehaviour.token_requests
    written = sum(len(each) == 2 for each in tenants.versions("token").values())
    assert 30 < written < count
    leases_have_expired = datetime.now(UTC) + timedelta(minutes=3)
    monkeypatch.setattr(bootstrap, "utc_now", lambda: leases_have_expired)
    summary = bootstrap.build(tenants.environment).run(bootstrap.begin_run("ordinary"))
    assert not summary.failed
    assert tenants.states(leases_have_expired) == {TokenState.FRESH: count}
    unfinished = count - sum(result.outcome is Outcome.FRESH for result in summary.results)
    # What the killed process had sent may have arrived after its end.
    assert abs(count - written - unfinished) <= MAX_RENEWALS
    assert 0 <= tenants.api.misbehaviour.token_requests - requested - unfinished <= MAX_RENEWALS


@pytest.mark.parametrize("reached", [False, True], ids=["not reached", "unavailable"])
def test_outage_costs_few_requests_and_only_lease_writes(tenants: Tenants, reached: bool) -> None:
    tenants.store(100, "" if reached else f"http://{LOOPBACK}:{free_port()}/token")
    tenants.api.misbehaviour.plan(*[{"status": 503}] * 100)
    summary = tenants.run()
    assert summary.to_dict()["failed"] == 100
    assert tenants.api.misbehaviour.token_requests < 40
    assert all(len(each) == 1 for kind in ("token", "status") for each in tenants.versions(kind).values())
    assert [len(each) for each in tenants.versions("lease").values()] == [2] * FAILURES_TO_OPEN


def _wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
