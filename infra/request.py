"""What `make deploy` was asked for: read from its variables and checked without AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from infra import stacks
from infra.command import Problem
from infra.packaging import CODE_PARAMETERS, parameter_names, rule

EXAMPLE = (
    "for example: make deploy STACK=rotator SECRET=healthwise/client PARAMETER=/healthwise/token BUCKET=code"
    ' (for many rotations SET="RotationsPath=/rotator/rotations ..." stands for SECRET and PARAMETER)'
)

_SETTING = re.compile(r"\s*\b([A-Z]\w*)=(.*?)(?=\s+[A-Z]\w*=|\s*$)", re.DOTALL)
"""A template parameter and its value, which ends where the next one or the text does: JSON has spaces."""

_SECRET = re.compile(
    r"(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:|(?!-))[A-Za-z0-9/_+=.@-]{1,512}"
)
"""A secret's name, or its ARN with or without the six characters at the end. The CLI takes what begins with
file:// or http:// for a place to read the value from, and a hyphen for an option."""

_TAG = re.compile(r"(?!-)(?!\w+://)[\w .:/=+@-]*")
"""What AWS allows, without what the CLI would take for an option or a file.

https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
"""

_TOLD = ("ChangeFunctionArn", "ChangeQueueArn", "RedeployService")
_LONGEST_STACK_WITH_A_RULE = 64 - len("-token-changed")
"""The rule that tells of changes is named after the stack.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
"""

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
        bucket=_ruled(given["BUCKET"], "BUCKET", rule(template, "CodeBucket")),
        secret=_secret(given.get("SECRET", "")),
        parameter=_ruled(given.get("PARAMETER", ""), "PARAMETER", rule(template, "ParameterName")),
        settings=settings,
        tags=_tags(given.get("TAGS", "")),
    )


def check_paths(parameters: Mapping[str, str]) -> None:
    """See that many rotations' documents and tokens lie apart; raises Problem."""
    documents, tokens = parameters.get("RotationsPath"), parameters.get("ParameterPrefix")
    if not documents or not tokens:
        return
    if f"{documents}/".startswith(f"{tokens}/"):
        reason = "the function could rewrite the documents that say where secrets go"
    elif f"{tokens}/".startswith(f"{documents}/"):
        reason = "the function would read tokens as documents"
    else:
        return
    raise Problem(
        f"RotationsPath and ParameterPrefix lie one within the other: {reason}",
        "take paths apart: RotationsPath=/rotator/rotations ParameterPrefix=/healthwise",
    )


def check_told(stack: str, parameters: Mapping[str, str], region: str, account: str) -> None:
    """See that whoever is to be told of changes can be reached; raises Problem.

    Targets must be in their rule's Region; one in another account would need a role, which the stack has not.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html
    """
    told = {name: parameters[name] for name in _TOLD if parameters.get(name)}
    if told and len(stack) > _LONGEST_STACK_WITH_A_RULE:
        raise Problem(
            f"STACK has more than {_LONGEST_STACK_WITH_A_RULE} characters: too many to tell of changes",
            f"take a shorter name, or leave {' and '.join(told)} out",
        )
    for name, arn in told.items():
        place = arn.split(":")[3:5]
        if len(place) == 2 and place != [region, account]:
            raise Problem(
                f"{name} is in {place[0]} of account {place[1]}, and the stack in {region} of {account}",
                "give a target beside the stack; it may pass the event on",
            )


def check_tags(tags: Mapping[str, str]) -> None:
    """See that no tag can be taken for something else by the CLI; raises Problem."""
    if not all(map(_TAG.fullmatch, [*tags, *tags.values()])):
        raise Problem(
            "a tag is not one that can be handed over",
            'give TAGS of letters, digits and _ . : / = + @ -, none with "-" or "...://" first',
        )


def _secret(secret: str) -> str:
    if secret and not _SECRET.fullmatch(secret):
        raise Problem(
            "SECRET is neither a secret's name nor its ARN",
            "it is never the secret itself: SECRET=healthwise/client",
        )
    return secret


def _ruled(value: str, variable: str, rule: tuple[str, str]) -> str:
    """The value, if it is empty or as the template wants it."""
    pattern, sentence = rule
    if value and not re.fullmatch(pattern, value):
        raise Problem(f"{variable} {sentence}", EXAMPLE)
    return value


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
    if not _is_object(settings.get("TokenRequestParams", "{}")):
        raise Problem(
            "TokenRequestParams is not a JSON object", """write TokenRequestParams={"expiration": "86400"}"""
        )
    return settings


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _tags(text: str) -> dict[str, str]:
    """Read "key=value key2=value2"; keys and values without spaces."""
    tags: dict[str, str] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise Problem("TAGS cannot be read", 'write TAGS="key=value key2=value2", without spaces in them')
        tags[key] = value
    check_tags(tags)
    return tags
