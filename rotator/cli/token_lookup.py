"""Finds the token of a NAME, for ``rotator token`` and ``rotator exec``."""

from __future__ import annotations

import math

import click

from rotator import bootstrap
from rotator.cli import wiring
from rotator.config import environment, validators
from rotator.config.environment import Settings
from rotator.config.validators import InvalidValue
from rotator.consumer import TokenSource
from rotator.errors import SettingsError
from rotator.renewal.durations import describe_seconds

NAME_HELP = """\
NAME is a rotation. It can also be the parameter's own name, beginning with "/", or its ARN; neither needs
settings. The default is ROTATOR_PARAMETER_NAME, or the only rotation.\
"""


def current_token(name: str | None, stack: str | None) -> str:
    """Return the token of NAME; warn on standard error if it expires soon.

    Raises the errors of ``parameter_name`` and of ``TokenSource.token``.
    """
    parameter = parameter_name(name, stack)
    source = TokenSource(parameter, ttl=math.inf)
    token, left = source.token(), source.seconds_left()
    if left < Settings.consumer_cache:  # consumers may cache it longer
        expiry = f"the token in {parameter} expires in {describe_seconds(left)}"
        click.echo(f"rotator: warning: {expiry}; see `rotator status`", err=True)
    return token


def parameter_name(name: str | None, stack: str | None) -> str:
    """Return the name of the token parameter of NAME, or of the only rotation if NAME is omitted.

    Raises SettingsError if no rotation has the name, or several rotations need one; RotatorError if the
    rotation documents or the stack cannot be read.
    """
    if name and ("/" in name or name.startswith("arn:")):
        if stack:
            raise SettingsError(f"{name[:64]} needs no stack", advice="leave out --stack, or name a rotation")
        try:
            return validators.any_parameter_name(name)
        except InvalidValue as refused:
            raise SettingsError(f"NAME is {name[:64]!r}", advice=f"it must be {refused}") from refused
    variables = wiring.environment(stack)
    is_new = not stack and environment.nothing_is_set(variables)
    if not variables.get(wiring.ROTATIONS_PATH):  # a reader of the token need not know the secret
        variables = {**variables, "ROTATOR_SECRET_ID": variables.get("ROTATOR_SECRET_ID") or "not-needed"}
    with wiring.more_advice(", or give a parameter's name, beginning with /, as NAME", applies=is_new):
        rotator = bootstrap.build(variables)
    with wiring.more_advice("; or give a parameter's name, beginning with /", applies=name is not None):
        fleet = rotator.fleet([] if name is None else [name])
        if len(fleet.names) > 1:
            problem = f"there are {len(fleet.names)} rotations, and NAME is missing"
            raise SettingsError(problem, advice="name one of: " + ", ".join(sorted(fleet.names)[:10]))
        for _, error in fleet.broken:
            raise error
    return fleet.rotations[0].parameter_name
