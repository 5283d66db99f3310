"""The AWS CLI, version 1 or 2, as a process.

Its error texts quote the values that were sent to AWS. So they are only recognized here and never printed: an
error is reported by its code and the next step. The one exception is stacks.first_failure, which says why.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from infra.command import Problem
from rotator.adapters.runtime import aws_errors
from rotator.adapters.runtime.aws_errors import NO_CREDENTIALS, UNKNOWN_CALLER
from rotator.errors import Retry, next_step

_AWS_ERROR = re.compile(r"An error occurred \((\w+)\) when calling the (\w+) operation")

_CLI_ERRORS = {
    "Unable to locate credentials|Partial credentials found": NO_CREDENTIALS,
    "config profile": "ProfileNotFound",
    "missing required configuration|The source_profile": aws_errors.PROFILE_INVALID,
    "Infinite loop in credential configuration|Unable to parse config file": aws_errors.PROFILE_INVALID,
    "Error loading SSO Token": aws_errors.NOT_LOGGED_IN,
    "SSO|Token has expired": aws_errors.LOGIN_EXPIRED,
    "reauthenticate using 'aws login'": aws_errors.CONSOLE_LOGIN_EXPIRED,
    "Enter MFA code": aws_errors.NO_TERMINAL,
    "when retrieving credentials": aws_errors.SOURCE_FAILED,
    "Could not connect|Connect timeout|Read timeout": "NoConnection",
    "SSL validation failed": aws_errors.BAD_CERTIFICATE,
    "Failed to create/update the stack": "DeployFailed",
    "Failed to create the changeset": "ChangeSetFailed",
    "No such file or directory": aws_errors.SOURCE_UNREADABLE,
    "'Status'": "ChangeSetUnreadable",  # a KeyError of the CLI if describing its change set is denied
}
"""Texts of errors for which neither version of the CLI has a code, and ours; the first match counts."""

_UNKNOWN = "Unknown"
_ADVICE = {
    **dict.fromkeys(
        (NO_CREDENTIALS, *UNKNOWN_CALLER),
        "log in again or set AWS_PROFILE, then check that `aws sts get-caller-identity` answers",
    ),
    "RequestExpired": "check this machine's clock, or log in again",
    "ProfileNotFound": "set AWS_PROFILE to a profile that `aws configure list-profiles` shows",
    "NoConnection": "check the Region's name, AWS_ENDPOINT_URL and the network",
    "ChangeSetUnreadable": "allow this caller cloudformation:DescribeChangeSet",
}
DENIED = aws_errors.DENIED | {"403"}


class CliError(Problem):
    """A failed command of the CLI. ``code`` is of AWS or of this module, such as NoCredentials or Unknown.

    ``said`` is the CLI's error text. It serves to recognize errors and is never printed.
    """

    def __init__(self, failure: str, said: str, *, service: str, profile: str, exit_code: int) -> None:
        self.said = said
        self.code = next((code for words, code in _CLI_ERRORS.items() if re.search(words, said)), _UNKNOWN)
        operation = ""
        if found := _AWS_ERROR.search(said):
            self.code, operation = aws_errors.code_after(found[1], found[2]), found[2]
        # `cloudformation deploy` uploads the template with PutObject.
        self.permission = f"{'s3' if operation == 'PutObject' else service}:{operation}"
        """The IAM action of the operation that failed."""
        own = _ADVICE | dict.fromkeys(DENIED, f"allow this caller {self.permission}")
        otherwise = "run the same operation with the AWS CLI to see its error message"
        advice = own.get(self.code) or aws_errors.advice(self.code, otherwise=otherwise, profile=profile)
        retry = Retry.BY_HAND if aws_errors.may_pass(self.code) else None
        self.next_step = next_step(advice, retry)
        super().__init__(f"{failure}: {self.code}", self.next_step, exit_code=exit_code)


@dataclass(frozen=True)
class Cli:
    """The AWS CLI in one environment. ``connect`` finds its Region, and the account of its credentials."""

    environ: Mapping[str, str] = field(repr=False)  # may hold credentials
    region: str = ""
    account: str = ""

    def run(self, *arguments: str, failure: str = "the AWS CLI failed", exit_code: int = 2) -> str:
        """Run a command and return what it printed; raises CliError with a message on ``failure``."""
        done = subprocess.run(
            ["aws", *arguments], env=self.environ, capture_output=True, text=True, check=False
        )
        if done.returncode:
            profile = self.environ.get("AWS_PROFILE", "default")
            raise CliError(failure, done.stderr, service=arguments[0], profile=profile, exit_code=exit_code)
        return done.stdout

    def read(self, *arguments: str, **failed: Any) -> Any:
        """Run a command as ``run`` does, and return its output as JSON, None if it printed nothing."""
        printed = self.run(*arguments, "--output", "json", **failed)
        return json.loads(printed) if printed.strip() else None


def connect(environ: Mapping[str, str]) -> Cli:
    """Return a CLI that has reached AWS; raises Problem without the CLI, a Region or credentials."""
    if not shutil.which("aws", path=environ.get("PATH")):
        raise Problem("the AWS CLI is not on PATH", "install it, or add the folder of `aws` to PATH")
    quiet = {**environ, "AWS_PAGER": "", "AWS_CLI_AUTO_PROMPT": "off"}
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or _configured_region(Cli(quiet))
    with_region = {**quiet, "AWS_REGION": region, "AWS_DEFAULT_REGION": region}  # version 1 reads the second
    cli = Cli(with_region, region)
    failure = "AWS did not accept the credentials"
    account = cli.read("sts", "get-caller-identity", "--query", "Account", failure=failure)
    return replace(cli, account=str(account))


def _configured_region(cli: Cli) -> str:
    try:
        return cli.run("configure", "get", "region", failure="the AWS configuration cannot be used").strip()
    except CliError as error:
        if error.code != _UNKNOWN:  # without a Region, the CLI prints no error
            raise
        step = "set AWS_REGION, for example: export AWS_REGION=eu-central-1"
        raise Problem("no AWS Region is set", step) from None
