"""``make deploy``: from the sources, or a downloaded zip, to a running stack.

The same command again upgrades the stack. It checks every prerequisite before it creates anything. A stack
whose creation failed is deleted; one whose update failed is rolled back by CloudFormation.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from infra import code_upload, deploy_request, downloaded_code, function_environment, packaging, stacks
from infra.aws_cli import DENIED, Cli, CliError, connect
from infra.command import Problem, run
from infra.deploy_request import Request

TEMPLATE = Path(__file__).resolve().parent / "template.yaml"

_FULL_ARN = re.compile(
    r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}"
)


def deploy(environ: Mapping[str, str]) -> None:
    """Deploy the stack that STACK, SECRET, PARAMETER, BUCKET, SET, TAGS and CODE describe.

    Raises:
        Problem: A variable is missing or wrong, or AWS refuses the deployment.
    """
    template = TEMPLATE.read_text()
    wanted = deploy_request.read(environ, template)
    downloaded = downloaded_code.verified(Path(wanted.code)) if wanted.code else None
    cli = connect(environ)
    _check_bucket(cli, wanted.bucket)
    overrides = _overrides(cli, wanted)
    found = stacks.find(cli, wanted.stack)
    _check_stack(found)
    leftover = found if found and found.status in stacks.LEFTOVERS else None
    before = None if leftover else found
    parameters = {**(before.parameters if before else {}), **overrides}
    _check_parameters(cli, wanted.stack, template, parameters)
    tags = wanted.tags or (before.tags if before else {})
    deploy_request.check_tags(tags)

    zip_file = downloaded or code_upload.build()
    packaged = code_upload.package(cli, template, zip_file, wanted.bucket)
    if leftover:
        stacks.delete(cli, leftover)
        print(f"deleted the stack {wanted.stack}, whose earlier creation failed")
    print(f"deploying {wanted.stack} to {cli.region} in account {cli.account}; this takes one to two minutes")
    started = int(time.time())
    try:
        printed = cli.run(*_command(wanted, packaged, overrides, tags))
    except CliError as error:
        if before:  # a new stack is deleted with its change set
            stacks.delete_change_sets(cli, wanted.stack, since=started)
        raise _explain(cli, wanted.stack, template, error, is_new=before is None) from None
    if is_unchanged := "No changes to deploy" in printed:  # the CLI's own words
        stacks.delete_change_sets(cli, wanted.stack, since=started)
    print("nothing to change" if is_unchanged else "deployed")
    stack = stacks.existing(cli, wanted.stack)
    code_upload.check(cli, stack.outputs["FunctionName"], zip_file)
    _report(stack, _silence_of_alarms(cli, stack))


def _check_parameters(cli: Cli, stack: str, template: str, parameters: Mapping[str, str]) -> None:
    """Raise Problem for parameters that AWS would refuse only after creating other resources."""
    deploy_request.check_paths(parameters)
    deploy_request.check_targets(stack, parameters, cli.region, cli.account)
    deploy_request.check_regions(parameters, cli.region)
    deploy_request.check_replicas(template, parameters, cli.region)
    function_environment.check(template, parameters)


def _overrides(cli: Cli, wanted: Request) -> dict[str, str]:
    """Return the parameters that this deployment sets; the stack keeps its values for all others."""
    # Without SECRET the ARN is empty: a stack that changes to multiple rotations must not keep its secret.
    secret_arn = _secret_arn(cli, wanted.secret) if wanted.secret else ""
    parameter = {"ParameterName": wanted.parameter} if wanted.parameter else {}
    return {**wanted.settings, "SecretArn": secret_arn, **parameter}


def _check_bucket(cli: Cli, bucket: str) -> None:
    try:
        found = cli.read(
            *("s3api", "head-bucket", "--bucket", bucket, "--expected-bucket-owner", cli.account)
        )
    except CliError as error:
        if error.code == "404":
            raise Problem(
                f"there is no bucket {bucket}",
                f"create it: aws s3 mb s3://{bucket}, or set BUCKET to another bucket",
            ) from None
        if error.code in DENIED:
            raise Problem(
                f"the bucket {bucket} belongs to another account, or access to it is denied",
                "set BUCKET to a bucket of this account, and allow this caller s3:ListBucket on it",
            ) from None
        raise error.problem(f"the bucket {bucket} could not be checked") from None
    place = (found or {}).get("BucketRegion", cli.region)
    if place != cli.region:
        raise Problem(
            f"the bucket {bucket} is in {place}, but Lambda accepts code only from its own Region",
            f"set BUCKET to a bucket in {cli.region}",
        )


def _secret_arn(cli: Cli, secret: str) -> str:
    """Return the secret's full ARN; a given ARN is used as it is if describing secrets is denied."""
    try:
        found = cli.read("secretsmanager", "describe-secret", "--secret-id", secret)
    except CliError as error:
        if error.code == "ResourceNotFoundException":
            raise Problem(
                f"the secret that SECRET names does not exist in {cli.region}",
                "create it: aws secretsmanager create-secret, or set SECRET to another secret",
            ) from None
        if error.code in DENIED and _FULL_ARN.fullmatch(secret):
            return secret
        if error.code in DENIED:
            raise Problem(
                "describing the secret that SECRET names is denied",
                "set SECRET to its full ARN, or allow this caller secretsmanager:DescribeSecret",
            ) from None
        raise error.problem("the secret that SECRET names could not be described") from None
    if "DeletedDate" in found:
        raise Problem(
            "the secret that SECRET names is scheduled for deletion",
            "restore it: aws secretsmanager restore-secret, or set SECRET to another secret",
        )
    return str(found["ARN"])


