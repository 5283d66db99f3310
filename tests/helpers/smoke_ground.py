"""Ground for the checks of ``make smoke`` on which AWS answers as a script says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from infra.smoke.deployed_stack import ALARMS
from infra.smoke.fixtures import Ground
from rotator.devstack.aws_emulators import ACCOUNT

PARAMETER = "/smoked/token"
TOKEN = "the-token-that-must-not-be-touched"
OPTIONAL = ("TokenChanged", "Redeploy", "TakeWork", "Work", "Poisoned")


@dataclass
class Scripted:
    """A client whose calls have scripted answers, one after another; the last again and again."""

    answers: Mapping[str, Any]
    asked: dict[str, int] = field(default_factory=dict)

    def __getattr__(self, call: str) -> Callable[..., Any]:
        def answer(**_request: Any) -> Any:
            given = self.answers[call]
            if isinstance(given, list):
                turn = self.asked[call] = self.asked.get(call, 0) + 1
                given = given[min(turn, len(given)) - 1]
            if isinstance(given, Exception):
                raise given
            return given(**_request) if callable(given) else given

        return answer

    def get_paginator(self, call: str) -> Any:
        return Scripted({"paginate": self.answers[call]})


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": TOKEN}}, "Anything")


@dataclass(frozen=True)
class Session:
    """A session with one client for every service."""

    only: Scripted

    def client(self, _service: str, **_settings: Any) -> Scripted:
        return self.only


def ground(answers: Mapping[str, Any], **changed: Any) -> Ground:
    usual: dict[str, Any] = {
        "session": Session(Scripted(answers)),
        "account": ACCOUNT,
        "region": "eu-central-1",
        "outputs": {
            "FunctionName": "smoked-Function-1",
            "FunctionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/smoked-Role-1",
            "ParameterName": PARAMETER,
            "KeyArn": f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1",
            "ConsumerPolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/smoked-ConsumerPolicy-1",
            "RotationsPath": "/smoked/rotations",
            "AlarmTopicArn": f"arn:aws:sns:eu-central-1:{ACCOUNT}:on-call",
            "ScheduleName": "smoked-Schedule-1",
            "ScheduleGroupName": "smoked-ScheduleGroup-1",
            "LogGroupName": "/rotator/smoked",
        },
        "parameters": {"SecretArn": "the-secret", "RedeployService": "web/api", "Workers": "3"},
        "resources": {name: f"smoked-{name}" for name in (*ALARMS, *OPTIONAL)},
        "run_id": "1",
    }
    return Ground(**(usual | changed))
