"""``make undeploy``: delete the stack, and print what remains and how to remove it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping

from infra import stacks
from infra.aws_cli import Cli, CliError, connect
from infra.command import Problem, run
from infra.stacks import Stack


def undeploy(environ: Mapping[str, str]) -> None:
    """Delete the stack that STACK names; raises Problem."""
    name = stacks.check_name(environ.get("STACK", "").strip(), "undeploy")
    cli = connect(environ)
    stack = stacks.existing(cli, name)
    stacks.check_ours(stack)
    if stack.is_protected:
        raise Problem(
            f"the stack {name} is protected from deletion",
            "disable the protection first: aws cloudformation update-termination-protection "
            f"--no-enable-termination-protection --stack-name {name}",
        )
    expiry = _token_expiry(cli, stack)
    print(f"deleting {name}; this takes one to two minutes")
    stacks.delete(cli, stack)
    print(f"deleted {name}. These resources remain; the commands remove them:")
    for line in _remains(stack, expiry):
        print(f"  {line}")


def _token_expiry(cli: Cli, stack: Stack) -> str:
    """Return the token's expiry from the status, which is read while the stack exists."""
    if not (status := stack.outputs.get("StatusParameterName")):
        return ""
    try:
        value = cli.read("ssm", "get-parameter", "--name", status, "--query", "Parameter.Value")
        return f"expires at {json.loads(value)['expires_at']}"
    except CliError as error:
        return "was never written" if error.code == "ParameterNotFound" else "has an unknown expiry"
    except (ValueError, KeyError, TypeError):
        return "has an unknown expiry"


def _remains(stack: Stack, token_expiry: str) -> Iterator[str]:
    if token := stack.outputs.get("ParameterName"):
        yield f"the token in {token}, which {token_expiry} and is no longer renewed"
        yield f"  aws ssm delete-parameters --names {token} {token}/status {token}/lease"
    if path := stack.outputs.get("RotationsPath"):
        yield f"the rotation documents under {path} and their tokens, which are no longer renewed"
        yield f"  aws ssm get-parameters-by-path --recursive --path {path} --query Parameters[].Name"
        yield "  aws ssm delete-parameters --names ..."
    if regions := stack.parameters.get("ReplicaRegions"):
        yield f"the replicas of token and status in {regions}, which are no longer updated"
        yield "  aws ssm delete-parameters --region ... --names ..."
    secret = stack.parameters.get("SecretArn")
    yield f"the secret {secret}" if secret else "the secrets"
    yield f"  aws secretsmanager delete-secret --secret-id {secret or '...'}"
    if key := stack.outputs.get("KeyArn"):
        yield f"the key {key}; without it the stored token cannot be read"
        yield f"  aws kms schedule-key-deletion --key-id {key}"


if __name__ == "__main__":
    sys.exit(run("undeploy", lambda: undeploy(os.environ)))
