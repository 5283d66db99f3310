"""``rotator doctor`` as a process on a deployed stack: all well, then one thing broken at a time."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.session import get_session
from click.testing import CliRunner

from conftest import CHECKOUT
from deployed_stack import code_folder
from doctor_patient import AFTER_THE_SECRET, CHECKS, ON_THE_CLOCK
from fake_ports import CANARY_SECRET
from leak_check import credential_forms, secrets_in, token_forms
from misbehaving_api import MisbehavingApi
from rotator import bootstrap
from rotator.adapters.runtime import aws_client
from rotator.cli import main
from rotator.devstack.aws_emulators import ACCOUNT, ADMINISTRATOR, client_environment, running_aws
from rotator.devstack.deployment import STACK, Account
from rotator.devstack.http_server import free_port, serving
from rotator.renewal.lease import VERSIONS_KEPT
from scripted_server import OUTAGE, Peer
from scripted_server import serving as serving_peer

DASH = "\N{EN DASH}"
SECRET_NAME, PARAMETER_NAME = "healthwise/client", "/healthwise/token"
API = MisbehavingApi({"client": CANARY_SECRET})
QUEUE = {"Protocol": "sqs", "Endpoint": f"arn:aws:sqs:us-east-1:{ACCOUNT}:on-call"}
"""A subscription that need not be confirmed."""

WITHOUT_SETTINGS = {"AWS identity", "clock"}


@dataclass(frozen=True)
class Examined:
    """What the doctor printed: the checks by their marks, and what he advised."""

    code: int
    printed: str
    marks: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, code: int, printed: str) -> Examined:
        lines = [re.match(rf"([✓✗{DASH}]) ([\w ]+): ", line) for line in printed.splitlines()]
        return cls(code, printed, {line[2]: line[1] for line in lines if line})

    def marked(self, mark: str) -> set[str]:
        return {name for name, shown in self.marks.items() if shown == mark}

    @property
    def advice(self) -> list[str]:
        return [line.removeprefix("  → ") for line in self.printed.splitlines() if line.startswith("  → ")]

    def has_one_cross(self, name: str, *, dashes: Iterable[str] = (), advice: str, code: int = 1) -> None:
        """Assert that this is the cross, that only its dependents are dashes, and what is to be done."""
        assert (self.marked("✗"), self.marked(DASH)) == ({name}, set(dashes)), self.printed
        assert list(self.marks) == CHECKS
        assert len(self.advice) == 1
        assert advice in self.advice[0]
        assert self.code == code


@dataclass
class ExaminedStack:
    """A deployed stack whose function has run once, and an operator before it."""

    account: Account
    environment: dict[str, str]
    outputs: Mapping[str, str]
    issued: list[str]

    def doctor(self, *args: str, **changes: str) -> Examined:
        """Run ``rotator doctor`` as a process, and see that it gives nothing away."""
        done = subprocess.run(
            ["rotator", "doctor", *args],
            env={**self.environment, **changes},
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.nothing_is_told(done.stdout + done.stderr)
        assert "Traceback" not in done.stderr
        return Examined.read(done.returncode, done.stdout)

    def nothing_is_told(self, text: str) -> None:
        tokens = {form for token in [*self.issued, self.token()] for form in token_forms(token)}
        assert secrets_in(text, credential_forms("client", CANARY_SECRET) | tokens) == []

    def token(self) -> str:
        answer = self.account.client("ssm").get_parameter(Name=PARAMETER_NAME, WithDecryption=True)
        return str(answer["Parameter"]["Value"])

    def versions(self) -> dict[str, int]:
        """Every parameter of the account with its version."""
        found = self.account.client("ssm").get_parameters_by_path(Path="/", Recursive=True)["Parameters"]
        return {parameter["Name"]: parameter["Version"] for parameter in found}

    def operator_without(self, action: str) -> dict[str, str]:
        """The credentials of a role that may do everything but this."""
        role = f"without-{action.replace(':', '-')}"
        trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        statements = [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": action, "Resource": "*"},
        ]
        iam = self.account.client("iam")
        arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=_policy(*statements))
        session = self.account.client("sts").assume_role(RoleArn=arn, RoleSessionName="op")["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
            "AWS_SESSION_TOKEN": session["SessionToken"],
        }

    def set_schedule(self, state: str) -> None:
        scheduler = self.account.client("scheduler")
        found = scheduler.get_schedule(
            Name=self.outputs["ScheduleName"], GroupName=self.outputs["ScheduleGroupName"]
        )
        kept = {
            key: found[key]
            for key in ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target")
        }
        scheduler.update_schedule(**kept, State=state)

    def set_topic(self, topic_arn: str) -> None:
        """Let the stack's alarms go to this topic."""
        cloudformation = self.account.client("cloudformation")
        [stack] = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
        kept = [
            {"ParameterKey": each["ParameterKey"], "UsePreviousValue": True}
            for each in stack["Parameters"]
            if each["ParameterKey"] != "AlarmTopicArn"
        ]
        cloudformation.update_stack(
            StackName=STACK,
            UsePreviousTemplate=True,
            Parameters=[*kept, {"ParameterKey": "AlarmTopicArn", "ParameterValue": topic_arn}],
            Capabilities=["CAPABILITY_IAM"],
        )
        cloudformation.get_waiter("stack_update_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})


def _policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.fixture(scope="module")
def issued() -> list[str]:
    """Return all tokens that the API has issued."""
    return []


@pytest.fixture(scope="module")
def api_address(issued: list[str]) -> Iterator[str]:
    def watched(environ: Any, start_response: Any) -> Any:
        body = b"".join(API.app(environ, start_response))
        if environ["REQUEST_METHOD"] == "POST" and b"access_token" in body:
            issued.append(json.loads(body)["access_token"])
        return [body]

    with serving(watched) as address:
        yield address


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    api_address: str,
    issued: list[str],
    function_zip: Path,
    clean_environment: Mapping[str, str],
) -> Iterator[ExaminedStack]:
    with running_aws(tmp_path_factory.mktemp("doctor"), code_folder(function_zip)) as endpoint:
        account = Account(endpoint, ADMINISTRATOR)
        secret = account.create_secret(SECRET_NAME, "client", CANARY_SECRET)
        token_endpoint = f"{api_address}/oauth2/token"
        parameters = {
            "SecretArn": secret,
            "ParameterName": PARAMETER_NAME,
            "TokenEndpoint": token_endpoint,
            "AllowedHosts": "127.0.0.1",
            "AlarmTopicArn": account.client("sns").create_topic(Name="alarms")["TopicArn"],
        }
        account.client("sns").subscribe(TopicArn=parameters["AlarmTopicArn"], **QUEUE)
        account.upload(function_zip)
        outputs = account.create_stack(parameters)
        account.invoke(outputs["FunctionName"], {})
        environment = {
            **clean_environment,
            **client_environment(endpoint),
            "ROTATOR_SECRET_ID": secret,
            "ROTATOR_PARAMETER_NAME": PARAMETER_NAME,
            "ROTATOR_TOKEN_ENDPOINT": token_endpoint,
        }
        yield ExaminedStack(account, environment, outputs, issued)


