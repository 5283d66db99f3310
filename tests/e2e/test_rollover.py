"""A client secret rolled as the runbook says, on real parts: no gap in either order.

The secret is MiniStack's, the provider the embedded Authorization API, the job the real one. The commands
are the ones in infra/docs/client-secret.md, typed into the AWS CLI. moto would not do: after a promotion, the
next one that is stored leaves it with two that are AWSCURRENT.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

import guides
from fake_ports import CANARY_SECRET
from leak_check import Leaks, credential_forms, listening, token_forms
from misbehaving_api import MisbehavingApi
from rotator import bootstrap
from rotator.adapters.runtime.aws_client import AwsError
from rotator.bootstrap import Rotator
from rotator.devstack.aws_emulators import ADMINISTRATOR, client_environment
from rotator.devstack.deployment import Account
from rotator.devstack.http_server import serving

NEW_SECRET = "canary-new/+="
RUNBOOK = guides.text("client-secret.md")
BLOCKS = guides.blocks(RUNBOOK, "sh")


def commands(block: str) -> list[str]:
    """A block's commands, one text for each numbered step."""
    return re.split(r"^# \d\. .*\n", block, flags=re.MULTILINE)[1:]


_, PROVIDER_FIRST, SECRETS_MANAGER_FIRST, _ = BLOCKS
STORE_BESIDE, _, PROMOTE = commands(PROVIDER_FIRST)
STORE, _ = commands(SECRETS_MANAGER_FIRST)


@dataclass
class Rollover:
    """A rotation, a consumer of its token, and an operator who runs the guide's commands."""

    name: str
    account: Account
    api: MisbehavingApi
    address: str
    rotator: Rotator
    leaks: Leaks
    folder: Path
    environment: Mapping[str, str]

    def type(self, lines: str) -> None:
        """Type these lines into a shell that knows what the lines before called NEW."""
        script = f'set -eu\n. ./kept\n{lines}\necho "NEW=${{NEW:-}}" > kept'
        shell = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env={**self.environment, "SECRET": self.name},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert shell.returncode == 0, shell.stderr

    def run_once(self) -> tuple[str, str | None]:
        """Renew; return the stage that worked and the warning. Consumers have a good token throughout."""
        self.consume()
        summary = self.rotator.run(bootstrap.begin_run("run"), force=True).to_dict()
        self.leaks.hear("the summary", summary)
        assert (summary["rotated"], summary["failed"]) == (1, 0), summary
        self.consume()
        (result,) = summary["rotations"]
        stage = result.get("secret_stage", "AWSCURRENT")
        assert self.status().get("secret_stage", "AWSCURRENT") == stage
        assert stage in self.stages()[self.status()["secret_version_id"]]
        return stage, next(iter(summary.get("warnings", ())), None)

    def consume(self) -> None:
        """Use the stored token, if there is one yet, as a consumer does: it must open the API."""
        names = self.account.client("ssm").describe_parameters()["Parameters"]
        if f"/{self.name}/token" not in [each["Name"] for each in names]:
            return
        token = self._parameter(f"/{self.name}/token")
        self.leaks.secrets |= token_forms(token)
        headers = {"Authorization": f"Bearer {token}"}
        assert requests.get(f"{self.address}/topics", headers=headers, timeout=10).status_code == 200

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self._parameter(f"/{self.name}/token/status")))

    def stages(self) -> dict[str, list[str]]:
        """The labels of each version of the secret."""
        secret = self.account.client("secretsmanager").describe_secret(SecretId=self.name)
        return dict(secret["VersionIdsToStages"])

    def _parameter(self, name: str) -> str:
        with self.leaks.not_listening():
            answer = self.account.client("ssm").get_parameter(Name=name, WithDecryption=True)
        return str(answer["Parameter"]["Value"])

    @property
    def requests(self) -> int:
        return self.api.misbehaviour.token_requests


