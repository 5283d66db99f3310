"""``rotator list``: lists the rotations without reading their tokens."""

from __future__ import annotations

import os
import sys
from typing import Any
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.text import Text

from rotator.cli.console import plain_table, standard_output
from rotator.cli.options import FAILED, json_option, print_json, stack_option
from rotator.cli.wiring import rotator
from rotator.config.registry import Fleet
from rotator.renewal.models import Rotation


@click.command("list")
@stack_option
@json_option
def command(*, stack: str | None, as_json: bool) -> None:
    """List the rotations and the documents that cannot be used.

    The exit code is 1 if a document cannot be used. `rotator status` shows the tokens.
    """
    fleet = rotator(os.environ, stack).fleet()
    if as_json:
        print_json(to_dict(fleet))
    else:
        _print(standard_output(), fleet)
    if fleet.broken:
        sys.exit(FAILED)


def to_dict(fleet: Fleet) -> dict[str, Any]:
    """The list as ``--json`` gives it."""
    return {
        "rotations": [
            {
                "name": each.name,
                "parameter_name": each.parameter_name,
                "secret_id": each.secret_id,
                "endpoint_host": _host(each),
            }
            for each in _in_order(fleet)
        ],
        "broken": [{"name": name, "error": str(error)} for name, error in fleet.broken],
    }


def _print(console: Console, fleet: Fleet) -> None:
    if fleet.rotations:
        rows = [(each.name, each.parameter_name, each.secret_id, _host(each)) for each in _in_order(fleet)]
        console.print(plain_table(("rotation", "parameter", "secret", "endpoint"), rows))
    for name, error in fleet.broken:
        console.print(Text(name, style="red") + Text(f": {error}"), soft_wrap=True)


def _in_order(fleet: Fleet) -> list[Rotation]:
    return sorted(fleet.rotations, key=lambda rotation: rotation.name)


def _host(rotation: Rotation) -> str:
    return urlsplit(rotation.token_endpoint).netloc
