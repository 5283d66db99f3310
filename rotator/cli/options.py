"""What several commands have in common: options, exit codes and JSON."""

from __future__ import annotations

import json
from typing import Any

import click

FAILED = 1
"""The exit code if a rotation failed, or there is no token."""

USAGE = 2
"""The exit code if settings or the command line cannot be used."""

names_argument = click.argument("names", nargs=-1, metavar="[NAME]...")

stack_option = click.option(
    "--stack", metavar="NAME", help="Take the settings of this CloudFormation stack, not ROTATOR_*."
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def print_json(value: Any) -> None:
    """Print a value as indented JSON on standard output."""
    click.echo(json.dumps(value, indent=2))
