"""``make deploy`` to ``make undeploy`` as an operator would type them: the real AWS CLI, IAM enforced."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from conftest import CHECKOUT
from rotator.devstack.authorization_api import AuthorizationApi
from rotator.devstack.aws_emulators import ACCOUNT, ADMINISTRATOR, client_environment
from rotator.devstack.deployment import Account
from rotator.devstack.http_server import serving

# One worker runs all of these in their order, as it does every file: they share one stack and its end.

STACK = "operators-stack"
SECRET_NAME = "operators/client"
CLIENT_SECRET = "secret-of-the-operators-client"
PARAMETER = "/operators/token"
BUCKET = "operators-code"
WHAT = {"STACK": STACK, "SECRET": SECRET_NAME, "PARAMETER": PARAMETER, "BUCKET": BUCKET}
AS_STARTED = dict(os.environ)
"""With the user's package index, which the zip's build needs."""


@dataclass(frozen=True)
class Operator:
    """A terminal with the AWS CLI, and the account it leads to.

    In ``built``, a copy of the checkout, `make deploy` finds the zip built already.
    """

    account: Account
    environ: Mapping[str, str]
    token_endpoint: str
    built: Path

    def make(
        self, target: str, folder: Path = CHECKOUT, /, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", target, *(f"{name}={value}" for name, value in variables.items())],
            env=dict(self.environ),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    def deploy(self, settings: str = "", **changed: str) -> subprocess.CompletedProcess[str]:
        """Deploy what is built already."""
        return self._deploy(self.built, settings, changed)

    def build_and_deploy(self) -> subprocess.CompletedProcess[str]:
        return self._deploy(CHECKOUT, "", {})

    def _deploy(
        self, folder: Path, settings: str, changed: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        common = f"TokenEndpoint={self.token_endpoint} AllowedHosts=127.0.0.1"
        request = 'TokenRequestParams={"expiration": "86400"}'
        variables = {**WHAT, **changed, "SET": f"{common} {request} {settings}", "TAGS": "team=operators"}
        return self.make("deploy", folder, **variables)

    def status(self, stack: str) -> str | None:
        """The stack's status, None if there is none: a list would not have those that were never executed."""
        try:
            found = self.account.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        except ClientError:
            return None
        return str(found[0]["StackStatus"])


BUILT_ALREADY = """import pathlib, shutil
OUTPUT = pathlib.Path(".build/rotator.zip").resolve()
PACKAGE = OUTPUT.parents[1] / "rotator"
if __name__ == "__main__":
    OUTPUT.parent.mkdir(exist_ok=True)
    shutil.copy("rotator.zip", OUTPUT)
"""


@pytest.fixture(scope="module")
def built(function_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout in which the zip is built once for all deployments."""
    folder = tmp_path_factory.mktemp("built")
    for name in ("infra", "rotator"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(CHECKOUT / name, folder)
    shutil.copy(function_zip, folder)
    (folder / "infra" / "build.py").write_text(BUILT_ALREADY)
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (folder / ".venv" / "bin" / "python").chmod(0o755)
    (folder / ".venv" / ".base").touch()
    return folder


@pytest.fixture(scope="module")
def operator(
    ministack_endpoint: str, built: Path, clean_environment: Mapping[str, str]
) -> Iterator[Operator]:
    account = Account(ministack_endpoint, ADMINISTRATOR)
    account.create_secret(SECRET_NAME, "operators-client", CLIENT_SECRET)
    account.client("s3").create_bucket(Bucket=BUCKET)
    pip = {
        name: value
        for name, value in AS_STARTED.items()
        if name.lower().startswith(("pip_", "http", "no_proxy"))
    }
    environ = {**pip, **clean_environment, **client_environment(ministack_endpoint), "NO_PROXY": "127.0.0.1"}
    with serving(AuthorizationApi({"operators-client": CLIENT_SECRET}).app) as api:
        yield Operator(account, environ, f"{api}/oauth2/token", built)


@pytest.fixture(scope="module")
def deployed(operator: Operator) -> dict[str, str]:
    """The stack's outputs as `make deploy` printed them."""
    done = operator.build_and_deploy()
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(re.findall(r"^  (\w+) +(\S+)$", done.stdout, re.MULTILINE))


ANOTHER = {
    "Description": "Payroll",
    "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
    "Outputs": {"FunctionName": {"Value": "payroll"}},
}


@pytest.fixture(scope="module")
def somebody_elses(operator: Operator) -> str:
    cloudformation = operator.account.client("cloudformation")
    cloudformation.create_stack(StackName="not-a-rotator", TemplateBody=json.dumps(ANOTHER))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="not-a-rotator", WaiterConfig={"Delay": 1}
    )
    return "not-a-rotator"


