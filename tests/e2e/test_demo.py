"""``make demo KEEP=1`` as a user runs it: the template is deployed, and its schedule starts a run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import requests
from botocore.exceptions import ClientError

import guides
from conftest import CHECKOUT
from rotator.devstack.aws_emulators import ADMINISTRATOR
from rotator.devstack.demo import PARAMETER_NAME, SECRET_NAME
from rotator.devstack.deployment import Account

# One worker runs all of these, as it does every file: they share one demo, which takes more than a minute.


@dataclass
class Demo:
    """The output of a demo that keeps running, and the environment that it started."""

    code: int
    printed: str
    picture: Path
    exports: dict[str, str] = field(default_factory=dict)
    process_id: int = 0

    @property
    def account(self) -> Account:
        return Account(self.exports["AWS_ENDPOINT_URL"], ADMINISTRATOR)

    def token(self) -> str:
        answer = self.account.client("ssm").get_parameter(Name=PARAMETER_NAME, WithDecryption=True)
        return str(answer["Parameter"]["Value"])

    def client_secret(self) -> str:
        answer = self.account.client("secretsmanager").get_secret_value(SecretId=SECRET_NAME)
        return str(json.loads(answer["SecretString"])["client_secret"])

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command with the exported variables, as in another terminal."""
        return subprocess.run(
            command, env=self.exports, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture(scope="module")
def demo(clean_environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    picture = tmp_path_factory.mktemp("demo") / "demo.svg"
    done = subprocess.run(
        [sys.executable, "-m", "rotator", "demo", "--keep", "--picture", str(picture)],
        env=clean_environment,
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
        check=False,
    )
    kept = Demo(done.returncode, done.stdout, picture)
    if pid := re.search(r"^kill (\d+)", kept.printed, re.MULTILINE):
        kept.process_id = int(pid[1])
    exported = dict(re.findall(r"^export (\w+)=(.*)$", kept.printed, re.MULTILINE))
    path = exported.pop("PATH", "")
    kept.exports = {name: shlex.split(value)[0] for name, value in exported.items()}
    kept.exports |= {**clean_environment, "PATH": path.strip('"').replace("$PATH", clean_environment["PATH"])}
    try:
        yield kept
    finally:
        if kept.process_id:
            with suppress(ProcessLookupError):
                os.kill(kept.process_id, signal.SIGTERM)


def test_every_step_succeeds_and_prints_one_line(demo: Demo) -> None:
    assert demo.code == 0, demo.printed
    assert [line[2:].split(" (")[0] for line in demo.printed.splitlines() if line.startswith("✓")][1:] == [
        "create the secret with the client credentials",
        "build the function's zip",
        "deploy infra/template.yaml",
        "the schedule invokes the function, which writes the token",
        "a consumer reads the token under its own role",
        "the consumer calls GET /topics with it",
        "force a rotation",
        "the consumer reads the new version and calls GET /topics",
    ]
    assert "waiting for the schedule's first run" in demo.printed


def test_picture_has_the_printed_lines_and_is_current(demo: Demo) -> None:
    drawn = guides.picture_lines(demo.picture)
    printed = [line.rstrip() for line in demo.printed.splitlines()]
    assert [line for line in drawn if line not in printed] == []
    assert shape(drawn) == shape(guides.picture_lines(guides.FOLDER / "demo.svg"))


def shape(lines: list[str]) -> list[str]:
    """Return the lines without the parts that differ between runs."""
    varying = re.compile(r"\d+(?=:)|:\d+|\d+\.\d|\b[0-9a-f]{16}\b|\d{4}-\S+|\d+ min|\d+ s|; .*")
    return [varying.sub("*", line) for line in lines if "waiting for" not in line]


def test_stored_token_opens_the_api(demo: Demo) -> None:
    headers = {"Authorization": f"Bearer {demo.token()}"}
    assert requests.get(demo.exports["ROTATOR_VERIFY_URL"], headers=headers, timeout=10).status_code == 200


def test_the_function_was_invoked_by_the_schedule_under_its_role(demo: Demo) -> None:
    named = demo.account.outputs()
    schedule = demo.account.client("scheduler").get_schedule(
        Name=named["ScheduleName"], GroupName=named["ScheduleGroupName"]
    )
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    log = "\n".join(demo.account.log_lines(named["LogGroupName"]))
    assert "rotation default: rotated" in log
    assert demo.token() not in log
    assert demo.client_secret() not in log


def test_consumer_role_reads_only_token_and_status(demo: Demo) -> None:
    policy = demo.account.outputs()["ConsumerPolicyArn"]
    consumer = demo.account.assume_consumer_role(policy, role="another-consumer")
    names = [PARAMETER_NAME, f"{PARAMETER_NAME}/status"]
    found = consumer.client("ssm").get_parameters(Names=names, WithDecryption=True)["Parameters"]
    assert len(found) == 2
    with pytest.raises(ClientError, match="AccessDenied"):
        consumer.client("secretsmanager").get_secret_value(SecretId=SECRET_NAME)
    with pytest.raises(ClientError, match="AccessDenied"):
        consumer.client("ssm").put_parameter(Name=PARAMETER_NAME, Value="x", Overwrite=True)


def test_make_rotate_works_in_another_terminal(demo: Demo) -> None:
    version = demo.account.client("ssm").get_parameter(Name=PARAMETER_NAME)["Parameter"]["Version"]
    done = demo.run("make", "rotate")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        demo.account.client("ssm").get_parameter(Name=PARAMETER_NAME)["Parameter"]["Version"] == version + 1
    )


def test_make_rotate_invokes_the_deployed_function(demo: Demo) -> None:
    function = demo.account.outputs()["FunctionName"]
    done = demo.run("make", "rotate", f"FUNCTION={function}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rotated" in done.stdout
    missing = demo.run("rotator", "rotate", "--function", "missing")
    assert missing.returncode == 2
    assert "the function missing could not be invoked: ResourceNotFound" in missing.stderr
    unknown = demo.run("rotator", "rotate", "other", "--function", function)
    assert "no rotation named 'other'" in unknown.stderr


def test_rotator_status_works_in_another_terminal(demo: Demo) -> None:
    done = demo.run("rotator", "status")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fresh" in done.stdout


def test_rotator_doctor_passes_in_another_terminal(demo: Demo) -> None:
    done = demo.run("rotator", "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 passed" in done.stdout


@pytest.mark.skipif(not shutil.which("aws"), reason="the AWS CLI is not installed")
def test_the_aws_cli_works_in_another_terminal(demo: Demo) -> None:
    done = demo.run("aws", "ssm", "get-parameter", "--name", f"{PARAMETER_NAME}/status", "--output", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(json.loads(done.stdout)["Parameter"]["Value"])["schema"] == 1


def test_neither_the_secret_nor_a_token_was_printed(demo: Demo) -> None:
    assert demo.client_secret() not in demo.printed
    history = demo.account.client("ssm").get_parameter_history(Name=PARAMETER_NAME, WithDecryption=True)
    tokens = [version["Value"] for version in history["Parameters"]]
    assert len(tokens) >= 2
    assert not any(part in demo.printed for token in tokens for part in token.split("."))


def test_terminated_demo_leaves_no_process_running(demo: Demo) -> None:
    world = psutil.Process(demo.process_id)
    processes = [world, *world.children(recursive=True)]
    assert len(processes) >= 2, "the world and its AWS"
    world.terminate()
    _, running = psutil.wait_procs(processes, timeout=30)
    assert running == []
    with pytest.raises(requests.ConnectionError):
        requests.get(demo.exports["AWS_ENDPOINT_URL"], timeout=5)