@pytest.fixture
def misfits(world: ExaminedStack) -> Iterator[Mapping[str, str]]:
    """Secrets that are no good, by what is wrong with them."""
    secrets = world.account.client("secretsmanager")
    texts = {
        "malformed": f'{{"client_id": "client", "client_secret": "{CANARY_SECRET}"',
        "wrong": json.dumps({"client_id": "client", "client_secret": f"not {CANARY_SECRET}"}),
        "gone": "{}",
    }
    arns = {name: secrets.create_secret(Name=name, SecretString=text)["ARN"] for name, text in texts.items()}
    secrets.delete_secret(SecretId=arns["gone"], ForceDeleteWithoutRecovery=True)
    yield arns
    for name in ("malformed", "wrong"):
        secrets.delete_secret(SecretId=arns[name], ForceDeleteWithoutRecovery=True)


def test_healthy_stack_passes_every_check(world: ExaminedStack) -> None:
    examined = world.doctor()
    assert (list(examined.marks), examined.marked("✓")) == (CHECKS, set(CHECKS)), examined.printed
    assert (examined.code, examined.advice) == (0, [])


def test_json_output_has_the_same_checks(world: ExaminedStack) -> None:
    reported = json.loads(world.doctor("--json").printed)
    assert reported["healthy"] is True
    assert [(check["check"], check["state"]) for check in reported["checks"]] == [
        (name, "ok") for name in CHECKS
    ]
    assert {check["rotation"] for check in reported["checks"]} == {None, "default"}


