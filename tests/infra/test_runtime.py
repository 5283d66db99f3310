"""The built zip under AWS's own runtime client: what Lambda sees of the function."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
import requests

import embedded_metrics
from fake_ports import CANARY_SECRET
from infra import build
from misbehaving_api import MisbehavingApi
from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.deployment import Account
from rotator.devstack.http_server import serving
from runtime_api import RUNTIME_CLIENT, Function, running_function

pytest.importorskip("awslambdaric")  # for Linux only

CLIENT_ID = "client"
SECRET_ID = "healthwise/client"
PARAMETER_NAME = "/healthwise/token"
EVENTBRIDGE_EVENT = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "000000000000",
    "time": "2026-11-24T06:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:aws:events:us-east-1:000000000000:rule/run"],
    "detail": {},
}
# More than the run has in the one test that meets it, and less than a run has by default.
UNAVAILABLE = {"status": 503, "headers": {"Retry-After": "20"}}
REFUSED = {
    "status": 401,
    "body": json.dumps({"error": "invalid_client", "error_description": f"not {CANARY_SECRET}"}),
}

Start = Callable[..., Function]


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where other interpreters than the function's keep byte-code, so that the task's folder is only read."""
    return tmp_path_factory.mktemp("bytecode")


def _use_of_bytecode(python: str, elsewhere: Path) -> dict[str, str]:
    """The zip's byte-code for the function's own interpreter, its own for another."""
    if python != sys.executable or sys.implementation.cache_tag == build.CACHE_TAG:
        return {"PYTHONPYCACHEPREFIX": "", "PYTHONDONTWRITEBYTECODE": "1"}
    return {"PYTHONPYCACHEPREFIX": str(elsewhere)}


@pytest.fixture
def api() -> MisbehavingApi:
    return MisbehavingApi({CLIENT_ID: CANARY_SECRET})


@pytest.fixture
def authorization(api: MisbehavingApi) -> Iterator[str]:
    """The address of the Authorization API."""
    with serving(api.app) as address:
        yield address


@pytest.fixture
def environment(
    moto: Account, authorization: str, clean_environment: Mapping[str, str], bytecode: Path
) -> dict[str, str]:
    """The variables that Lambda and the template set. The secret exists."""
    moto.create_secret(SECRET_ID, CLIENT_ID, CANARY_SECRET)
    return {
        **clean_environment,
        **client_environment(moto.endpoint),
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_LEVEL": "INFO",
        **_use_of_bytecode(sys.executable, bytecode),
        "ROTATOR_SECRET_ID": SECRET_ID,
        "ROTATOR_PARAMETER_NAME": PARAMETER_NAME,
        "ROTATOR_TOKEN_ENDPOINT": f"{authorization}/oauth2/token",
    }


@pytest.fixture
def start(environment: dict[str, str], unpacked: Path, bytecode: Path, tmp_path: Path) -> Iterator[Start]:
    """Start the function with these variables, on this interpreter: it finds the zip and no more."""
    with ExitStack() as running:

        def start(python: str = sys.executable, **variables: str) -> Function:
            runtime = _runtime(tmp_path / "runtime", own=python == sys.executable)
            return running.enter_context(
                running_function(
                    [python, "-S", "-m", "awslambdaric", "rotator.handler.lambda_handler"],
                    {
                        **environment,
                        **_use_of_bytecode(python, bytecode),
                        "PYTHONPATH": str(runtime),
                        "LAMBDA_TASK_ROOT": str(unpacked),
                        **variables,
                    },
                    task=unpacked,
                    output=tmp_path / "output",
                )
            )

        yield start


def _runtime(folder: Path, *, own: bool) -> Path:
    """A folder with the runtime client and what it needs, as the Lambda runtime brings them."""
    folder.mkdir()
    for name in ("awslambdaric", "simplejson", "snapshot_restore_py"):
        _link(name, folder)
    if not (own and _link("runtime_client", folder)):
        (folder / "runtime_client.py").write_text(RUNTIME_CLIENT)
    return folder


def _link(name: str, folder: Path) -> bool:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        return False
    origin = Path(spec.origin)
    source = origin.parent if origin.name == "__init__.py" else origin
    (folder / source.name).symlink_to(source)
    return True


