"""``make demo``: deploys the template to the embedded AWS and calls the embedded API as a consumer.

A step that fails raises an error, which stops the demo. The exit code is 0 only if all steps succeeded.
"""

from __future__ import annotations

import json
import re
import secrets
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import requests
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from rotator.devstack import deployment
from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.deployment import Account
from rotator.devstack.stack import DevStack, running_devstack
from rotator.renewal.durations import describe_seconds

CLIENT_ID = "demo-client"
SECRET_NAME = "healthwise/client"  # noqa: S105 - a name
PARAMETER_NAME = "/healthwise/token"
SCHEDULE_MINUTES = 1
FIRST_RUN_SECONDS = 100
"""The timeout of the first scheduled run: one minute, and the delay of the embedded scheduler."""

PROGRESS_SECONDS = 15
"""How often the demo reports that it is waiting."""

PICTURE_COLUMNS = 84
"""The width of the picture: slightly more than the longest line of the demo."""

_ERRORS = (RuntimeError, requests.RequestException, ClientError, BotoCoreError)


class Demo:
    """The demo's steps and their results."""

    def __init__(self, console: Console, stack: DevStack) -> None:
        self.console = console
        self.stack = stack
        self.token_endpoint = f"{stack.authorization_api}/oauth2/token"
        self.topics_url = f"{stack.authorization_api}/topics"
        self.administrator = Account(stack.aws)
        self.secret_arn = ""
        self.outputs: dict[str, str] = {}

    def run(self, client_secret: str) -> None:
        """Carry out all steps in order and print their results; raise the error of the first that fails."""
        rows = [("stack", deployment.STACK), ("parameter", PARAMETER_NAME)]
        with self.step("create the secret with the client credentials"):
            self.secret_arn = self.administrator.create_secret(SECRET_NAME, CLIENT_ID, client_secret)
        parameters = {
            "SecretArn": self.secret_arn,
            "ParameterName": PARAMETER_NAME,
            "TokenEndpoint": self.token_endpoint,
            "VerifyUrl": self.topics_url,
            "AllowedHosts": "127.0.0.1",
            "TokenRequestParams": '{"expiration": "86400"}',
            "ScheduleMinutes": str(SCHEDULE_MINUTES),
        }
        with tempfile.TemporaryDirectory(prefix="rotator-demo-") as folder:
            zip_file = Path(folder) / "rotator.zip"
            with self.step("build the function's zip"):
                deployment.build_zip(zip_file)
            with self.step("deploy infra/template.yaml"):
                self.administrator.upload(zip_file)
                self.outputs = self.administrator.create_stack(parameters)
        with self.step("the schedule invokes the function, which writes the token"):
            first = self.await_status()
        with self.step("a consumer reads the token under its own role"):
            consumer = self.administrator.assume_consumer_role(self.outputs["ConsumerPolicyArn"])
            token = self.read_token(consumer, first)
        with self.step("the consumer calls GET /topics with it"):
            topics = self.get_topics(token)
        rows += [("token by schedule", _describe(first)), ("GET /topics", f"200, {topics} topics")]
        with self.step("force a rotation"):
            second = self.force(first)
        with self.step("the consumer reads the new version and calls GET /topics"):
            topics = self.get_topics(self.read_token(consumer, second))
        rows += [("token by force", _describe(second)), ("GET /topics", f"200, {topics} topics")]
        table = Table(box=None, show_header=False, pad_edge=False)
        for row in rows:
            table.add_row(*row)
        self.console.print()
        self.console.print(table)

    @contextmanager
    def step(self, action: str) -> Iterator[None]:
        """Print one line with the action, its success and its duration."""
        begin = time.monotonic()
        try:
            with self.console.status(action):
                yield
        except BaseException:
            self.console.print(f"[red]✗[/] {action}", highlight=False)
            raise
        self.console.print(f"[green]✓[/] {action} ({time.monotonic() - begin:.1f} s)", highlight=False)

    def await_status(self) -> dict[str, Any]:
        """Wait for the first status, which only a scheduled run can write, and return it."""
        for second in range(FIRST_RUN_SECONDS):
            if second and second % PROGRESS_SECONDS == 0:
                self.console.print(f"  waiting for the schedule's first run: {second} s", highlight=False)
            if status := self.read_status():
                return status
            time.sleep(1)
        raise RuntimeError(f"no scheduled run wrote {PARAMETER_NAME} within {FIRST_RUN_SECONDS} s")

    def read_status(self) -> dict[str, Any]:
        """Return the status; it is empty if there is none yet."""
        ssm = self.administrator.client("ssm")
        found = ssm.get_parameters(Names=[f"{PARAMETER_NAME}/status"])["Parameters"]
        return dict(json.loads(found[0]["Value"])) if found else {}

    def read_token(self, consumer: Account, status: dict[str, Any]) -> str:
        """Return the token as a consumer reads it; raise RuntimeError if the status has another version."""
        found = consumer.client("ssm").get_parameter(Name=PARAMETER_NAME, WithDecryption=True)["Parameter"]
        if found["Version"] != status["parameter_version"]:
            raise RuntimeError(
                f"the consumer read version {found['Version']} of {PARAMETER_NAME}, "
                f"but the status describes version {status['parameter_version']}"
            )
        return str(found["Value"])

    def get_topics(self, token: str) -> int:
        """Call the Content API and return the number of topics."""
        answer = requests.get(self.topics_url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
        answer.raise_for_status()
        return len(answer.json()["items"])

    def force(self, first: dict[str, Any]) -> dict[str, Any]:
        """Invoke the function as an operator would, and return the new status."""
        summary = self.administrator.invoke(self.outputs["FunctionName"], {"force": True})
        status = self.read_status()
        if summary["rotated"] != 1 or status["parameter_version"] != first["parameter_version"] + 1:
            raise RuntimeError(f"the forced run did not write a new token: {json.dumps(summary)}")
        return status

    def print_log(self) -> None:
        """Print the end of the function's log, which never contains a secret."""
        if "LogGroupName" in self.outputs:
            lines = self.administrator.log_lines(self.outputs["LogGroupName"])
            self.console.print("\nthe function's log:\n" + "\n".join(lines[-20:]), markup=False)

    def print_exports(self, process_id: int) -> None:
        """Print the commands that use the running demo environment from another terminal."""
        variables = {
            **client_environment(self.stack.aws),
            "ROTATOR_SECRET_ID": self.secret_arn,
            "ROTATOR_PARAMETER_NAME": PARAMETER_NAME,
            "ROTATOR_TOKEN_ENDPOINT": self.token_endpoint,
            "ROTATOR_VERIFY_URL": self.topics_url,
            "ROTATOR_SCHEDULE_INTERVAL": f"{SCHEDULE_MINUTES}m",
            "TOKEN_PARAMETER": PARAMETER_NAME,  # this and the next for the recipes of infra/docs/consumers
            "TOPICS_URL": self.topics_url,
        }
        click.echo("\nThe demo environment keeps running. To use it, run in another terminal:\n")
        click.echo("unset AWS_PROFILE AWS_SESSION_TOKEN")
        for name, value in variables.items():
            click.echo(f"export {name}={shlex.quote(value)}")
        click.echo(f'export PATH="{Path(sys.executable).parent}:$PATH"\n')
        click.echo("make rotate\nrotator status\nrotator doctor\nrotator token | wc -c")
        click.echo(f"aws ssm get-parameter --name {PARAMETER_NAME}/status")
        click.echo(f"kill {process_id}   # stops the demo environment")


def _describe(status: dict[str, Any]) -> str:
    return f"v{status['parameter_version']}, expires {status['expires_at']}, sha256 {status['token_sha256']}"


def run(*, keep: bool, picture: Path | None = None) -> int:
    """Run the demo and return its exit code.

    With ``keep``, its environment keeps running. If all steps succeed, ``picture`` shows its output.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(soft_wrap=True, record=bool(picture), width=PICTURE_COLUMNS if picture else None)
    begin = time.monotonic()
    client_secret = secrets.token_urlsafe(24) + "+/=:%é"
    try:
        with running_devstack({CLIENT_ID: client_secret}) as stack:
            ready = f"AWS on {stack.aws}, the Authorization API on {stack.authorization_api}"
            console.print(f"[green]✓[/] {ready}")
            demo = Demo(console, stack)
            try:
                demo.run(client_secret)
            except _ERRORS:
                demo.print_log()
                raise
            if keep:
                demo.print_exports(stack.keep())
    except _ERRORS as error:
        reason = error if isinstance(error, RuntimeError) else type(error).__name__
        console.print(f"\nthe demo failed: {reason}", markup=False)
        return 1
    environment = "is still running" if keep else "has been removed"
    duration = describe_seconds(time.monotonic() - begin)
    console.print(f"\nAll steps succeeded in {duration}; the demo environment {environment}.")
    if picture:
        svg = console.export_svg(title="make demo", unique_id="demo")
        svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # it loads fonts from other servers
        picture.write_text("\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n")
    return 0