def test_doctor_requests_one_token_and_writes_nothing_to_aws(world: ExaminedStack) -> None:
    before, token, requests = world.versions(), world.token(), API.misbehaviour.token_requests
    world.doctor()
    assert (world.versions(), world.token()) == (before, token)
    assert API.misbehaviour.token_requests == requests + 1


def test_no_token_option_requests_no_token(world: ExaminedStack) -> None:
    requests = API.misbehaviour.token_requests
    examined = world.doctor("--no-token", "--try-encodings")
    assert (examined.marked(DASH), examined.code) == ({"credentials", "token", "size"}, 0)
    assert API.misbehaviour.token_requests == requests


def test_try_encodings_finds_the_accepted_encoding(world: ExaminedStack) -> None:
    examined = world.doctor("--try-encodings", ROTATOR_BASIC_ENCODING="form")
    examined.has_one_cross("credentials", dashes={"token", "size"}, advice="set basic_encoding to raw")
    assert "accepted as raw, refused as form" in examined.printed


def test_stack_option_overrides_environment_settings(world: ExaminedStack) -> None:
    wrong = {"ROTATOR_SECRET_ID": "another", "ROTATOR_PARAMETER_NAME": "/another/token"}
    nothing = {key: "" for key in world.environment if key.startswith("ROTATOR_")}
    for environment in ({}, wrong, nothing):
        examined = world.doctor("--no-token", "--stack", "rotator", **environment)
        assert (examined.marked("✗"), examined.marked(DASH)) == (set(), {"credentials", "token", "size"})
        assert "read from the stack rotator" in examined.printed


def test_stack_option_requires_an_existing_rotator_stack(world: ExaminedStack) -> None:
    missing = world.doctor("--stack", "missing")
    assert (missing.marked("✗"), missing.code) == ({"settings"}, 2)
    assert missing.advice == ["check the name, the account and the Region"]
    template = {"Resources": {"Function": {"Type": "AWS::SQS::Queue"}}}
    cloudformation = world.account.client("cloudformation")
    cloudformation.create_stack(StackName="other", TemplateBody=json.dumps(template))
    assert world.doctor("--stack", "other").advice == ["name a stack of infra/template.yaml"]
    denied = world.operator_without("cloudformation:DescribeStacks")
    unread = world.doctor("--stack", "rotator", **denied)
    assert "allow this caller cloudformation:DescribeStacks" in unread.advice[0]


def test_empty_stack_option_uses_the_environment(world: ExaminedStack) -> None:
    assert "read from the environment" in world.doctor("--no-token", "--stack", "").printed


def test_edited_function_cannot_redirect_the_secret(world: ExaminedStack) -> None:
    """Run as an operator of the stack, who may read the secret."""
    lambda_, name = world.account.client("lambda"), world.outputs["FunctionName"]
    variables = lambda_.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    with serving_peer(Peer(OUTAGE)) as peer:
        elsewhere = {**variables, "ROTATOR_TOKEN_ENDPOINT": peer.url}
        lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": elsewhere})
        try:
            world.doctor("--stack", "rotator")
        finally:
            lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    assert peer.requests == []


