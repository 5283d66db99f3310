"""``rotator demo``: runs everything on this machine."""

from __future__ import annotations

import sys

import click

from rotator.errors import SettingsError


@click.command("demo")
@click.option("--keep", is_flag=True, help="Keep it running and print the commands to use it.")
def command(*, keep: bool) -> None:
    """Try everything on this machine, without an AWS account.

    Starts an embedded AWS and an authorization server, deploys the stack, and removes everything at the end.
    """
    try:
        from rotator.devstack.demo import run
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"the demo needs the package {error.name}",
            advice="run `make demo`, or install rotator[local] from a checkout",
        ) from error
    sys.exit(run(keep=keep))