def stored_token(account: Account) -> str:
    found = account.client("ssm").get_parameter(Name=PARAMETER_NAME, WithDecryption=True)
    return str(found["Parameter"]["Value"])


def opens_the_api(token: str, authorization: str) -> bool:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{authorization}/topics", headers=headers, timeout=10).ok


@pytest.fixture(params=["this Python", "Python 3.13"])
def python(request: pytest.FixtureRequest) -> str:
    """An interpreter: the tests' own, or the function's."""
    if request.param == "this Python":
        return sys.executable
    return str(request.getfixturevalue("function_python"))


def test_run_returns_the_summary_and_the_next_is_fresh(
    python: str, start: Start, moto: Account, authorization: str
) -> None:
    function = start(python)
    first, second = function.invoke({}), function.invoke({})
    assert (first.kind, second.kind) == ("response", "response"), function.printed
    assert opens_the_api(stored_token(moto), authorization)
    [result] = first.body["rotations"]
    assert first.body == {
        "rotated": 1,
        "fresh": 0,
        "kept": 0,
        "busy": 0,
        "failed": 0,
        "rotations": [
            {
                "name": "default",
                "outcome": "rotated",
                "expires_at": result["expires_at"],
                "parameter_version": 1,
                "error": None,
            }
        ],
    }
    assert second.body == {
        **first.body,
        "rotated": 0,
        "fresh": 1,
        "rotations": [{**result, "outcome": "fresh"}],
    }


def test_eventbridge_event_starts_a_plain_run(start: Start) -> None:
    function = start()
    assert function.invoke(EVENTBRIDGE_EVENT).body["rotated"] == 1
    assert function.invoke(EVENTBRIDGE_EVENT).body["fresh"] == 1


def test_force_renews_a_fresh_token(start: Start, moto: Account, authorization: str) -> None:
    function = start()
    function.invoke({})
    older = stored_token(moto)
    assert function.invoke({"force": True}).body["rotations"][0]["parameter_version"] == 2
    assert stored_token(moto) != older
    assert opens_the_api(stored_token(moto), authorization)


def test_unknown_event_key_is_refused_and_changes_nothing(start: Start, moto: Account) -> None:
    answer = start().invoke({"rotation": ["default"]})
    assert (answer.kind, answer.body["errorType"]) == ("error", "SettingsError")
    assert "'rotation'" in answer.body["errorMessage"]
    assert moto.client("ssm").describe_parameters()["Parameters"] == []


def test_invalid_setting_error_names_the_variable(start: Start) -> None:
    answer = start(ROTATOR_RENEW_AT="1.5").invoke({})
    assert (answer.kind, answer.body["errorType"]) == ("error", "SettingsError")
    assert "ROTATOR_RENEW_AT" in answer.body["errorMessage"]


def test_a_failed_rotation_is_an_error_with_the_summary_logged(start: Start, api: MisbehavingApi) -> None:
    api.misbehaviour.plan(REFUSED)
    function = start()
    answer = function.invoke({})
    assert (answer.kind, answer.body["errorType"]) == ("error", "RotationFailed")
    assert "default" in answer.body["errorMessage"]
    assert "invalid_client" in answer.body["errorMessage"]
    [line] = [line for line in function.logged if line.get("event") == "summary"]
    assert line["level"] == "ERROR"
    summary = line["summary"]
    assert (summary["failed"], summary["rotations"][0]["outcome"]) == (1, "failed")
    assert summary["rotations"][0]["error"] in answer.body["errorMessage"]


def test_log_lines_have_event_rotation_and_outcome_fields(start: Start) -> None:
    function = start()
    function.invoke({})
    outcome, summary = (line for line in function.logged if "event" in line)
    fields = ("level", "event", "rotation", "outcome")
    assert [outcome[name] for name in fields] == ["INFO", "outcome", "default", "rotated"]
    assert (summary["level"], summary["event"]) == ("INFO", "summary")
    assert outcome["requestId"] == summary["requestId"] == function.api.request_id


