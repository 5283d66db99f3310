"""``rotator doctor``: checks what rotations need."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.text import Text

from rotator import bootstrap
from rotator.cli import wiring
from rotator.cli.console import standard_output
from rotator.cli.options import json_option, names_argument, print_json, stack_option
from rotator.doctor.check import Check, State
from rotator.doctor.context import Instruments, Subject
from rotator.doctor.examination import examine, exit_code
from rotator.errors import RotatorError
from rotator.oauth.client_credentials import TokenResponse
from rotator.observability import logs

GET_TIMEOUT_SECONDS = 20.0
"""The timeout of the GET that checks whether a host answers."""

_MARKS = {State.OK: ("✓", "green"), State.FAILED: ("✗", "red"), State.SKIPPED: ("\N{EN DASH}", "dim")}


@click.command("doctor")
@names_argument
@stack_option
@click.option(
    "--try-encodings",
    is_flag=True,
    help="Request a token in each encoding of Basic, if they differ, and report which one is accepted.",
)
@click.option("--no-token", is_flag=True, help="Do not request a token.")
@json_option
def command(
    names: tuple[str, ...], *, stack: str | None, try_encodings: bool, no_token: bool, as_json: bool
) -> None:
    """Check what rotations need and print the next steps.

    Without NAME, checks all rotations. The checks use your own permissions, not those of the function's
    role. Nothing is written to AWS.

    The doctor requests a token and discards it. Some providers revoke the old token when they issue a new
    one: use --no-token with these.
    """
    subject = _subject(names, stack, request_token=not no_token, try_encodings=try_encodings)
    console, checks = standard_output(), []
    several = isinstance(subject, Subject) and len(subject.fleet.rotations) + len(subject.fleet.broken) > 1
    for check in examine(subject, instruments()):
        checks.append(check)
        if not as_json:
            print_check(console, check, with_rotation=several)
    if as_json:
        healthy = not any(check.state is State.FAILED for check in checks)
        print_json({"healthy": healthy, "checks": [check.to_dict() for check in checks]})
    else:
        print_total(console, checks)
    sys.exit(exit_code(checks))


def _subject(names: Sequence[str], stack: str | None, **options: bool) -> Subject | RotatorError:
    try:
        rotator = bootstrap.build(wiring.environment(stack))
        logs.configure(rotator.settings.log_level)
        return Subject(
            fleet=rotator.fleet(names),
            settings=rotator.settings,
            ports=rotator.ports,
            replicas=rotator.replicas,
            stack=stack,
            **options,
        )
    except RotatorError as error:
        return error


def instruments() -> Instruments:
    """Return the adapters that the doctor checks with."""
    from rotator.adapters.operator.inspector import AwsInspector
    from rotator.adapters.runtime.private_trust import PrivateTrust
    from rotator.adapters.runtime.token_endpoint import HEADERS

    public_trust = bootstrap.make_transport()
    adapters = bootstrap.Adapters()
    private_trust = PrivateTrust(lambda: adapters.parameters, bootstrap.make_transport)
    headers = {**HEADERS, "Cache-Control": "no-cache"}  # a cache's answer would have an old Date

    def reach(url: str, ca_parameter_name: str | None) -> TokenResponse | RotatorError:
        try:
            transport = private_trust(ca_parameter_name) if ca_parameter_name else public_trust
            return transport("GET", url, headers, body=None, seconds=GET_TIMEOUT_SECONDS)
        except RotatorError as error:
            return error

    return Instruments(
        inspector=AwsInspector(),
        reach=reach,
        begin_run=lambda: bootstrap.begin_run("doctor"),
        now=bootstrap.utc_now,
    )


def print_check(console: Console, check: Check, *, with_rotation: bool) -> None:
    """Print a check with its next step, and with its rotation's name if there are several."""
    mark, style = _MARKS[check.state]
    of = f" of {check.rotation}" if with_rotation and check.rotation else ""
    line = Text(mark, style=style) + Text(f" {check.name}{of}: ", style="bold") + Text(check.found)
    console.print(line, soft_wrap=True)
    if check.advice:
        console.print(Text(f"  → {check.advice}"), soft_wrap=True)


def print_total(console: Console, checks: Sequence[Check]) -> None:
    """Print the number of checks in each state."""
    states = [check.state for check in checks]
    words = {State.OK: "passed", State.FAILED: "failed", State.SKIPPED: "not checked"}
    counts = [f"{states.count(state)} {word}" for state, word in words.items() if state in states]
    console.print(Text(", ".join(counts)))