def reported(done: subprocess.CompletedProcess[str]) -> str:
    """What the command said on standard error, without make's own line."""
    (line,) = (line for line in done.stderr.splitlines() if not line.startswith("make"))
    return line


def test_invalid_value_is_refused_and_creates_no_stack(operator: Operator) -> None:
    done = operator.deploy("VerifyUrl=ftp://127.0.0.1", STACK="refused")
    assert done.returncode == 2, "what make makes of any failure"
    assert "refuses the change: VerifyUrl: must be empty or an https address; " in reported(done)
    assert operator.status("refused") is None


@pytest.mark.parametrize(
    ("changed", "told_so"),
    [
        ({"PARAMETER": "/aws/token"}, "PARAMETER must be a path such as /healthwise/token, not below /aws"),
        ({"SECRET": "file://pyproject.toml"}, "SECRET is not the name or the ARN of a secret"),
        ({"STACK": "not-a-rotator"}, "the stack not-a-rotator is not a rotator; set STACK to another name"),
    ],
    ids=["a path of AWS", "a file as the secret", "another stack"],
)
def test_unusable_target_is_refused_and_nothing_changes(
    operator: Operator, somebody_elses: str, changed: dict[str, str], told_so: str
) -> None:
    done = operator.deploy(**({"STACK": "refused"} | changed))
    assert done.returncode == 2
    assert told_so in reported(done)
    assert operator.status("refused") is None
    assert operator.status(somebody_elses) == "CREATE_COMPLETE"


def test_undeploy_refuses_a_stack_that_is_not_a_rotator(operator: Operator, somebody_elses: str) -> None:
    done = operator.make("undeploy", STACK=somebody_elses)
    assert (
        reported(done) == f"undeploy: the stack {somebody_elses} is not a rotator; set STACK to another name"
    )
    assert operator.status(somebody_elses) == "CREATE_COMPLETE"


def test_pending_change_set_stops_deploy_and_undeploy(operator: Operator) -> None:
    cloudformation = operator.account.client("cloudformation")
    cloudformation.create_change_set(
        StackName="read", ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=json.dumps(ANOTHER)
    )
    for done in (operator.deploy(STACK="read"), operator.make("undeploy", STACK="read")):
        assert "the stack read has a change set that was not executed; " in reported(done)
    assert operator.status("read") == "REVIEW_IN_PROGRESS"
    cloudformation.delete_stack(StackName="read")


BROKEN = """Resources:
  Broken:
    Type: AWS::Lambda::Url
    DependsOn: Function
    Properties:
      TargetFunctionArn: missing
      AuthType: AWS_IAM
"""


