"""The AWS CLI, version 1 or 2, as a process.

AWS's texts quote what they were sent, so they are recognized here and not printed: an error is told by its
code and by what to do next. The one exception is in stacks.first_failure, which says why it is safe.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.command import Problem

_REFUSED = re.compile(r"An error occurred \((\w+)\) when calling the (\w+) operation")

_THE_CLIS_OWN = {
    "Unable to locate credentials": "NoCredentials",
    "Partial credentials found": "NoCredentials",
    "config profile": "ProfileNotFound",
    "SSO": "SsoExpired",
    "Token has expired": "SsoExpired",
    "when retrieving credentials": "NoCredentials",
    "Could not connect": "NoConnection",
    "Connect timeout": "NoConnection",
    "Read timeout": "NoConnection",
    "SSL validation failed": "BadCertificate",
    "Failed to create/update the stack": "DeployFailed",
    "Failed to create the changeset": "ChangeSetFailed",
}
"""What either version says itself, and our code for it; the first that fits counts."""

_LOG_IN = "log in anew or set AWS_PROFILE, then see that `aws sts get-caller-identity` answers"
_ADVICE = {
    **dict.fromkeys(
        (
            "NoCredentials",
            "SsoExpired",
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
            "IncompleteSignature",
        ),
        _LOG_IN,
    ),
    "ProfileNotFound": "set AWS_PROFILE to a profile that `aws configure list-profiles` shows",
    "NoConnection": "check the Region's name, AWS_ENDPOINT_URL and the network",
    "BadCertificate": "set AWS_CA_BUNDLE to the certificates of the proxy in between",
    "Throttling": "try again in a minute",
    "ThrottlingException": "try again in a minute",
}
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})


class CliError(Exception):
    """The CLI did not do it; ``code`` is AWS's or one of ours, such as NoCredentials or Unknown.

    ``said`` is the CLI's own text: to recognize things by, never to print.
    """

    def __init__(self, said: str) -> None:
        refused = _REFUSED.search(said)
        own = next((code for words, code in _THE_CLIS_OWN.items() if words in said), "Unknown")
        self.code = refused[1] if refused else own
        self.operation = refused[2] if refused else ""
        self.said = said
        super().__init__(self.code)

    def problem(self, what: str, *, exit_code: int = 2) -> Problem:
        """The problem to end with: what could not be done, the code, the next step."""
        advice = _ADVICE.get(self.code, "run it with the AWS CLI to see its own words")
        if self.code in DENIED:
            advice = f"let this identity do {self.operation}"
        return Problem(f"{what}: {self.code}", advice, exit_code=exit_code)


@dataclass(frozen=True)
class Cli:
    """The AWS CLI in one environment, which settles Region and credentials."""

    environ: Mapping[str, str]

    def run(self, *arguments: str) -> str:
        """Run a command and return what it printed; raises CliError."""
        done = subprocess.run(
            ["aws", *arguments], env=self.environ, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise CliError(done.stderr)
        return done.stdout

    def read(self, *arguments: str) -> Any:
        """Run a command and return its answer, None where that is empty; raises CliError."""
        printed = self.run(*arguments, "--output", "json")
        return json.loads(printed) if printed.strip() else None


@dataclass(frozen=True)
class Session:
    """A CLI that was seen to work."""

    cli: Cli
    region: str
    account: str


def connect(environ: Mapping[str, str]) -> Session:
    """Find the CLI, a Region and credentials; raises Problem naming what is missing. Changes nothing."""
    if not shutil.which("aws", path=environ.get("PATH")):
        raise Problem("the AWS CLI is not on PATH", "install it, or add the folder of `aws` to PATH")
    quiet = {**environ, "AWS_PAGER": "", "AWS_CLI_AUTO_PROMPT": "off"}
    region = _region(Cli(quiet))
    cli = Cli({**quiet, "AWS_REGION": region, "AWS_DEFAULT_REGION": region})  # version 1 reads the second
    try:
        account = cli.read("sts", "get-caller-identity", "--query", "Account")
    except CliError as error:
        raise error.problem("AWS does not know who you are") from None
    return Session(cli, region, str(account))


def _region(cli: Cli) -> str:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if region := cli.environ.get(name):
            return region
    try:
        return cli.run("configure", "get", "region").strip()
    except CliError as error:
        if error.code in _ADVICE:
            raise error.problem("the AWS configuration cannot be used") from None
        raise Problem(
            "no AWS Region is set", "set AWS_REGION, for example: export AWS_REGION=eu-central-1"
        ) from None
