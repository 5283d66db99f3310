"""The commands of an operator whose AWS credentials cannot be obtained: one line, 1, and no traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from aws_profiles import CANARY, EVERY, EXPIRED_SSO, MFA, ROLE_OF_KEYS, Profile
from command_line import ROTATOR, TIMEOUT_SECONDS
from conftest import CHECKOUT
from pseudo_terminal import terminal
from scripted_server import Peer, answer, serving
from warm_commands import warm

NOWHERE = "http://127.0.0.1:1"
DENIED = f"<ErrorResponse><Error><Code>AccessDenied</Code><Message>{CANARY}</Message></Error></ErrorResponse>"
ONE = {
    "ROTATOR_SECRET_ID": "healthwise/client",
    "ROTATOR_PARAMETER_NAME": "/healthwise/token",
    "ROTATOR_TOKEN_ENDPOINT": f"{NOWHERE}/oauth2/token",
    "COLUMNS": "200",
}
MANY = {"ROTATOR_ROTATIONS_PATH": "/rotations", "COLUMNS": "200"}
ADDED = ("--secret-id=a", "--parameter-name=/b/token", f"--token-endpoint={NOWHERE}/oauth2/token")
COMMANDS = {
    "status": (("status",), MANY),
    "status of a stack": (("status", "--stack", "rotator"), {}),
    "rotate": (("rotate",), ONE),
    "rotate by the function": (("rotate", "--function", "rotator"), {}),
    "list": (("list",), MANY),
    "add": (("add", "b", *ADDED), MANY),
    "remove": (("remove", "b"), MANY),
    "token": (("token", "/healthwise/token"), {}),
    "token by name": (("token", "b"), MANY),
    "exec": (("exec", "/healthwise/token", "--", "true"), {}),
}
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def warm_environment(
    tmp_path_factory: pytest.TempPathFactory, clean_environment: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """An environment with a home of its own, in which ``rotator`` is a warm command."""
    folder = tmp_path_factory.mktemp("operator")
    environment = {**clean_environment, "HOME": str(folder / "home")}
    with warm("rotator", folder / "rotator", environment):
        yield {**environment, "PATH": f"{folder}{os.pathsep}{environment['PATH']}"}


@pytest.fixture
def run(warm_environment: dict[str, str]) -> Run:
    """Run a command with a profile and settings, without a terminal."""
    home = Path(warm_environment["HOME"])
    shutil.rmtree(home, ignore_errors=True)

    def run(
        command: tuple[str, ...], profile: Profile, settings: Mapping[str, str], endpoint: str = NOWHERE
    ) -> subprocess.CompletedProcess[str]:
        login = {**profile.write(home), "AWS_ENDPOINT_URL": endpoint}
        return subprocess.run(
            ["rotator", *command],
            env={**warm_environment, **login, **settings},
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def sts() -> Iterator[Peer]:
    """An STS that denies every role."""
    with serving(Peer(answer(403, DENIED.encode(), Content_Type="text/xml"))) as peer:
        yield peer


def the_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the only line that a command has printed."""
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert CANARY not in done.stderr
    return done.stderr


@pytest.mark.parametrize("name", EVERY)
def test_status_with_unusable_profile_prints_one_line(run: Run, name: str) -> None:
    line = the_line(run(("status",), EVERY[name], {**ONE, "ROTATOR_LOG_LEVEL": "INFO"}))
    said = f"rotator: AWS credentials could not be obtained: {EVERY[name].code}; {EVERY[name].step}"
    assert line.startswith(said)


def test_status_with_denied_role_prints_one_line(run: Run, sts: Peer) -> None:
    line = the_line(run(("status",), ROLE_OF_KEYS, ONE, sts.url))
    assert "RoleNotAssumed; correct the role in the AWS profile" in line
    assert "ssm:" not in line


@pytest.mark.parametrize("name", COMMANDS)
def test_command_with_expired_sso_prints_one_line(run: Run, name: str) -> None:
    command, settings = COMMANDS[name]
    line = the_line(run(command, EXPIRED_SSO, settings))
    assert "SsoExpired; run `aws sso login --profile operator`" in line


@pytest.mark.parametrize(
    ("command", "settings", "passed", "code"),
    [
        (("doctor",), ONE, {"settings"}, 1),
        (("doctor",), MANY, set(), 1),
        (("doctor", "--stack", "rotator"), {}, set(), 1),
    ],
    ids=["one rotation", "multiple rotations", "a stack"],
)
def test_doctor_fails_identity_and_leaves_rest_unchecked(
    run: Run, command: tuple[str, ...], settings: dict[str, str], passed: set[str], code: int
) -> None:
    done = run((*command, "--json"), EXPIRED_SSO, settings)
    assert (done.returncode, done.stderr) == (code, "")
    checks = {check["check"]: check for check in json.loads(done.stdout)["checks"]}
    state = {name: check["state"] for name, check in checks.items()}
    assert {name for name in state if state[name] == "ok"} == passed
    of_aws = {name for name in state if state[name] == "failed"} - {"token endpoint"}  # nothing listens there
    assert of_aws == {"AWS identity"}
    assert checks["AWS identity"]["next_step"] == "run `aws sso login --profile operator`"


def test_mfa_code_is_asked_for_on_a_terminal(
    sts: Peer, tmp_path: Path, clean_environment: Mapping[str, str]
) -> None:
    environ = {**clean_environment, **MFA.write(tmp_path), **ONE, "AWS_ENDPOINT_URL": sts.url}
    with terminal([*ROTATOR, "status"], environ, CHECKOUT) as shown:
        shown.wait_for("Enter MFA code for arn:aws:iam::111122223333:mfa/me:")
        shown.type("123456\n")
        assert shown.end() == 1
    assert "RoleNotAssumed" in shown.text
    assert "TokenCode=123456" in sts.requests[-1].body