@pytest.mark.parametrize("args", [("status", "--json"), ("token",)])
def test_status_and_token_accept_the_stack_option(args: tuple[str, ...], world: ExaminedStack) -> None:
    nothing = {key: "" for key in world.environment if key.startswith("ROTATOR_")}
    done = subprocess.run(
        ["rotator", *args, "--stack", "rotator"],
        env={**world.environment, **nothing},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if args == ("token",):
        assert (done.stdout, done.stderr) == (f"{world.token()}\n", "")
        return
    world.nothing_is_told(done.stdout + done.stderr)
    [line] = json.loads(done.stdout)["rotations"]
    assert (line["parameter_name"], line["state"]) == (PARAMETER_NAME, "fresh")


def test_missing_secret_fails_the_secret_check(world: ExaminedStack, misfits: Mapping[str, str]) -> None:
    examined = world.doctor(ROTATOR_SECRET_ID=misfits["gone"])
    examined.has_one_cross(
        "secret", dashes=AFTER_THE_SECRET, advice="create the secret in this account and Region"
    )


def test_denied_secret_fails_the_secret_check(world: ExaminedStack) -> None:
    examined = world.doctor(**world.operator_without("secretsmanager:GetSecretValue"))
    examined.has_one_cross("secret", dashes=AFTER_THE_SECRET, advice="secretsmanager:GetSecretValue")


def test_malformed_secret_fails_the_secret_check(world: ExaminedStack, misfits: Mapping[str, str]) -> None:
    examined = world.doctor(ROTATOR_SECRET_ID=misfits["malformed"])
    examined.has_one_cross(
        "secret", dashes=AFTER_THE_SECRET, advice='store the secret as {"client_id": "..."'
    )


@pytest.mark.parametrize("more", [(), ("--try-encodings",)])
def test_wrong_secret_fails_the_credentials_check(
    world: ExaminedStack, misfits: Mapping[str, str], more: tuple[str, ...]
) -> None:
    examined = world.doctor(*more, ROTATOR_SECRET_ID=misfits["wrong"])
    examined.has_one_cross(
        "credentials", dashes={"token", "size"}, advice="check client_id and client_secret in the secret"
    )


def test_unreachable_endpoint_fails_the_endpoint_check(world: ExaminedStack) -> None:
    examined = world.doctor(ROTATOR_TOKEN_ENDPOINT=f"http://127.0.0.1:{free_port()}/oauth2/token")
    examined.has_one_cross("token endpoint", dashes=AFTER_THE_SECRET, advice="the network path")


def test_failing_endpoint_is_not_asked_for_a_token(world: ExaminedStack) -> None:
    with serving_peer(Peer(OUTAGE)) as peer:
        examined = world.doctor(ROTATOR_TOKEN_ENDPOINT=peer.url)
    examined.has_one_cross("token endpoint", dashes=AFTER_THE_SECRET, advice="contact the provider")
    assert [request.line.split()[0] for request in peer.requests] == ["GET"]
    assert "Authorization" not in peer.requests[0].headers


def test_untrusted_certificate_fails_the_endpoint_check(world: ExaminedStack, tls: Any) -> None:
    with serving_peer(Peer(OUTAGE, tls=tls)) as peer:
        examined = world.doctor(ROTATOR_TOKEN_ENDPOINT=peer.url)
    examined.has_one_cross("token endpoint", dashes=AFTER_THE_SECRET, advice="ca_parameter_name")
    assert "certificate is not trusted" in examined.printed
    assert peer.requests == []


def test_denied_parameter_fails_the_parameter_check(world: ExaminedStack) -> None:
    before = world.versions()
    examined = world.doctor(**world.operator_without("ssm:PutParameter"))
    examined.has_one_cross("parameter", advice="allow this caller ssm:PutParameter")
    assert world.versions() == before


def test_label_on_the_oldest_version_fails_the_labels_check(world: ExaminedStack) -> None:
    ssm, name = world.account.client("ssm"), "/labelled/token"
    for _ in range(VERSIONS_KEPT):
        ssm.put_parameter(Name=name, Value="x", Type="SecureString", Overwrite=True)
    ssm.label_parameter_version(Name=name, ParameterVersion=1, Labels=["live"])
    labelled = {"ROTATOR_PARAMETER_NAME": name}
    try:
        blocked = world.doctor("--no-token", **labelled)
        denied = world.doctor("--no-token", **world.operator_without("ssm:GetParameterHistory"), **labelled)
    finally:
        ssm.delete_parameter(Name=name)
    assert blocked.marks["labels"] == "✗"
    assert "/labelled/token cannot be written: its oldest version, 1, has the label live" in blocked.printed
    assert denied.marks["labels"] == DASH
    assert "allow this caller ssm:GetParameterHistory" in denied.printed


def test_disabled_schedule_fails_the_schedule_check(world: ExaminedStack) -> None:
    world.set_schedule("DISABLED")
    try:
        examined = world.doctor()
    finally:
        world.set_schedule("ENABLED")
    examined.has_one_cross("schedule", advice="ScheduleState=ENABLED")


def test_topic_without_subscription_fails_the_alarms_check(world: ExaminedStack) -> None:
    sns = world.account.client("sns")
    topic = sns.create_topic(Name="on-call")["TopicArn"]
    world.set_topic(topic)
    try:
        silent = world.doctor("--no-token")
        denied = world.doctor("--no-token", **world.operator_without("sns:ListSubscriptionsByTopic"))
        sns.subscribe(TopicArn=topic, **QUEUE)
        heard = world.doctor("--no-token")
    finally:
        world.set_topic(world.outputs["AlarmTopicArn"])
    assert (silent.marked("✗"), silent.code) == ({"alarms"}, 1)
    assert silent.advice == [
        f"add one: aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint ..."
    ]
    assert denied.marked("✗") == {"alarms"}
    assert "sns:ListSubscriptionsByTopic" in denied.advice[0]
    assert (heard.marked("✗"), heard.code) == (set(), 0)


def test_disallowed_host_fails_the_settings_check(world: ExaminedStack) -> None:
    examined = world.doctor(ROTATOR_ALLOWED_HOSTS="auth.example.test")
    examined.has_one_cross(
        "settings", dashes=set(CHECKS) - {"settings"} - WITHOUT_SETTINGS, advice="", code=2
    )
    assert "add the host there" in examined.advice[0]


@pytest.mark.parametrize(("hours", "word"), [(2, "ahead of AWS's"), (-2, "behind AWS's")])
def test_wrong_clock_fails_the_clock_check(
    world: ExaminedStack, monkeypatch: pytest.MonkeyPatch, hours: int, word: str
) -> None:
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(aws_client, "session", cache(get_session))
    true_now = bootstrap.utc_now
    monkeypatch.setattr(bootstrap, "utc_now", lambda: true_now() + timedelta(hours=hours))
    done = CliRunner().invoke(main.main, ["doctor"], env={"COLUMNS": "200"})
    world.nothing_is_told(done.output)
    examined = Examined.read(done.exit_code, done.stdout)
    examined.has_one_cross("clock", dashes=ON_THE_CLOCK, advice="set this machine's clock")
    assert word in examined.printed


def test_impossible_guarantee_fails_the_overlap_check(world: ExaminedStack) -> None:
    examined = world.doctor(ROTATOR_CONSUMER_CACHE="12h")
    assert (examined.marked("✗"), examined.code) == ({"guarantee"}, 2)
    assert "set ROTATOR_RENEW_AT to" in examined.advice[0]


def test_unknown_access_key_fails_the_identity_check(world: ExaminedStack) -> None:
    examined = world.doctor(AWS_ACCESS_KEY_ID="AKIANOBODY")
    assert (examined.marked("✗"), examined.code) == ({"AWS identity"}, 1)
    assert "renew the AWS credentials" in examined.advice[0]
    assert examined.marks["clock"] == "✓", "AWS sends its time without credentials"
    assert examined.marks["token endpoint"] == "✓"


def test_missing_settings_do_not_skip_the_aws_checks(world: ExaminedStack) -> None:
    environment = {key: "" for key in world.environment if key.startswith("ROTATOR_")}
    examined = world.doctor(**environment)
    assert (examined.marked("✓"), examined.marked("✗"), examined.code) == (WITHOUT_SETTINGS, {"settings"}, 2)


def test_help_says_the_requested_token_is_discarded(world: ExaminedStack) -> None:
    help_text = world.doctor("--help").printed
    assert "requests a token and discards it" in " ".join(help_text.split())