def test_failed_creation_names_the_cause_and_is_cleaned_up(operator: Operator, tmp_path: Path) -> None:
    broken = shutil.copytree(operator.built, tmp_path / "broken")
    template = broken / "infra" / "template.yaml"
    template.write_text(template.read_text().replace("Resources:\n", BROKEN, 1))
    done = subprocess.run(
        [sys.executable, "-m", "infra.deploy"],
        env={**operator.environ, **WHAT, "STACK": "half"},
        cwd=broken,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 1
    assert re.match(
        r"deploy: Broken: .+; the created resources were deleted again; fix the cause", reported(done)
    )
    assert operator.status("half") is None
    groups = operator.account.client("logs").describe_log_groups(logGroupNamePrefix="/rotator/half")
    assert groups["logGroups"] == []


def test_deploy_creates_the_stack_and_prints_its_outputs(
    operator: Operator, deployed: dict[str, str]
) -> None:
    assert deployed["ParameterName"] == PARAMETER
    assert deployed["LogGroupName"] == f"/rotator/{STACK}"
    assert deployed["FunctionName"].startswith(f"{STACK}-")
    assert operator.status(STACK) == "CREATE_COMPLETE"


def test_the_deployed_function_writes_the_token(operator: Operator, deployed: dict[str, str]) -> None:
    done = operator.make("rotate", FUNCTION=deployed["FunctionName"])
    assert done.returncode == 0, done.stdout + done.stderr
    ssm = operator.account.client("ssm")
    status = json.loads(ssm.get_parameter(Name=f"{PARAMETER}/status")["Parameter"]["Value"])
    assert status["parameter_version"] == ssm.get_parameter(Name=PARAMETER)["Parameter"]["Version"]


@pytest.fixture(scope="module")
def noticed(operator: Operator, deployed: dict[str, str]) -> str:
    """The line of `make deploy` when the function ran other code than the zip, after following its advice."""
    planted = io.BytesIO()
    with zipfile.ZipFile(planted, "w") as archive:
        archive.writestr("rotator/handler.py", "def lambda_handler(*_): return {}")
    client = operator.account.client("lambda")
    client.update_function_code(FunctionName=deployed["FunctionName"], ZipFile=planted.getvalue())
    done = operator.deploy()
    assert done.returncode == 2
    line = reported(done)
    fix = re.search(r": (aws lambda .+), and deploy again", line)
    assert fix
    subprocess.run(
        shlex.split(fix[1]), env=dict(operator.environ), cwd=operator.built, capture_output=True, check=True
    )
    return line


@pytest.fixture(scope="module")
def again(operator: Operator, noticed: str) -> tuple[list[str], subprocess.CompletedProcess[str]]:
    """The bucket's keys, below all of which code was planted, and the same command again."""
    s3 = operator.account.client("s3")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET, Prefix="rotator/")["Contents"]]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"planted")
    return keys, operator.deploy()


def test_replaced_function_code_is_detected_and_the_fix_works(
    noticed: str, again: tuple[list[str], subprocess.CompletedProcess[str]]
) -> None:
    assert noticed.startswith("deploy: the function runs other code than the zip: ")
    assert again[1].returncode == 0, again[1].stderr


def test_repeated_deploy_changes_nothing(
    operator: Operator, again: tuple[list[str], subprocess.CompletedProcess[str]]
) -> None:
    done = again[1]
    assert done.returncode == 0, done.stderr
    assert "\nnothing to change\n" in done.stdout
    assert operator.status(STACK) == "CREATE_COMPLETE"
    change_sets = operator.account.client("cloudformation").list_change_sets(StackName=STACK)["Summaries"]
    assert [each["ChangeSetName"] for each in change_sets if each["Status"] == "FAILED"] == []


def test_code_that_was_planted_in_the_bucket_is_replaced(
    operator: Operator, again: tuple[list[str], subprocess.CompletedProcess[str]]
) -> None:
    keys, done = again
    assert done.returncode == 0, done.stderr
    assert keys
    s3 = operator.account.client("s3")
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="rotator/")["KeyCount"] == len(keys)
    bodies = {s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}
    zip_file = (CHECKOUT / ".build" / "rotator.zip").read_bytes()
    assert zip_file in bodies


