"""Many rotations by the command line alone: processes on the embedded AWS, with an operator's permissions."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from command_line import ROTATOR, TIMEOUT_SECONDS, Shell
from conftest import CHECKOUT
from fake_ports import CANARY_SECRET
from misbehaving_api import MisbehavingApi
from pseudo_terminal import terminal
from rotator.devstack.aws_emulators import ACCOUNT, ADMINISTRATOR, client_environment
from rotator.devstack.deployment import Account
from rotator.devstack.http_server import serving

API = MisbehavingApi({"client": CANARY_SECRET})

DOCUMENTS = {
    "ssm:GetParametersByPath": "parameter/rotations-*",
    "ssm:PutParameter": "parameter/rotations-*/*",
    "ssm:DeleteParameter": "parameter/rotations-*/*",
}
"""What infra/docs/deployment.md says that an operator needs."""

CHECK = {"secretsmanager:GetSecretValue": "secret:healthwise/*"}

ROTATE = {"ssm:GetParameters": "parameter/tokens-*", "ssm:PutParameter": "parameter/tokens-*"}


def statement(effect: str, action: str, resource: str) -> dict[str, str]:
    service = action.partition(":")[0]
    return {
        "Effect": effect,
        "Action": action,
        "Resource": f"arn:aws:{service}:us-east-1:{ACCOUNT}:{resource}",
    }


def become_role(account: Account, *statements: Mapping[str, str]) -> Mapping[str, str]:
    """Credentials of a role that may do this and nothing else."""
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    iam, role = account.client("iam"), f"operator-{uuid.uuid4().hex[:8]}"
    trust_policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust_policy)["Role"]["Arn"]
    allowed = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=allowed)
    session = account.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
    }


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(API.app) as address:
        yield address


class Operator(Shell):
    """An operator's shell, with a path and tokens of this test's own."""

    def __init__(self, environment: dict[str, str], account: Account, address: str) -> None:
        super().__init__(environment, account)
        unique = uuid.uuid4().hex[:8]
        self.path, self.tokens = f"/rotations-{unique}", f"/tokens-{unique}"
        self.endpoint = f"{address}/oauth2/token"
        self.environment |= {"ROTATOR_ROTATIONS_PATH": self.path, "COLUMNS": "200"}

    def allow(self, *permissions: Mapping[str, str]) -> Operator:
        """Become a role that has these permissions, and no other."""
        statements = [statement("Allow", *each) for some in permissions for each in some.items()]
        credentials = become_role(self.account, *statements)
        self.environment |= client_environment(self.account.endpoint, credentials)
        return self

    def options(self, name: str) -> tuple[str, ...]:
        return (
            *("--secret-id", "healthwise/client", "--parameter-name", f"{self.tokens}/{name}"),
            *("--token-endpoint", self.endpoint),
        )

    def add(self, name: str, *more: str) -> Any:
        return self.run("add", name, *self.options(name), *more)

    def documents(self) -> dict[str, Any]:
        ssm = self.account.client("ssm")
        found = ssm.get_parameters_by_path(Path=self.path, Recursive=True)["Parameters"]
        return {each["Name"].removeprefix(f"{self.path}/"): json.loads(each["Value"]) for each in found}


@pytest.fixture
def operator(ministack_endpoint: str, address: str, clean_environment: Mapping[str, str]) -> Operator:
    account = Account(ministack_endpoint, ADMINISTRATOR)
    secrets = account.client("secretsmanager")
    text = json.dumps({"client_id": "client", "client_secret": CANARY_SECRET})
    try:
        secrets.create_secret(Name="healthwise/client", SecretString=text)
    except secrets.exceptions.ResourceExistsException:  # the account is the worker's, and other tests' too
        secrets.put_secret_value(SecretId="healthwise/client", SecretString=text)
    environment = {**clean_environment, **client_environment(ministack_endpoint, ADMINISTRATOR)}
    return Operator(environment, account, address)


def test_rotation_is_added_listed_rotated_shown_and_removed(operator: Operator) -> None:
    operator.allow(DOCUMENTS, CHECK, ROTATE)
    for name in ("tenant-a", "tenant-b.staging"):
        done = operator.add(name)
        assert (done.returncode, done.stderr.count("✓"), "✗" in done.stderr) == (0, 2, False)
    listed = json.loads(operator.run("list", "--json").stdout)["rotations"]
    assert [each["name"] for each in listed] == ["tenant-a", "tenant-b.staging"]

    assert operator.run("rotate", "tenant-a").returncode == 0
    looked = operator.run("status", "tenant-*", "--json")
    reported = json.loads(looked.stdout)
    assert (looked.returncode, reported["summary"]["states"]) == (1, {"fresh": 1, "missing": 1})
    assert [each["name"] for each in reported["rotations"]] == ["tenant-b.staging", "tenant-a"]
    assert operator.run("status", "--state", "fresh").returncode == 0

    done = operator.run("remove", "tenant-a", "--yes")
    assert (done.returncode, list(operator.documents())) == (0, ["tenant-b.staging"])
    assert operator.parameter(f"{operator.tokens}/tenant-a")["Type"] == "SecureString"
    printed = "".join(map(str, (done.stdout, looked.stdout, listed)))
    assert CANARY_SECRET not in printed


def test_add_check_does_not_revoke_an_existing_token(operator: Operator, address: str) -> None:
    API.misbehaviour.plan(revokes_older_tokens=True)
    assert operator.add("a").returncode == 0
    assert operator.run("rotate").returncode == 0
    assert operator.add("b").returncode == 0
    token = operator.parameter(f"{operator.tokens}/a")["Value"]
    answer = requests.get(f"{address}/topics", headers={"Authorization": f"Bearer {token}"}, timeout=10)
    assert answer.status_code == 200
    API.misbehaviour.plan(revokes_older_tokens=False)


def test_only_one_of_several_concurrent_adds_succeeds(operator: Operator) -> None:
    command = ("add", "tenant-a", *operator.options("tenant-a"), "--no-check", "--scope")
    processes = {scope: operator.start(*command, scope) for scope in ("one", "two", "three", "four")}
    ended = {
        scope: (*each.communicate(timeout=TIMEOUT_SECONDS), each.returncode)
        for scope, each in processes.items()
    }
    won = [scope for scope, (_, _, code) in ended.items() if code == 0]
    assert [operator.documents()["tenant-a"]["scope"]] == won
    for scope in ended.keys() - set(won):
        _, error, code = ended[scope]
        assert (code, "there is a rotation tenant-a already" in error) == (2, True)


@pytest.mark.parametrize(
    ("action", "args"),
    [
        ("ssm:GetParametersByPath", ("list",)),
        ("ssm:GetParametersByPath", ("add", "b")),
        ("ssm:PutParameter", ("add", "b")),
        ("ssm:DeleteParameter", ("remove", "a", "--yes")),
    ],
)
def test_denied_command_names_the_missing_permission(
    action: str, args: tuple[str, ...], operator: Operator
) -> None:
    assert operator.add("a", "--no-check").returncode == 0
    operator.allow({key: value for key, value in DOCUMENTS.items() if key != action})
    more = (*operator.options("b"), "--no-check") if args[0] == "add" else ()
    done = operator.run(*args, *more)
    assert done.returncode == 1
    assert action in done.stderr
    assert "Traceback" not in done.stderr
    assert list(operator.documents()) == ["a"]


def test_no_check_adds_without_permission_to_read_the_secret(operator: Operator) -> None:
    operator.allow(DOCUMENTS)
    done = operator.add("tenant-a")
    assert (done.returncode, operator.documents()) == (1, {})
    assert "✗ secret: the secret healthwise/client could not be read: AccessDenied" in done.stderr
    assert operator.add("tenant-a", "--no-check").returncode == 0
    assert list(operator.documents()) == ["tenant-a"]


def test_add_dry_run_prints_the_document_and_writes_nothing(operator: Operator) -> None:
    operator.allow(DOCUMENTS, CHECK)
    done = operator.add("tenant-a", "--dry-run", "--renew-at", "0.5")
    assert (done.returncode, operator.documents()) == (0, {})
    assert json.loads(done.stdout) == {
        "secret_id": "healthwise/client",
        "parameter_name": f"{operator.tokens}/tenant-a",
        "token_endpoint": operator.endpoint,
        "renew_at": 0.5,
    }


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, []), ("n", 1, ["a"]), ("", 1, ["a"])])
def test_remove_asks_for_confirmation_on_a_terminal(
    answer: str, code: int, left: list[str], operator: Operator, tmp_path: Path
) -> None:
    assert operator.add("a", "--no-check").returncode == 0
    environment = {**operator.variables(), "PYTHONPATH": str(CHECKOUT)}
    with terminal([*ROTATOR, "remove", "a"], environment, tmp_path) as opened:
        opened.wait_for("Delete this document? [y/N]:")
        opened.type(f"{answer}\n")
        assert opened.end() == code
    assert f"{operator.path}/a" in opened.text
    assert list(operator.documents()) == left


def test_progress_is_shown_on_a_terminal_before_the_table(operator: Operator, tmp_path: Path) -> None:
    assert operator.add("a").returncode == 0
    environment = {**operator.variables(), "PYTHONPATH": str(CHECKOUT), "TERM": "xterm"}
    with terminal([*ROTATOR, "rotate", "--progress"], environment, tmp_path) as opened:
        assert opened.end() == 0
    assert opened.text.index("1/1") < opened.text.index("expires at (UTC)")


def test_next_rotation_uses_the_replaced_document(operator: Operator) -> None:
    assert operator.add("a").returncode == 0
    assert operator.run("rotate", "a").returncode == 0
    done = operator.run("add", "a", *operator.options("b"), "--replace")
    assert (done.returncode, "No rotation renews" in done.stdout) == (0, True)
    assert operator.run("rotate", "a").returncode == 0
    assert operator.parameter(f"{operator.tokens}/b")["Version"] == 1
