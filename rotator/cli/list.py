"""``rotator list``: lists the rotations without reading their tokens."""

from __future__ import annotations

import sys
from operator import attrgetter
from urllib.parse import urlsplit

import click
from rich.text import Text

from rotator.cli.console import plain_table, standard_output
from rotator.cli.options import FAILED, json_option, print_json, stack_option
from rotator.cli.wiring import rotator


@click.command("list")
@stack_option
@json_option
def command(*, stack: str | None, as_json: bool) -> None:
    """List the rotations and the documents that cannot be used.

    The exit code is 1 if a document cannot be used. `rotator status` shows the tokens.
    """
    fleet = rotator(stack).fleet()
    rows = [
        (each.name, each.parameter_name, each.secret_id, urlsplit(each.token_endpoint).netloc)
        for each in sorted(fleet.rotations, key=attrgetter("name"))
    ]
    if as_json:
        keys = ("name", "parameter_name", "secret_id", "endpoint_host")
        broken = [{"name": name, "error": str(error)} for name, error in fleet.broken]
        print_json({"rotations": [dict(zip(keys, row, strict=True)) for row in rows], "broken": broken})
    else:
        console = standard_output()
        if rows:
            console.print(plain_table(("rotation", "parameter", "secret", "endpoint"), rows))
        for name, error in fleet.broken:
            console.print(Text(name, style="red") + Text(f": {error}"), soft_wrap=True)
    if fleet.broken:
        sys.exit(FAILED)