def test_upgrade_changes_only_the_given_parameters(operator: Operator, deployed: dict[str, str]) -> None:
    topic = operator.account.client("sns").create_topic(Name="on-call")["TopicArn"]
    given = f"MemoryMegabytes=512 AlarmTopicArn={topic}"
    done = operator.make("deploy", operator.built, **WHAT, SET=given)
    assert done.returncode == 0, done.stderr
    assert "\ndeployed\n" in done.stdout
    assert "alarms do not notify anyone until" in done.stdout
    function = operator.account.client("lambda").get_function_configuration(
        FunctionName=deployed["FunctionName"]
    )
    assert function["MemorySize"] == 512
    variables = function["Environment"]["Variables"]
    assert variables["ROTATOR_TOKEN_ENDPOINT"] == operator.token_endpoint
    assert variables["ROTATOR_TOKEN_REQUEST_PARAMS"] == '{"expiration": "86400"}'
    (stack,) = operator.account.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    assert {"Key": "team", "Value": "operators"} in stack["Tags"]


def test_a_refused_upgrade_leaves_the_stack_as_it_was(operator: Operator, deployed: dict[str, str]) -> None:
    before = operator.status(STACK)
    done = operator.deploy("ClientAuthentication=none")
    assert done.returncode == 2
    assert "CloudFormation refuses the change: ClientAuthentication" in reported(done)
    assert "the stack was rolled back to its previous state" in reported(done)
    assert operator.status(STACK) == before


def test_downloaded_code_is_deployed_only_if_it_was_released(
    operator: Operator, deployed: dict[str, str], function_zip: Path, tmp_path: Path
) -> None:
    code, checksums = tmp_path / "rotator.zip", tmp_path / "SHA256SUMS"
    shutil.copy(function_zip, code)
    with zipfile.ZipFile(code, "a") as archive:
        archive.writestr("released", "and not built here")
    digest = hashlib.sha256(code.read_bytes())
    checksums.write_text(f"{'0' * 64}  rotator.zip\n")
    before = code_sha256(operator, deployed)
    done = operator.deploy(CODE=str(code))
    assert (done.returncode, done.stdout) == (2, "")
    assert "rotator.zip is not the released file" in reported(done)
    assert code_sha256(operator, deployed) == before

    checksums.write_text(f"{digest.hexdigest()}  rotator.zip\n")
    done = operator.deploy(CODE=str(code))
    assert done.returncode == 0, done.stderr
    assert code_sha256(operator, deployed) == base64.b64encode(digest.digest()).decode()


def code_sha256(operator: Operator, deployed: dict[str, str]) -> str:
    function = operator.account.client("lambda")
    return str(function.get_function_configuration(FunctionName=deployed["FunctionName"])["CodeSha256"])


def test_logs_show_the_outcome_and_no_secret(operator: Operator, deployed: dict[str, str]) -> None:
    operator.make("rotate", FUNCTION=deployed["FunctionName"])
    done = operator.make("logs", STACK=STACK, SINCE="10m")
    assert done.returncode == 0, done.stderr
    assert "rotation default: rotated, valid until" in done.stdout
    assert CLIENT_SECRET not in done.stdout


