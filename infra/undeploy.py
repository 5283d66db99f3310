"""``make undeploy``: delete the stack, and say what outlives it and how to remove that."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping

from infra import stacks
from infra.aws_cli import Cli, CliError, connect
from infra.command import Problem, run
from infra.stacks import Stack


def undeploy(environ: Mapping[str, str]) -> None:
    """Delete the stack that STACK names; raises Problem."""
    name = stacks.check_name(environ.get("STACK", "").strip(), "undeploy")
    cli = connect(environ).cli
    stack = stacks.existing(cli, name)
    stacks.check_ours(stack)
    if stack.is_protected:
        raise Problem(
            f"the stack {name} is protected from deletion",
            "lift that first: aws cloudformation update-termination-protection "
            f"--no-enable-termination-protection --stack-name {name}",
        )
    token_ends = _token_ends(cli, stack)
    print(f"deleting {name}: a minute or two")
    stacks.delete(cli, stack)
    print(f"deleted {name}. What stays, and how to remove it:")
    for line in _what_stays(stack, token_ends):
        print(f"  {line}")


def _token_ends(cli: Cli, stack: Stack) -> str:
    """What can be said about the token's end, from its status."""
    status = stack.outputs.get("StatusParameterName")
    if not status:
        return ""
    try:
        value = cli.read("ssm", "get-parameter", "--name", status, "--query", "Parameter.Value")
        return f"ends at {json.loads(value)['expires_at']}"
    except CliError as error:
        return "was never written" if error.code == "ParameterNotFound" else "ends nobody knows when"
    except (ValueError, KeyError, TypeError):
        return "ends nobody knows when"


def _what_stays(stack: Stack, token_ends: str) -> list[str]:
    lines = []
    if token := stack.outputs.get("ParameterName"):
        lines += [
            f"the token in {token}: it {token_ends}, and nothing renews it any more",
            f"  aws ssm delete-parameters --names {token} {token}/status {token}/lease",
        ]
    if path := stack.outputs.get("RotationsPath"):
        lines += [
            f"the rotations under {path}, and their tokens, which nothing renews any more",
            f"  aws ssm get-parameters-by-path --recursive --path {path} --query Parameters[].Name",
            "  aws ssm delete-parameters --names ...",
        ]
    secret = stack.parameters.get("SecretArn")
    lines += [f"the secret {secret}" if secret else "the secrets", _delete_secret(secret)]
    if key := stack.outputs.get("KeyArn"):
        lines += [
            f"the key {key}; without it the stored token cannot be read",
            f"  aws kms schedule-key-deletion --key-id {key}",
        ]
    return lines


def _delete_secret(secret: str | None) -> str:
    return f"  aws secretsmanager delete-secret --secret-id {secret or '...'}"


if __name__ == "__main__":
    sys.exit(run("undeploy", lambda: undeploy(os.environ)))
