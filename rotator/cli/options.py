"""Options, exit codes and JSON output that several commands share."""

from __future__ import annotations

import json
from typing import Any

import click

FAILED = 1
"""The exit code if a rotation failed or there is no token."""

names_argument = click.argument("names", nargs=-1, metavar="[NAME]...")

stack_option = click.option(
    "--stack",
    metavar="NAME",
    help="Use the settings of this CloudFormation stack instead of ROTATOR_* variables.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_json(value: Any) -> None:
    """Print a value as indented JSON on standard output."""
    click.echo(json.dumps(value, indent=2))