def test_undeploying_removes_the_stack_and_leaves_the_token(
    operator: Operator, deployed: dict[str, str]
) -> None:
    ssm = operator.account.client("ssm")
    version = ssm.get_parameter(Name=PARAMETER)["Parameter"]["Version"]
    status = json.loads(ssm.get_parameter(Name=f"{PARAMETER}/status")["Parameter"]["Value"])
    done = operator.make("undeploy", STACK=STACK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"the token in {PARAMETER}, which expires at {status['expires_at']} and is no" in done.stdout
    assert (
        f"aws ssm delete-parameters --names {PARAMETER} {PARAMETER}/status {PARAMETER}/lease" in done.stdout
    )
    assert operator.status(STACK) is None
    assert ssm.get_parameter(Name=PARAMETER)["Parameter"]["Version"] == version
    with pytest.raises(ClientError, match="ResourceNotFound"):
        operator.account.client("lambda").get_function(FunctionName=deployed["FunctionName"])
    again = operator.make("undeploy", STACK=STACK)
    assert reported(again).startswith(f"undeploy: the stack {STACK} does not exist in us-east-1")


def test_role_without_permission_is_refused_and_creates_nothing(operator: Operator) -> None:
    anyone = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [anyone]})
    iam = operator.account.client("iam")
    role = iam.create_role(RoleName="no-operator", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    denied_account = operator.account.assume_role(role)
    denied = replace(
        operator, account=denied_account, environ={**operator.environ, **denied_account.credentials}
    )
    done = denied.deploy(STACK="denied")
    assert done.returncode == 2
    assert re.match(
        r"deploy: the bucket \S+ belongs to another account, or access to it is denied; ", reported(done)
    )
    assert operator.status("denied") is None


DEPLOYERS_STACK = "deployers-stack"
POLICY = json.loads((CHECKOUT / "infra" / "deployer-policy.json").read_text())
NAMES = {"rotator": DEPLOYERS_STACK, "my-bucket": BUCKET, "healthwise/client": SECRET_NAME}


def deployer_policy(without: str = "") -> str:
    """The policy as infra/docs/permissions.md says: with the names replaced; without an action."""
    statements = json.loads(json.dumps(POLICY))["Statement"]
    for statement in statements:
        actions, resources = statement["Action"], statement["Resource"]
        listed = [actions] if isinstance(actions, str) else actions
        statement["Action"] = [each for each in listed if each != without] or ["none:Of"]
        statement["Resource"] = json.loads(json.dumps(resources))
    text = json.dumps({**POLICY, "Statement": statements})
    text = text.replace(":my-bucket/rotator/", ":my-bucket/uploads/")  # the uploads' prefix is no name
    for name, ours in NAMES.items():
        text = re.sub(rf"(?<=[:/]){re.escape(name)}(?=[-/\"*])", ours, text)
    return text.replace(f"{BUCKET}/uploads/", f"{BUCKET}/rotator/")


@pytest.fixture(scope="module")
def deployer(operator: Operator) -> Operator:
    """An operator with the permissions of infra/deployer-policy.json and no others."""
    iam = operator.account.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="deployer", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    allow(operator, deployer_policy())
    credentials = operator.account.assume_role(role).credentials
    return replace(operator, environ={**operator.environ, **credentials})


def allow(operator: Operator, policy: str) -> None:
    iam = operator.account.client("iam")
    iam.put_role_policy(RoleName="deployer", PolicyName="deploy", PolicyDocument=policy)


@pytest.mark.parametrize(
    "permission",
    [
        "s3:PutObject",
        "secretsmanager:DescribeSecret",
        "cloudformation:DescribeStacks",
        "cloudformation:CreateChangeSet",
        "cloudformation:DescribeChangeSet",
        "cloudformation:ExecuteChangeSet",
    ],
)
def test_missing_permission_is_named_and_nothing_is_created(
    operator: Operator, deployer: Operator, permission: str
) -> None:
    allow(operator, deployer_policy(without=permission))
    done = deployer.deploy(STACK=DEPLOYERS_STACK)
    allow(operator, deployer_policy())
    assert done.returncode == 2
    assert f"allow this caller {permission}" in reported(done)
    assert operator.status(DEPLOYERS_STACK) is None


def test_deployer_policy_is_enough_to_deploy_change_and_undeploy(
    operator: Operator, deployer: Operator
) -> None:
    done = deployer.deploy(STACK=DEPLOYERS_STACK, PARAMETER="/deployers/token")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not verified" not in done.stdout
    for settings, said in (("MemoryMegabytes=512", "deployed"), ("MemoryMegabytes=512", "nothing to change")):
        done = deployer.deploy(settings, STACK=DEPLOYERS_STACK, PARAMETER="/deployers/token")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"\n{said}\n" in done.stdout
        assert "is left" not in done.stdout
    done = deployer.make("undeploy", deployer.built, STACK=DEPLOYERS_STACK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert operator.status(DEPLOYERS_STACK) is None