@pytest.fixture
def rollover(
    ministack_endpoint: str,
    clean_environment: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> Iterator[Rollover]:
    """A provider that ends a client's old token with its new one, and a rotation after its first run."""
    name = re.sub(r"\W+", "-", request.node.name)[-60:].strip("-")
    account_environment = client_environment(ministack_endpoint)
    for key, value in account_environment.items():
        monkeypatch.setenv(key, value)
    account = Account(ministack_endpoint, ADMINISTRATOR)
    account.create_secret(name, "client", CANARY_SECRET)
    (tmp_path / "credentials.json").write_text(
        json.dumps({"client_id": "client", "client_secret": NEW_SECRET})
    )
    (tmp_path / "kept").touch()
    api = MisbehavingApi({"client": CANARY_SECRET})
    api.misbehaviour.plan(revokes_older_tokens=True)
    with ExitStack() as stack:
        leaks = stack.enter_context(listening())
        leaks.secrets |= credential_forms("client", CANARY_SECRET) | credential_forms("client", NEW_SECRET)
        address = stack.enter_context(serving(api.app))
        settings = {
            "ROTATOR_SECRET_ID": name,
            "ROTATOR_PARAMETER_NAME": f"/{name}/token",
            "ROTATOR_TOKEN_ENDPOINT": f"{address}/oauth2/token",
        }
        rotator = bootstrap.build(settings)
        environment = {**clean_environment, **account_environment}
        made = Rollover(name, account, api, address, rotator, leaks, tmp_path, environment)
        assert made.run_once() == ("AWSCURRENT", None)
        yield made
        assert leaks.found() == []
        assert leaks.found_foreign(AwsError) == []


def test_rollover_starting_at_the_provider_leaves_no_gap(rollover: Rollover) -> None:
    rollover.type(STORE_BESIDE)
    assert rollover.run_once() == ("AWSCURRENT", None)
    rollover.api.roll_secret("client", NEW_SECRET)
    stage, warning = rollover.run_once()
    assert stage == "AWSPENDING"
    assert warning
    assert "rotation default" in warning
    assert "aws secretsmanager update-secret-version-stage" in warning
    rollover.type(PROMOTE)
    assert rollover.run_once() == ("AWSCURRENT", None)
    assert sorted(rollover.stages().values()) == [["AWSCURRENT"], ["AWSPREVIOUS"]]


def test_rollover_starting_in_secrets_manager_leaves_no_gap(rollover: Rollover) -> None:
    rollover.type(STORE)
    stage, warning = rollover.run_once()
    assert stage == "AWSPREVIOUS"
    assert warning
    assert "activate the secret labelled AWSCURRENT at the provider" in warning
    rollover.api.roll_secret("client", NEW_SECRET)
    assert rollover.run_once() == ("AWSCURRENT", None)


@pytest.mark.parametrize("lines", [STORE_BESIDE, STORE], ids=["provider first", "Secrets Manager first"])
def test_an_overlap_at_the_provider_needs_no_other_stage(rollover: Rollover, lines: str) -> None:
    rollover.api.roll_secret("client", NEW_SECRET, keep_older=True)
    rollover.type(lines)
    before = rollover.requests
    assert rollover.run_once() == ("AWSCURRENT", None)
    assert rollover.requests == before + 1


def fail(rollover: Rollover) -> str:
    """Run without success; return what is said. The consumer's token is still good."""
    summary = rollover.rotator.run(bootstrap.begin_run("run"), force=True).to_dict()
    rollover.leaks.hear("the summary", summary)
    assert summary["failed"] == 1
    rollover.consume()
    return str(summary["rotations"][0]["error"])


@pytest.mark.parametrize(
    ("lines", "requests", "reported"),
    [
        pytest.param([], 1, "error invalid_client;", id="no other stage"),
        pytest.param([STORE], 2, "invalid_client, with each of AWSCURRENT and AWSPREVIOUS;", id="one"),
        pytest.param(
            [STORE_BESIDE], 2, "invalid_client, with each of AWSCURRENT and AWSPENDING;", id="another"
        ),
        pytest.param(
            [
                STORE,
                'echo \'{"client_id": "client", "client_secret": "third"}\' > credentials.json\n',
                STORE_BESIDE,
            ],
            3,
            "invalid_client, with each of AWSCURRENT, AWSPENDING and AWSPREVIOUS;",
            id="both",
        ),
    ],
)
def test_wrong_secret_is_tried_once_per_distinct_stage(
    rollover: Rollover, lines: list[str], requests: int, reported: str
) -> None:
    rollover.api.roll_secret("client", "unknown to the stack")
    for line in lines:
        rollover.type(line)
    before = rollover.requests
    assert reported in fail(rollover)
    assert rollover.requests == before + requests


def test_malformed_pending_version_does_not_block_the_rollover(rollover: Rollover) -> None:
    rollover.type(STORE)
    rollover.type(f"echo {NEW_SECRET} > credentials.json\n{STORE_BESIDE}")
    assert rollover.run_once()[0] == "AWSPREVIOUS"


def test_disabled_rollover_makes_one_token_request(rollover: Rollover) -> None:
    rollover.type(STORE)
    of = rollover.rotator.settings.rotation
    assert of
    rollover.rotator = bootstrap.build(
        {
            "ROTATOR_SECRET_ID": of.secret_id,
            "ROTATOR_PARAMETER_NAME": of.parameter_name,
            "ROTATOR_TOKEN_ENDPOINT": of.token_endpoint,
            "ROTATOR_SECRET_ROLLOVER": "false",
        }
    )
    before = rollover.requests
    assert "AWSPREVIOUS" not in fail(rollover)
    assert rollover.requests == before + 1