def test_outcome_fields_are_typed_and_match_the_summary(start: Start, api: MisbehavingApi) -> None:
    function = start()
    function.invoke({})
    api.misbehaviour.plan(REFUSED)
    function.invoke({"force": True})
    rotated, failed = (line for line in function.logged if line.get("event") == "outcome")
    *_, summary = (line for line in function.logged if line.get("event") == "summary")
    reported = summary["summary"]["rotations"][0]
    same = ("outcome", "late", "expires_at", "seconds_remaining", "next_try")
    assert {name: failed[name] for name in same} == {name: reported[name] for name in same}
    assert (failed["reason"], failed["error_kind"]) == (reported["error"], "TokenRequestRejected")
    assert (type(failed["late"]), type(failed["seconds_remaining"])) == (bool, int)
    assert 86_300 < rotated["seconds_remaining"] <= 86_400
    assert not {"reason", "error_kind", "late", "next_try"} & rotated.keys()


@pytest.mark.parametrize("log_format", ["JSON", "Text"])
def test_refused_run_is_logged_once_without_metrics(start: Start, log_format: str) -> None:
    function = start(AWS_LAMBDA_LOG_FORMAT=log_format)
    message = function.invoke({"rotation": ["default"]}).body["errorMessage"]
    assert function.printed.count(message) == 1
    assert "_aws" not in function.printed
    if log_format == "JSON":
        [line] = function.logged
        assert (line["level"], line["errorType"], line["errorMessage"]) == ("ERROR", "SettingsError", message)
        assert line["requestId"] == function.api.request_id


