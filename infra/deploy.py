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

from infra import deploy_request, function_code, function_environment, stacks, template_parameters
from infra.aws_cli import DENIED, Cli, CliError, connect
from infra.command import Problem, run
from infra.deploy_request import Request

TEMPLATE = Path(__file__).resolve().parent / "template.yaml"

_FULL_ARN = re.compile(
    r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}"
)
_REFUSED = "CloudFormation refuses the change"


def deploy(environ: Mapping[str, str]) -> None:
    """Deploy the stack that STACK, SECRET, PARAMETER, BUCKET, SET, TAGS and CODE describe; raises Problem."""
    template = TEMPLATE.read_text()
    wanted = deploy_request.read(environ, template)
    downloaded = function_code.verified(Path(wanted.code)) if wanted.code else None
    cli = connect(environ)
    _check_bucket(cli, wanted.bucket)
    # Without SECRET the ARN is empty: a stack that changes to multiple rotations must not keep its secret.
    secret_arn = _secret_arn(cli, wanted.secret) if wanted.secret else ""
    overrides = {**wanted.settings, "SecretArn": secret_arn}
    if wanted.parameter:
        overrides["ParameterName"] = wanted.parameter
    found = stacks.find(cli, wanted.stack)
    if found:
        _check_stack(found)
    before = found if found and found.status not in stacks.LEFTOVERS else None
    values = {**(before.parameters if before else {}), **overrides}
    deploy_request.check_parameters(template, wanted.stack, values, cli.region, cli.account)
    function_environment.check(template, values)
    tags = wanted.tags or (before.tags if before else {})
    deploy_request.check_tags(tags)

    zip_file = downloaded or function_code.built()
    key = function_code.upload(cli, zip_file, wanted.bucket)
    overrides |= {"CodeBucket": wanted.bucket, "CodeKey": key}
    if found and not before:
        stacks.delete(cli, found)
        print(f"deleted the stack {wanted.stack}, whose earlier creation failed")
    print(f"deploying {wanted.stack} to {cli.region} in account {cli.account}; this takes one to two minutes")
    started = int(time.time())
    try:
        printed = cli.run(*_command(wanted, overrides, tags))
    except CliError as error:
        if before:  # a new stack is deleted with its change set
            stacks.delete_change_sets(cli, wanted.stack, since=started)
        raise _explain(cli, wanted.stack, template, error, is_new=before is None) from None
    if is_unchanged := "No changes to deploy" in printed:  # the CLI's own words
        stacks.delete_change_sets(cli, wanted.stack, since=started)
    print("nothing to change" if is_unchanged else "deployed")
    stack = stacks.existing(cli, wanted.stack)
    function_code.check(cli, stack.outputs["FunctionName"], zip_file)
    _report(stack, _silence_of_alarms(cli, stack))


def _check_bucket(cli: Cli, bucket: str) -> None:
    try:
        found = cli.read(
            *("s3api", "head-bucket", "--bucket", bucket, "--expected-bucket-owner", cli.account),
            failure=f"the bucket {bucket} could not be checked",
        )
    except CliError as error:
        if error.code == "404":
            step = f"create it: aws s3 mb s3://{bucket}, or set BUCKET to another bucket"
            raise Problem(f"there is no bucket {bucket}", step) from None
        if error.code in DENIED:
            raise Problem(
                f"the bucket {bucket} belongs to another account, or access to it is denied",
                "set BUCKET to a bucket of this account, and allow this caller s3:ListBucket on it",
            ) from None
        raise
    place = (found or {}).get("BucketRegion", cli.region)
    if place != cli.region:
        raise Problem(
            f"the bucket {bucket} is in {place}, but Lambda accepts code only from its own Region",
            f"set BUCKET to a bucket in {cli.region}",
        )


def _secret_arn(cli: Cli, secret: str) -> str:
    """Return the secret's full ARN; a given ARN is used as it is if describing secrets is denied."""
    try:
        found = cli.read(
            *("secretsmanager", "describe-secret", "--secret-id", secret),
            failure="the secret that SECRET names could not be described",
        )
    except CliError as error:
        if error.code == "ResourceNotFoundException":
            step = "create it: aws secretsmanager create-secret, or set SECRET to another secret"
            raise Problem(f"the secret that SECRET names does not exist in {cli.region}", step) from None
        if error.code in DENIED and _FULL_ARN.fullmatch(secret):
            return secret
        if error.code in DENIED:
            step = "set SECRET to its full ARN, or allow this caller secretsmanager:DescribeSecret"
            raise Problem("describing the secret that SECRET names is denied", step) from None
        raise
    if "DeletedDate" in found:
        step = "restore it: aws secretsmanager restore-secret, or set SECRET to another secret"
        raise Problem("the secret that SECRET names is scheduled for deletion", step)
    return str(found["ARN"])


def _check_stack(stack: stacks.Stack) -> None:
    stacks.check_ours(stack)
    if stack.is_changing:
        step = "wait until CloudFormation has finished, then deploy again"
    elif stack.status == "UPDATE_ROLLBACK_FAILED":
        step = f"finish its rollback: aws cloudformation continue-update-rollback --stack-name {stack.name}"
    elif stack.status.endswith("_FAILED") and stack.status not in stacks.LEFTOVERS:
        step = f"delete it: make undeploy STACK={stack.name}"
    else:
        return
    raise Problem(f"the stack {stack.name} is in the state {stack.status}", step)


def _command(wanted: Request, overrides: Mapping[str, str], tags: Mapping[str, str]) -> list[str]:
    """Return the CLI's command. Without --force-upload it would keep an existing object of the bucket."""
    return [
        *("cloudformation", "deploy", "--stack-name", wanted.stack, "--template-file", str(TEMPLATE)),
        *("--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset"),
        *("--s3-bucket", wanted.bucket, "--s3-prefix", "rotator", "--force-upload"),
        *("--parameter-overrides", *(f"{name}={value}" for name, value in overrides.items())),
        *(["--tags"] if tags else []),
        *(f"{key}={value}" for key, value in tags.items()),
    ]


def _explain(cli: Cli, name: str, template: str, error: CliError, *, is_new: bool) -> Problem:
    """Return what failed, after deleting a new stack that was only partly created."""
    stack = stacks.awaited(cli, name, lambda stack: not stack.is_changing)
    what = stacks.first_failure(cli, stack.id) if stack and error.code == "DeployFailed" else ""
    consequence = _clean_up(cli, stack, is_new=is_new)
    if not what and (words := template_parameters.own_words(template, error.said)):
        what = f"{_REFUSED}: {': '.join(words)}"
    if what:
        return Problem(f"{what}; {consequence}", "fix the cause, then deploy again", exit_code=1)
    return Problem(f"{_REFUSED}; {consequence}: {error.code}", error.next_step, exit_code=1)


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
