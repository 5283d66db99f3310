"""The request of `make deploy`: read from its variables, and checked without AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from infra import stacks
from infra.command import Problem
from infra.packaging import CODE_PARAMETERS, parameter_names, rule
from rotator.adapters.runtime import aws_client

EXAMPLE = (
    "for example: make deploy STACK=rotator SECRET=healthwise/client PARAMETER=/healthwise/token BUCKET=code"
    ' (for many rotations SET="RotationsPath=/rotator/rotations ..." stands for SECRET and PARAMETER)'
)

_SETTING = re.compile(r"\s*\b([A-Z]\w*)=(.*?)(?=\s+[A-Z]\w*=|\s*$)", re.DOTALL)
"""A template parameter and its value, which ends where the next one or the text does: JSON has spaces."""

_SECRET = re.compile(
    r"(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:|(?!-))[A-Za-z0-9/_+=.@-]{1,512}"
)
"""A secret's name, or its ARN with or without the six characters at the end.

The CLI reads a value from the place that begins with file:// or http://, and takes a hyphen for an option.
"""

_TAG = re.compile(r"(?!-)(?!\w+://)[\w .:/=+@-]*")
"""What AWS allows, without what the CLI would take for an option or a file.

https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
"""

_TARGETS = ("ChangeFunctionArn", "ChangeQueueArn", "RedeployService")
"""The parameters for targets of change events."""

_OF_THE_REGION = (
    *("SecretArn", "AlarmTopicArn", "ParameterKmsKeyArn", "SecretKmsKeyArn", "LogKmsKeyArn", "SigningKeyArn"),
)
"""The parameters for a resource that must be in the stack's Region, in whatever account."""

_LONGEST_STACK_WITH_A_RULE = 64 - len("-token-changed")
"""Characters: the rule for change events is named after the stack.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
"""

_OWN_VARIABLE = {"SecretArn": "SECRET", "ParameterName": "PARAMETER"}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to deploy. ``secret`` and ``parameter`` are empty for multiple rotations under a path.

    ``code`` is the path of a downloaded zip, empty for one that is built.
    """

    stack: str
    bucket: str
    secret: str
    parameter: str
    settings: Mapping[str, str]
    tags: Mapping[str, str]
    code: str


def read(variables: Mapping[str, str], template: str) -> Request:
    """Return what STACK, SECRET, PARAMETER, BUCKET, SET, TAGS and CODE say; raises Problem for one."""
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
        bucket=_matching("BUCKET", given["BUCKET"], *rule(template, "CodeBucket")),
        secret=_matching(
            *("SECRET", given.get("SECRET", ""), _SECRET.pattern, "is neither a secret's name nor its ARN"),
            next_step="it is never the secret itself: SECRET=healthwise/client",
        ),
        parameter=_matching("PARAMETER", given.get("PARAMETER", ""), *rule(template, "ParameterName")),
        settings=settings,
        tags=_tags(given.get("TAGS", "")),
        code=_code(given.get("CODE")),
    )


def check_paths(parameters: Mapping[str, str]) -> None:
    """Raise Problem if the rotations' documents and tokens are below one path."""
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


def check_targets(stack: str, parameters: Mapping[str, str], region: str, account: str) -> None:
    """Raise Problem if a target cannot receive the stack's change events.

    A target must be in its rule's Region; one in another account would need a role, which the stack has not.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html
    """
    targets = {name: parameters[name] for name in _TARGETS if parameters.get(name)}
    if targets and len(stack) > _LONGEST_STACK_WITH_A_RULE:
        raise Problem(
            f"STACK has more than {_LONGEST_STACK_WITH_A_RULE} characters: too many for change events",
            f"take a shorter name, or leave {' and '.join(targets)} out",
        )
    for name, arn in targets.items():
        place = arn.split(":")[3:5]
        if len(place) == 2 and place != [region, account]:
            raise Problem(
                f"{name} is in {place[0]} of account {place[1]}, and the stack in {region} of {account}",
                "give a target beside the stack; it may pass the event on",
            )


def check_regions(parameters: Mapping[str, str], region: str) -> None:
    """Raise Problem if a secret, a topic or a key is in another Region, where the function cannot use it."""
    for name in _OF_THE_REGION:
        place = parameters.get(name, "").split(":")[3:4]
        if place and place != [region]:
            raise Problem(
                f"{name} is in {place[0]}, and the stack in {region}",
                f"give one of {region}, or deploy there",
            )


def check_replicas(parameters: Mapping[str, str], region: str) -> None:
    """Raise Problem if the replica Regions cannot hold replicas of the tokens of this stack."""
    names = [name for name in parameters.get("ReplicaRegions", "").split(",") if name]
    if region in names:
        raise Problem(f"ReplicaRegions names {region}, the stack's own Region", "leave it out there")
    if twice := [name for name in names if names.count(name) > 1]:
        raise Problem(f"ReplicaRegions names {twice[0]} twice", "name it once")
    for name in names:
        partition = aws_client.partition_of(name)
        if partition is None:
            raise Problem(f"ReplicaRegions names {name}, and there is no such Region", "correct its name")
        if partition != aws_client.partition_of(region):
            raise Problem(
                f"ReplicaRegions names {name}, which is in another partition than {region}",
                "leave it out there, and deploy a stack of its own in that partition",
            )
    key = parameters.get("ParameterKmsKeyArn", "")
    if names and key and ":key/mrk-" not in key:
        raise Problem(
            "ParameterKmsKeyArn is a key of one Region, and tokens would have none in ReplicaRegions",
            "give a multi-Region key that has a replica in each of them, or none: then it is aws/ssm",
        )


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise Problem for a tag that the CLI could take for an option or a file."""
    if not all(map(_TAG.fullmatch, [*tags, *tags.values()])):
        raise Problem(
            "a tag cannot be passed to the AWS CLI",
            'give TAGS of letters, digits and _ . : / = + @ -, none with "-" or "...://" first',
        )


def _matching(variable: str, value: str, pattern: str, sentence: str, *, next_step: str = EXAMPLE) -> str:
    """Return a variable's value if it is empty or matches the pattern; the sentence says what it must be."""
    if value and not re.fullmatch(pattern, value):
        raise Problem(f"{variable} {sentence}", next_step)
    return value


def _settings(text: str, known: tuple[str, ...]) -> dict[str, str]:
    """Return the values in "Name=value Name2=value2"; every name must be a parameter of the template."""
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


def _code(path: str | None) -> str:
    """Return the zip's path; an empty variable must not deploy what is built instead of a release."""
    if path is not None and not (path and path.isprintable()):
        raise Problem("CODE is not a path", "name the zip of a release, or leave CODE out to build one")
    return path or ""


def _tags(text: str) -> dict[str, str]:
    """Return the tags in "key=value key2=value2", which have no spaces in them."""
    tags: dict[str, str] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise Problem("TAGS cannot be read", 'write TAGS="key=value key2=value2", without spaces in them')
        tags[key] = value
    check_tags(tags)
    return tags
