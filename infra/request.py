"""What `make deploy` was asked for: read from its variables and checked without AWS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from infra import stacks
from infra.command import Problem
from infra.packaging import CODE_PARAMETERS, parameter_names

EXAMPLE = (
    "for example: make deploy STACK=rotator SECRET=healthwise/client PARAMETER=/healthwise/token BUCKET=code"
)

_SETTING = re.compile(r"\s*\b([A-Z]\w*)=(.*?)(?=\s+[A-Z]\w*=|\s*$)", re.DOTALL)
"""A template parameter and its value, which ends where the next one or the text does: JSON has spaces."""

_OWN_VARIABLE = {"SecretArn": "SECRET", "ParameterName": "PARAMETER"}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to deploy. ``secret`` and ``parameter`` are empty for many rotations under a path."""

    stack: str
    bucket: str
    secret: str
    parameter: str
    settings: Mapping[str, str]
    tags: Mapping[str, str]


def read(variables: Mapping[str, str], template: str) -> Request:
    """Read STACK, SECRET, PARAMETER, BUCKET, SET and TAGS; raises Problem in one line for what is wrong."""
    given = {name: value.strip() for name, value in variables.items()}
    settings = _settings(given.get("SET", ""), parameter_names(template))
    required = (
        ["STACK", "BUCKET"] if settings.get("RotationsPath") else ["STACK", "SECRET", "PARAMETER", "BUCKET"]
    )
    if missing := [name for name in required if not given.get(name)]:
        are = "is" if len(missing) == 1 else "are"
        raise Problem(f"{' and '.join(missing)} {are} missing", EXAMPLE)
    return Request(
        stack=stacks.check_name(given["STACK"], "deploy"),
        bucket=given["BUCKET"],
        secret=given.get("SECRET", ""),
        parameter=given.get("PARAMETER", ""),
        settings=settings,
        tags=_tags(given.get("TAGS", "")),
    )


def _settings(text: str, known: tuple[str, ...]) -> dict[str, str]:
    """Read "Name=value Name2=value2"; every name must be one of the template's parameters."""
    pairs = _SETTING.findall(text)
    if text.strip() and (not pairs or not _SETTING.match(text)):
        raise Problem(
            "SET cannot be read", 'write SET="Name=value Name2=value2", names as in infra/template.yaml'
        )
    settings: dict[str, str] = {}
    for name, value in pairs:
        if name in CODE_PARAMETERS:
            raise Problem(f"{name} cannot be in SET", "leave it out: deploy uploads the zip to BUCKET itself")
        if name in _OWN_VARIABLE:
            raise Problem(f"{name} cannot be in SET", f"give it as {_OWN_VARIABLE[name]}=...")
        if name not in known:
            raise Problem(f"the template has no parameter {name}", "see Parameters in infra/template.yaml")
        if name in settings:
            raise Problem(f"{name} is in SET twice", "leave one out")
        settings[name] = value
    return settings


def _tags(text: str) -> dict[str, str]:
    """Read "key=value key2=value2"; keys and values without spaces."""
    tags: dict[str, str] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise Problem("TAGS cannot be read", 'write TAGS="key=value key2=value2", without spaces in them')
        tags[key] = value
    return tags