def _check_stack(stack: stacks.Stack | None) -> None:
    if stack is None:
        return
    stacks.check_ours(stack)
    if stack.status in stacks.LEFTOVERS:
        return
    what = f"the stack {stack.name} is in the state {stack.status}"
    if stack.is_changing:
        raise Problem(what, "wait until CloudFormation has finished, then deploy again")
    if stack.status == "UPDATE_ROLLBACK_FAILED":
        raise Problem(
            what,
            f"finish its rollback: aws cloudformation continue-update-rollback --stack-name {stack.name}",
        )
    if stack.status.endswith("_FAILED"):
        raise Problem(what, f"delete it: make undeploy STACK={stack.name}")


def _command(
    wanted: Request, packaged: Path, overrides: Mapping[str, str], tags: Mapping[str, str]
) -> list[str]:
    command = [
        *("cloudformation", "deploy", "--stack-name", wanted.stack, "--template-file", str(packaged)),
        *("--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset"),
        *("--s3-bucket", wanted.bucket, *code_upload.UPLOAD),
    ]
    if overrides:
        command += ["--parameter-overrides", *(f"{name}={value}" for name, value in overrides.items())]
    if tags:
        command += ["--tags", *(f"{key}={value}" for key, value in tags.items())]
    return command


def _explain(cli: Cli, name: str, template: str, error: CliError, *, is_new: bool) -> Problem:
    """Return what failed, after deleting a new stack that was only partly created."""
    stack = stacks.settled(cli, name)
    failed = stacks.first_failure(cli, stack.id) if stack and error.code == "DeployFailed" else None
    consequence = _clean_up(cli, stack, is_new=is_new)
    what = str(failed) if failed else ""
    if not failed and (words := packaging.own_words(template, error.said)):
        what = f"CloudFormation refuses the change: {': '.join(words)}"
    if what:
        return Problem(f"{what}; {consequence}", "fix the cause, then deploy again", exit_code=1)
    return error.problem(f"CloudFormation refuses the change; {consequence}", exit_code=1)


def _clean_up(cli: Cli, stack: stacks.Stack | None, *, is_new: bool) -> str:
    """Delete a new stack that was only partly created; return the resulting state of the stack."""
    if stack is None:
        return "nothing was created"
    if is_new and stack.status in {stacks.REVIEW, *stacks.LEFTOVERS}:
        try:
            stacks.delete(cli, stack)
        except Problem as problem:  # reported in addition to the first failure, not instead of it
            return str(problem)
        return "the created resources were deleted again"
    if stack.status == "UPDATE_ROLLBACK_FAILED":
        return f"the stack is in the state {stack.status}: run aws cloudformation continue-update-rollback"
    return "the stack was rolled back to its previous state"


def _silence_of_alarms(cli: Cli, stack: stacks.Stack) -> str:
    """Return why alarms notify no one and what to do about it, empty if a subscription is confirmed."""
    topic = stack.outputs.get("AlarmTopicArn")
    if topic is None:
        return 'alarms do not notify anyone: deploy again with SET="AlarmEmail=on-call@example.com"'
    listing = ("list-subscriptions-by-topic", "--topic-arn", topic)
    try:
        arns = cli.read("sns", *listing, "--query", "Subscriptions[].SubscriptionArn")
    except CliError as error:
        if error.code == "NotFound":
            return f"alarms do not notify anyone: there is no topic {topic}; deploy again with another one"
        return (
            f"alarms may not notify anyone: the topic's subscriptions could not be read: {error.code}; "
            "allow this caller sns:ListSubscriptionsByTopic"
        )
    if any(arn.startswith("arn:") for arn in arns or []):
        return ""
    return (
        "alarms do not notify anyone until the mail of SNS is confirmed: "
        "see infra/docs/runbooks/alarms-notify-no-one.md"
    )


def _report(stack: stacks.Stack, silence: str) -> None:
    width = max(map(len, stack.outputs), default=0)
    for output, value in stack.outputs.items():
        print(f"  {output:{width}}  {value}")
    if silence:
        print(silence)
    print("next:")
    function = stack.outputs["FunctionName"]
    if "RotationsPath" in stack.outputs:  # make rotate would force every rotation
        print(f"  .venv/bin/rotator add NAME --stack {stack.name} --secret-id ... --parameter-name ...")
        print(f"  .venv/bin/rotator rotate --function {function}   # renew the due rotations now")
    else:
        print(f"  make rotate FUNCTION={function}   # request the first token now")
    print(f"  make logs STACK={stack.name}")


if __name__ == "__main__":
    sys.exit(run("deploy", lambda: deploy(os.environ)))
