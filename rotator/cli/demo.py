"""``rotator demo``: everything on embedded parts."""

from __future__ import annotations

import sys

import click

from rotator.errors import SettingsError


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave it running and print how to use it.")
def command(*, keep: bool) -> None:
    """See everything work on embedded parts: no AWS account, nothing left behind."""
    try:
        from rotator.devstack.demo import run
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"the demo needs the package {error.name}",
            advice="run `make demo`, or install rotator[local] from a checkout",
        ) from error
    sys.exit(run(keep=keep))
