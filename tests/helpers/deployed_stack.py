"""A stack of the template on the embedded AWS, which enforces its roles, and an Authorization API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fake_ports import CANARY_SECRET
from misbehaving_api import MisbehavingApi
from rotator.devstack.aws_emulators import running_aws
from rotator.devstack.deployment import Account
from rotator.devstack.http_server import serving

CLIENT_ID = "client"
SECRET_NAME = "healthwise/client"

UNDISTURBED = {"ScheduleMinutes": "60", "WritesPerSecond": "100"}
"""No scheduled run disturbs a test, and no run waits for a quota that the embedded AWS does not have."""


@dataclass(frozen=True)
class Deployed:
    """An account in which stacks run, its administrator, and the API that issues their tokens."""

    account: Account
    api: MisbehavingApi
    authorization_api: str
    secret_arn: str

    @property
    def one(self) -> dict[str, str]:
        """The parameters of a stack with one rotation."""
        return {
            "SecretArn": self.secret_arn,
            "ParameterName": "/healthwise/token",
            "TokenEndpoint": f"{self.authorization_api}/oauth2/token",
            **UNDISTURBED,
        }

    @property
    def multiple(self) -> dict[str, str]:
        """The parameters of a stack with many rotations."""
        return {
            "RotationsPath": "/rotator/rotations",
            "SecretPrefix": "healthwise/",
            "ParameterPrefix": "/healthwise",
            "AllowedHosts": "127.0.0.1",
            **UNDISTURBED,
        }

    def force(self, outputs: dict[str, str]) -> Any:
        """Invoke a stack's function; returns what it returns, or the error's message."""
        try:
            return self.account.invoke(outputs["FunctionName"], {"force": True})
        except RuntimeError as error:
            return str(error)


@contextmanager
def less(account: Account, outputs: dict[str, str], sid: str, *, only: str = "") -> Iterator[None]:
    """The function's role without a statement, or without one action or resource of it."""
    iam, role = account.client("iam"), outputs["FunctionRoleArn"].rpartition("/")[2]
    document = iam.get_role_policy(RoleName=role, PolicyName="rotate")["PolicyDocument"]
    changed = json.loads(json.dumps(document))
    kept = [each for each in changed["Statement"] if each["Sid"] != sid]
    for each in changed["Statement"]:
        if only and each["Sid"] == sid:
            for key in ("Action", "Resource"):
                each[key] = [value for value in each[key] if not value.endswith(only)]
            kept.append(each)
    assert kept != document["Statement"]
    changed["Statement"] = kept
    iam.put_role_policy(RoleName=role, PolicyName="rotate", PolicyDocument=json.dumps(changed))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName="rotate", PolicyDocument=json.dumps(document))


def code_folder(function_zip: Path) -> Path:
    """Return where every embedded AWS of the tests extracts zips of functions."""
    return function_zip.parent / "code"


@contextmanager
def running(folder: Path, function_zip: Path) -> Iterator[Deployed]:
    """Run an account with the secret and the zip in it; stacks are the tests' own."""
    api = MisbehavingApi({CLIENT_ID: CANARY_SECRET})
    with serving(api.app) as address, running_aws(folder, code_folder(function_zip)) as endpoint:
        account = Account(endpoint)
        secret = account.create_secret(SECRET_NAME, CLIENT_ID, CANARY_SECRET)
        account.upload(function_zip)
        yield Deployed(account, api, address, secret)
