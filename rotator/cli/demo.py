"""``rotator demo``: runs everything on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rotator.errors import SettingsError
from rotator.extras import DISTRIBUTION

TEMPLATE = Path(__file__).resolve().parents[2] / "infra" / "template.yaml"


@click.command("demo")
@click.option("--keep", is_flag=True, help="Keep it running and print the commands to use it.")
@click.option(
    "--picture",
    metavar="FILE.svg",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw its output in an SVG file.",
)
def command(*, keep: bool, picture: Path | None) -> None:
    """Try everything on this machine, without an AWS account.

    Starts an embedded AWS and an authorization server, deploys the stack, and removes everything at the end.
    """
    if not TEMPLATE.is_file():
        raise SettingsError(
            "the demo builds and deploys a checkout, and this is an installed package",
            advice=f"run `make demo` in a checkout, which also installs '{DISTRIBUTION}[local]'",
        )
    from rotator.devstack.demo import run

    sys.exit(run(keep=keep, picture=picture))
