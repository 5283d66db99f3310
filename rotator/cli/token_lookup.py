"""Finds the token of a NAME, for ``rotator token`` and ``rotator exec``."""

from __future__ import annotations

import math
from collections.abc import Mapping

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

EXPIRY_WARNING_SECONDS = Settings.consumer_cache
"""With a shorter remaining lifetime the token is printed with a warning: consumers may cache it longer."""

_SECRET, _PATH = "ROTATOR_SECRET_ID", "ROTATOR_ROTATIONS_PATH"


def current_token(name: str | None, environ: Mapping[str, str], stack: str | None) -> str:
    """Return the token of NAME; warn on standard error if it expires soon.

    Raises the errors of ``parameter_name`` and of ``TokenSource.token``.
    """
    parameter = parameter_name(name, environ, stack)
    source = TokenSource(parameter, ttl=math.inf)
    token = source.token()
    left = source.seconds_left()
    if left < EXPIRY_WARNING_SECONDS:
        lifetime = describe_seconds(left)
        click.echo(
            f"rotator: warning: the token in {parameter} expires in {lifetime}; see `rotator status`",
            err=True,
        )
    return token


def parameter_name(name: str | None, environ: Mapping[str, str], stack: str | None = None) -> str:
    """Return the name of the token parameter of NAME, or of the only rotation if NAME is omitted.

    Raises:
        SettingsError: No rotation has the name, or NAME is omitted and there are several rotations.
        RotatorError: The rotation documents or the stack cannot be read.
    """
    if name and ("/" in name or name.startswith("arn:")):
        if stack:
            raise SettingsError(f"{name[:64]} needs no stack", advice="leave out --stack, or name a rotation")
        return _full_name(name)
    variables = wiring.environment(environ, stack)
    try:
        rotator = bootstrap.build(_without_secret(variables))
    except SettingsError as error:
        if stack or not environment.nothing_is_set(environ):
            raise
        advice = f"{error.advice}, or give a parameter's name, beginning with /, as NAME"
        raise SettingsError(error.problem, advice=advice) from error
    try:
        return _only_one(rotator, name)
    except SettingsError as error:
        if name is None:
            raise
        advice = f"{error.advice}; or give a parameter's name, beginning with /"
        raise SettingsError(error.problem, advice=advice) from error


def _full_name(name: str) -> str:
    try:
        return validators.any_parameter_name(name)
    except InvalidValue as refused:
        raise SettingsError(f"NAME is {name[:64]!r}", advice=f"it must be {refused}") from refused


def _without_secret(variables: Mapping[str, str]) -> Mapping[str, str]:
    """Return the settings, without the secret, which a reader of the token need not know."""
    if variables.get(_PATH):
        return variables
    return {**variables, _SECRET: variables.get(_SECRET) or "not-needed"}


def _only_one(rotator: bootstrap.Rotator, name: str | None) -> str:
    fleet = rotator.fleet([] if name is None else [name])
    known = sorted([*(rotation.name for rotation in fleet.rotations), *(name for name, _ in fleet.broken)])
    if len(known) > 1:
        raise SettingsError(
            f"there are {len(known)} rotations, and NAME is missing",
            advice="name one of: " + ", ".join(known[:10]),
        )
    for _, error in fleet.broken:
        raise error
    return fleet.rotations[0].parameter_name
