"""The function, the command line, and what they can be seen to have done: stored, said and asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from click.testing import CliRunner

from fake_ports import CANARY_SECRET, CANARY_TOKEN
from faults.timing import Context, Timing
from leak_check import Leaks, token_forms
from misbehaving_api import MisbehavingApi
from rotator.adapters.runtime.aws_client import AwsError
from rotator.cli import main
from rotator.handler import lambda_handler
from rotator.oauth.models import Secret
from rotator.renewal import status
from rotator.renewal.models import Status
from rotator.renewal.policy import RUN_BUDGET_SECONDS
from rotator.renewal.results import RotationFailed

TOKEN = "/healthwise/token"
STATUS = f"{TOKEN}/status"
SECRET = "healthwise/client"
STORED_TOKEN = f"{CANARY_TOKEN}-stored"
DAY_TOKEN = f"{CANARY_TOKEN}-of-a-day"  # what peers issue; the API makes its own

HEALTHY = {
    "the status names the stored version": True,
    "the status names the stored token": True,
    "a run holds its lease until": None,
    "state": "fresh",
}

DUE = timedelta(hours=17)  # the renewal window of a token of a day begins before its hour 16
FRESH = timedelta(hours=1)
NEXT_TICK = timedelta(minutes=5)  # the lease of a run that failed has expired by then


class Api:
    """The embedded Authorization API, and the tokens that it issued."""

    def __init__(self) -> None:
        self.address = ""
        self.issued: list[str] = []
        self._api = MisbehavingApi({"client": CANARY_SECRET})
        self.app = self._api.app
        self.misbehaviour = self._api.misbehaviour
        self.app.after_request(self._remember)

    def _remember(self, response: Any) -> Any:
        answer = response.get_json(silent=True)
        if isinstance(answer, dict) and "access_token" in answer:
            self.issued.append(answer["access_token"])
        return response

    @property
    def token_endpoint(self) -> str:
        return f"{self.address}/oauth2/token"

    def begin(self) -> None:
        """Behave, and know of no token yet."""
        self.misbehaviour.plan()
        self.misbehaviour.token_requests = 0
        self.issued.clear()


@dataclass(frozen=True)
class Run:
    """One run of the function or the command line: what came of it, and the seconds it had left."""

    outcome: str
    error: str
    time_left: float


@dataclass
class FaultySystem:
    """Everything around one run. ``ssm`` sees the account directly, past every fault."""

    ssm: Any
    api: Api
    timing: Timing
    leaks: Leaks
    printed: Callable[[], tuple[str, str]]

    def store_token(self, age: timedelta = DUE) -> None:
        """Store a token of a day that was issued so long ago."""
        issued_at = self.timing.now() - age
        stored = Status(
            parameter_version=1,
            issued_at=issued_at,
            expires_at=issued_at + timedelta(hours=24),
            renew_at=issued_at + timedelta(hours=16),
            scope="*",
            token_sha256=Secret(STORED_TOKEN).fingerprint,
            secret_version_id="v1",
            rotator_version="1",
        )
        with self.leaks.not_listening():
            self.ssm.put_parameter(Name=TOKEN, Value=STORED_TOKEN, Type="SecureString")
            self.ssm.put_parameter(Name=STATUS, Value=status.dump(stored), Type="String")

    # Runs.

    def run_once(self, *, force: bool = False) -> Run:
        """Run the function, which raises if and only if it failed."""
        began = self.timing.passed()
        try:
            summary = lambda_handler({"force": force}, Context(self.timing))
        except RotationFailed as error:
            summary = error.summary.to_dict()
            assert summary["failed"] == 1
        else:
            assert summary["failed"] == 0
        self.leaks.hear("the function's return value", summary)
        return self._run(summary, began)

    def rotate(self, *, force: bool = False) -> Run:
        """Run ``rotator rotate``, which exits with 1 if and only if it failed."""
        began = self.timing.passed()
        code, summary = self._command_line("rotate", *["--force"] * force)
        assert code == summary["failed"]
        return self._run(summary, began)

    def next_tick(self) -> Run:
        """Run the function when its schedule does it again."""
        self.timing.ahead += NEXT_TICK
        return self.run_once()

    def next_rotate(self) -> Run:
        """The same by the command line."""
        self.timing.ahead += NEXT_TICK
        return self.rotate()

    def shown(self) -> dict[str, Any]:
        """What ``rotator status`` shows of the rotation."""
        _, shown = self._command_line("status")
        return dict(shown["rotations"][0])

    def state(self) -> str:
        """The state of the token in that."""
        return str(self.shown()["state"])

    def _command_line(self, command: str, *options: str) -> tuple[int, Any]:
        done = CliRunner().invoke(main.main, [command, "--json", *options])
        self.leaks.hear(f"rotator {command}", done.output)
        return done.exit_code, json.loads(done.stdout)

    def _run(self, summary: dict[str, Any], began: float) -> Run:
        (result,) = summary["rotations"]
        time_left = RUN_BUDGET_SECONDS - (self.timing.passed() - began)
        return Run(result["outcome"], result["error"] or "", time_left)

    # What is stored.

    def tokens(self) -> list[str]:
        """Every version of the token that was ever stored, the newest last."""
        return self._versions(TOKEN)

    def status(self) -> dict[str, Any]:
        """The stored status, if there is one."""
        return dict(json.loads(self._versions(STATUS)[-1])) if self._versions(STATUS) else {}

    def _versions(self, name: str) -> list[str]:
        try:
            with self.leaks.not_listening():
                answer = self.ssm.get_parameter_history(Name=name, WithDecryption=True)
        except self.ssm.exceptions.ParameterNotFound:
            return []
        return [version["Value"] for version in answer["Parameters"]]

    # What must hold whatever happened.

    def never_issued(self) -> set[str]:
        """The tokens that were stored although no endpoint issued them: an empty one, half of one."""
        return set(self.tokens()) - {STORED_TOKEN, DAY_TOKEN, *self.api.issued}

    def health(self) -> dict[str, Any]:
        """What consumers and operators find: HEALTHY if all is well."""
        reported, tokens = self.status(), self.tokens()
        return {
            "the status names the stored version": reported["parameter_version"] == len(tokens),
            "the status names the stored token": reported["token_sha256"] == Secret(tokens[-1]).fingerprint,
            "a run holds its lease until": self.shown()["leased_until"],
            "state": self.state(),
        }

    def leaked(self) -> list[str]:
        """Return the outputs that contain a secret, and the foreign exceptions that are chained to ours."""
        for token in {*self.tokens(), *self.api.issued, STORED_TOKEN, DAY_TOKEN}:
            self.leaks.secrets |= token_forms(token)
        out, err = self.printed()
        self.leaks.hear("stdout", out)
        self.leaks.hear("stderr", err)
        return self.leaks.found() + [repr(error) for error in self.leaks.found_foreign(AwsError)]
