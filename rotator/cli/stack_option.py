"""Settings in, a rotator that is ready out: what commands that look after rotations begin with."""

from __future__ import annotations

from collections.abc import Mapping

import click

from rotator import bootstrap
from rotator.bootstrap import Rotator
from rotator.cli import operator
from rotator.config import environment
from rotator.errors import SettingsError
from rotator.observability import logs

PATH = "ROTATOR_ROTATIONS_PATH"

stack_option = click.option("--stack", metavar="NAME", help="Take the settings of this stack, not ROTATOR_*.")


def rotator(environ: Mapping[str, str], stack: str | None = None) -> Rotator:
    """Read the settings; where there are none at all, point to the demo."""
    try:
        made = bootstrap.build(operator.environment(environ, stack))
    except SettingsError as error:
        if not stack and environment.nothing_is_set(environ):
            advice = f"{error.advice}, or run `make demo` to see it work without AWS"
            raise SettingsError(error.problem, advice=advice) from error
        raise
    logs.configure(made.settings.log_level)
    return made


def rotator_of_many(environ: Mapping[str, str], stack: str | None) -> Rotator:
    """Read the settings of many rotations; raises SettingsError where there is no path to documents."""
    variables = operator.environment(environ, stack)
    if not variables.get(PATH):
        if stack:
            problem = f"the stack {stack} has one rotation, and no path for the documents of many"
            raise SettingsError(problem, advice="name a stack that was deployed with RotationsPath")
        raise SettingsError(
            f"{PATH} is not set",
            advice="set it to the path of their documents, as in /rotator/rotations, or give --stack",
        )
    return rotator(variables)
