"""Eight rotations are due, and a middlebox answers one call to AWS with a web page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner, Result

import embedded_metrics
from command_line import Shell
from fake_ports import CANARY_SECRET, CANARY_TOKEN
from faults.middlebox import middlebox
from faults.timing import Context, Timing
from rotator.cli import main
from rotator.devstack.authorization_api import AuthorizationApi
from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.deployment import Account
from rotator.devstack.http_server import LOOPBACK, serving
from rotator.handler import lambda_handler
from rotator.renewal.results import RotationFailed

ALL = 8
DOCUMENTS = "/rotations"
SECRET = "tenants/client"
SAYS = "check whether a proxy answers instead of AWS"


@dataclass(frozen=True)
class Fault:
    """The call that is answered so, and how many rotations may fail for it."""

    operation: str
    nth: int
    fail: set[int]


FAULTS = {
    "the first check": Fault("GetParameters", 1, {3, 5}),
    "the second check, at the same time": Fault("GetParameters", 2, {3, 5}),
    "a look at leases, which each renewal reads again": Fault("GetParameters", 3, {0}),
    "a renewal's own reading": Fault("GetParameters", 6, {1}),
    "a secret": Fault("GetSecretValue", 3, {1}),
    "a lease": Fault("PutParameter", 1, {1}),
    "a write in the middle": Fault("PutParameter", 12, {1}),
    "the last write": Fault("PutParameter", 3 * ALL, {1}),
}
CODES = [200, 403]


@pytest.fixture
def tenants(moto: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The settings of eight rotations that have no token yet."""
    moto.create_secret(SECRET, "client", CANARY_SECRET)
    with serving(AuthorizationApi({"client": CANARY_SECRET}).app) as api:
        for number in range(ALL):
            text = {
                "secret_id": SECRET,
                "parameter_name": f"/tenants/t{number}/token",
                "token_endpoint": f"{api}/oauth2/token",
            }
            moto.client("ssm").put_parameter(
                Name=f"{DOCUMENTS}/t{number}", Value=json.dumps(text), Type="String"
            )
        yield {
            "ROTATOR_ROTATIONS_PATH": DOCUMENTS,
            "ROTATOR_ALLOWED_HOSTS": LOOPBACK,
            "ROTATOR_WRITES_PER_SECOND": "1000",
        }


def outcomes(summary: Mapping[str, Any]) -> Counter[str]:
    assert all(each["error"] is None or SAYS in each["error"] for each in summary["rotations"])
    return Counter(each["outcome"] for each in summary["rotations"])


@dataclass(frozen=True)
class Ways:
    """The two ways to run it, with an AWS behind a middlebox."""

    monkeypatch: pytest.MonkeyPatch
    settings: dict[str, str]

    def lead_to(self, address: str, **more: str) -> None:
        for name, value in {**client_environment(address), **self.settings, **more}.items():
            self.monkeypatch.setenv(name, value)

    def command(self, *args: str) -> Result:
        """Run the command line, which never ends in a traceback."""
        done = CliRunner().invoke(main.main, [*args, "--json"])
        assert isinstance(done.exception, SystemExit | None)
        assert CANARY_TOKEN not in done.output
        return done

    def function(self) -> Mapping[str, Any]:
        """Run the function; return the summary, which it raises with if anything failed."""
        try:
            return lambda_handler({}, Context(Timing()))
        except RotationFailed as error:
            return error.summary.to_dict()


@pytest.fixture
def ways(tenants: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Ways:
    return Ways(monkeypatch, tenants)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_html_answer_fails_only_the_affected_rotations(
    fault: Fault, code: int, ways: Ways, moto: Account
) -> None:
    with middlebox(moto.endpoint, fault.operation, nth=fault.nth, code=code) as box:
        ways.lead_to(box.address)
        done = ways.command("rotate")
        after = ways.command("rotate")
        states = Counter(each["state"] for each in json.loads(ways.command("status").stdout)["rotations"])
    assert box.pages == 1
    found = outcomes(json.loads(done.stdout))
    assert found["failed"] in fault.fail
    assert found["failed"] + found["rotated"] == ALL
    assert done.exit_code == (1 if found["failed"] else 0)
    assert after.exit_code == 0
    assert states == {"fresh": ALL}


@pytest.mark.parametrize("code", CODES)
def test_html_answer_for_documents_fails_the_run(code: int, ways: Ways, moto: Account) -> None:
    with middlebox(moto.endpoint, "GetParametersByPath", nth=1, code=code) as box:
        ways.lead_to(box.address)
        done, after = ways.command("rotate"), ways.command("rotate")
    assert (done.exit_code, done.stdout) == (1, "")
    assert SAYS in done.stderr
    assert outcomes(json.loads(after.stdout)) == {"rotated": ALL}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_function_emits_summary_and_metrics_after_html_answer(
    fault: Fault, ways: Ways, moto: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    with middlebox(moto.endpoint, fault.operation, nth=fault.nth, code=200) as box:
        ways.lead_to(box.address)
        found = outcomes(ways.function())
    assert found["failed"] in fault.fail
    assert found["failed"] + found["rotated"] == ALL
    metrics = embedded_metrics.read(capsys.readouterr().out)[0].metrics
    assert metrics["FailedEarly"] + metrics["FailedLate"] == found["failed"]


def test_html_answer_from_the_queue_fails_its_rotations(ways: Ways, moto: Account) -> None:
    queue = moto.client("sqs").create_queue(QueueName="work")["QueueUrl"]
    with middlebox(moto.endpoint, "SendMessageBatch", nth=1, code=200) as box:
        ways.lead_to(box.address, ROTATOR_QUEUE_URL=queue, ROTATOR_WORKERS="2")
        assert outcomes(ways.function()) == {"failed": ALL}
        assert outcomes(ways.function()) == {"busy": ALL}


def test_process_prints_no_traceback_after_an_html_answer(
    tenants: dict[str, str], moto: Account, clean_environment: Mapping[str, str]
) -> None:
    with middlebox(moto.endpoint, "GetParameters", nth=6, code=200) as box:
        shell = Shell({**clean_environment, **client_environment(box.address), **tenants}, moto)
        done = shell.run("rotate", "--json")
    assert done.returncode == 1
    assert outcomes(json.loads(done.stdout)) == {"rotated": ALL - 1, "failed": 1}
    assert "Traceback" not in done.stderr