def test_metrics_are_a_separate_line_in_embedded_format(start: Start) -> None:
    function = start()
    function.invoke({})
    [line] = [line for line in function.logged if "_aws" in line]
    named = [metric["Name"] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    assert {name: line[name] for name in ("Rotated", "FailedEarly", "FailedLate")} == {
        "Rotated": [1],
        "FailedEarly": [0],
        "FailedLate": [0],
    }
    assert "TokenSecondsRemaining" in named


def test_metrics_have_the_function_name_as_dimension(start: Start) -> None:
    function = start(AWS_LAMBDA_FUNCTION_NAME="rotator-prod")
    function.invoke({})
    [reported] = embedded_metrics.read(function.printed)
    assert reported.dimensions == {"service": "rotator-prod"}
    assert (reported.metrics["TokenRequests"], reported.metrics["TokenRequestAttempts"]) == (1, 1)
    assert reported.metrics["Duration"] > 0


def test_debug_output_contains_no_secret_or_token(start: Start, moto: Account, api: MisbehavingApi) -> None:
    function = start(ROTATOR_LOG_LEVEL="DEBUG", AWS_LAMBDA_LOG_LEVEL="DEBUG")
    tokens = []
    for _ in range(2):
        function.invoke({"force": True})
        tokens.append(stored_token(moto))
    api.misbehaviour.plan(REFUSED)
    assert function.invoke({"force": True}).kind == "error"
    assert "DEBUG" in {line.get("level") for line in function.logged}
    pair = f"{CLIENT_ID}:{CANARY_SECRET}".encode()
    hidden = [CANARY_SECRET, quote_plus(CANARY_SECRET), base64.b64encode(pair).decode()]
    hidden += [part for token in tokens for part in token.split(".")[1:]]
    everything = function.printed + function.api.posted
    assert [each for each in hidden if each in everything] == []


def test_run_finishes_before_the_runtime_deadline(start: Start, api: MisbehavingApi) -> None:
    api.misbehaviour.plan(*[UNAVAILABLE] * 100)
    answer = start().invoke({}, seconds=12)
    assert (answer.kind, answer.body["errorType"]) == ("error", "RotationFailed")
    assert "asked for a retry after 20 s" in answer.body["errorMessage"]
    assert api.misbehaviour.token_requests == 1


DRIVER = """
import gc, json, sys
from rotator.adapters.runtime import aws_client
from rotator.handler import lambda_handler

class Context:
    aws_request_id = "driver"
    get_remaining_time_in_millis = lambda self: 60_000

UNNEEDED = {
    *("requests", "tenacity", "asyncio", "multiprocessing", "boto3", "s3transfer", "secrets"),
    *("rotator.workers", "rotator.fleet.executor", "rotator.fleet.scheduler"),
    *("rotator.renewal.renew", "rotator.renewal.lease", "rotator.renewal.secret_rollover"),
    "rotator.renewal.lease_text",
    *("rotator.adapters.runtime.kms", "rotator.adapters.runtime.private_trust"),
    *("rotator.replication.replica", "rotator.replication.run", "rotator.replication.region_copies"),
    "rotator.adapters.runtime.replica_region",
}
requests, clients = [], []

def record(events):
    return lambda event_name, **_: events.append(event_name.rpartition(".")[2])

aws_client.session().register("before-send", record(requests))
aws_client.session().register("creating-client-class", record(clients))
for _ in range(2):
    requests.clear()
    summary = lambda_handler({}, Context())
    outcome = summary["rotations"][0]["outcome"]
    imported = sorted(UNNEEDED & sys.modules.keys())
    print(json.dumps({"outcome": outcome, "requests": requests, "clients": clients, "imported": imported}))
assert gc.isenabled() and gc.get_freeze_count() > 10_000
"""


def two_ticks(environment: Mapping[str, str], unpacked: Path) -> list[dict[str, Any]]:
    """The calls of each of two scheduled runs in a new process, and its clients and imports after each."""
    run = subprocess.run(
        [sys.executable, "-S", "-c", DRIVER],
        env=environment,
        cwd=unpacked,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines() if '"_aws"' not in line]


def test_renewal_makes_six_aws_calls_and_one_token_request(
    environment: dict[str, str], unpacked: Path, api: MisbehavingApi
) -> None:
    renewal, fresh = two_ticks(environment, unpacked)
    assert (renewal["outcome"], fresh["outcome"]) == ("rotated", "fresh")
    assert renewal["requests"] == [
        *("GetParameters", "GetParameters"),
        *("PutParameter", "GetSecretValue", "PutParameter", "PutParameter"),
    ]
    assert fresh["requests"] == ["GetParameters"]
    assert api.misbehaviour.token_requests == 1


def test_fresh_run_makes_one_aws_call_and_no_more_imports(
    environment: dict[str, str], unpacked: Path, api: MisbehavingApi
) -> None:
    two_ticks(environment, unpacked)
    quiet = {"outcome": "fresh", "requests": ["GetParameters"], "clients": ["ssm"], "imported": []}
    assert two_ticks(environment, unpacked) == [quiet, quiet]
    assert api.misbehaviour.token_requests == 1


def test_client_with_a_key_costs_only_renewals_a_signature(
    environment: dict[str, str], unpacked: Path, api: MisbehavingApi, moto: Account, certificate: Path
) -> None:
    key = moto.client("kms").create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")["KeyMetadata"]["Arn"]
    pem = certificate.read_text().partition("-----BEGIN PRIVATE KEY")[0]
    moto.client("ssm").put_parameter(Name="/authorities", Value=pem, Type="String")
    token = {"access_token": "a-token", "token_type": "Bearer", "expires_in": 86400}
    api.misbehaviour.plan({"status": 200, "body": json.dumps(token)})
    signed = {
        **environment,
        "ROTATOR_CLIENT_AUTHENTICATION": "private_key_jwt",
        "ROTATOR_SIGNING_KEY_ID": key,
        "ROTATOR_SIGNING_ALGORITHM": "ES256",
        "ROTATOR_CA_PARAMETER_NAME": "/authorities",
    }
    renewal, fresh = two_ticks(signed, unpacked)
    assert (renewal["outcome"], fresh["outcome"]) == ("rotated", "fresh")
    assert renewal["requests"] == [
        *("GetParameters", "GetParameters", "PutParameter", "GetSecretValue"),
        *("GetParameters", "Sign", "PutParameter", "PutParameter"),
    ]
    assert fresh["requests"] == ["GetParameters"]
    quiet = {"outcome": "fresh", "requests": ["GetParameters"], "clients": ["ssm"], "imported": []}
    assert two_ticks(signed, unpacked) == [quiet, quiet]
