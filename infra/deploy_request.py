"""The request of `make deploy`: read from its variables, and checked without AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass

from infra import stacks
from infra.command import Problem
from infra.template_parameters import pattern, rules
from rotator.adapters.runtime import aws_client
from rotator.replication.replica import is_multi_region_key

EXAMPLE = (
    "for example: make deploy STACK=rotator SECRET=healthwise/client PARAMETER=/healthwise/token BUCKET=code"
    ' (for multiple rotations, SET="RotationsPath=/rotator/rotations ..." replaces SECRET and PARAMETER)'
)

_SETTING = re.compile(r"\s*\b([A-Z]\w*)=(.*?)(?=\s+[A-Z]\w*=|\s*$)", re.DOTALL)
"""A template parameter and its value, which ends before the next parameter: a value in JSON has spaces."""

_SECRET = re.compile(
    r"(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:|(?!-))[A-Za-z0-9/_+=.@-]{1,512}"
)
"""A secret's name, or its ARN with or without the six characters at the end.

The CLI loads a value that begins with file:// or http:// from there, and takes a hyphen for an option.
"""

_TAG = re.compile(r"(?!-)(?!\w+://)[\w .:/=+@-]*")
"""The characters that AWS allows, except values that the CLI would treat as an option or a file.

https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
"""

_NOT_IN_SET = {
    **dict.fromkeys(("CodeBucket", "CodeKey"), "remove it: `make deploy` uploads the zip to BUCKET"),
    "SecretArn": "set SECRET=... instead",
    "ParameterName": "set PARAMETER=... instead",
}
"""The parameters that SET does not set, and the next step."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """The stack to deploy. For multiple rotations, ``secret`` and ``parameter`` are empty.

    ``code`` is the path of a downloaded zip, empty to build the zip.
    """

    stack: str
    bucket: str
    secret: str
    parameter: str
    settings: Mapping[str, str]
    tags: Mapping[str, str]
    code: str


def read(variables: Mapping[str, str], template: str) -> Request:
    """Return the request in STACK, SECRET, PARAMETER, BUCKET, SET, TAGS and CODE; raises Problem."""
    given = {name: value.strip() for name, value in variables.items()}
    settings = _settings(given.get("SET", ""), rules(template))
    of_one_rotation = () if settings.get("RotationsPath") else ("SECRET", "PARAMETER")
    if missing := [name for name in ("STACK", *of_one_rotation, "BUCKET") if not given.get(name)]:
        are = "is" if len(missing) == 1 else "are"
        raise Problem(f"{' and '.join(missing)} {are} missing", EXAMPLE)
    code = given.get("CODE")
    if code is not None and not (code and code.isprintable()):  # a built zip must not replace a release
        step = "set it to the path of a release's zip, or remove CODE to build the zip"
        raise Problem("CODE is not a path", step)
    return Request(
        stack=stacks.check_name(given["STACK"], "deploy"),
        bucket=_matching("BUCKET", given["BUCKET"], *pattern(template, "CodeBucket")),
        secret=_matching(
            *("SECRET", given.get("SECRET", ""), _SECRET.pattern, "is not the name or the ARN of a secret"),
            next_step="do not set it to the secret's value; for example: SECRET=healthwise/client",
        ),
        parameter=_matching("PARAMETER", given.get("PARAMETER", ""), *pattern(template, "ParameterName")),
        settings=settings,
        tags=_tags(given.get("TAGS", "")),
        code=code or "",
    )


def check_parameters(
    template: str, stack: str, parameters: Mapping[str, str], region: str, account: str
) -> None:
    """Raise Problem for parameters that AWS would refuse only after creating other resources."""
    _check_paths(parameters)
    check_targets(stack, parameters, region, account)
    check_regions(parameters, region)
    _check_replicas(template, parameters, region)


def _check_paths(parameters: Mapping[str, str]) -> None:
    """Raise Problem if the rotations' documents and tokens are below one path."""
    documents, tokens = (f"{parameters.get(name, '')}/" for name in ("RotationsPath", "ParameterPrefix"))
    if "/" in (documents, tokens):
        return
    if documents.startswith(tokens):
        reason = "the function could overwrite the documents, which decide where secrets are sent"
    elif tokens.startswith(documents):
        reason = "the function would read the tokens as documents"
    else:
        return
    step = "use separate paths, such as RotationsPath=/rotator/rotations ParameterPrefix=/healthwise"
    raise Problem(f"one of RotationsPath and ParameterPrefix contains the other: {reason}", step)


def check_targets(stack: str, parameters: Mapping[str, str], region: str, account: str) -> None:
    """Raise Problem if a target cannot receive the stack's change events.

    A target must be in its rule's Region. In another account it needs a role, which the stack does not have.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html
    """
    names = ("ChangeFunctionArn", "ChangeQueueArn", "RedeployService")
    targets = {name: parameters[name] for name in names if parameters.get(name)}
    # A rule, which is named after the stack, has at most 64 characters:
    # https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
    longest = 64 - len("-token-changed")
    if targets and len(stack) > longest:
        step = f"use a shorter name, or remove {' and '.join(targets)}"
        raise Problem(f"STACK may have at most {longest} characters in a stack with change events", step)
    for name, arn in targets.items():
        place = arn.split(":")[3:5]
        if len(place) == 2 and place != [region, account]:
            raise Problem(
                f"{name} is in {place[0]} of account {place[1]}, but the stack is in {region} of {account}",
                "set it to a target in the Region and account of the stack, which can forward the event",
            )


def check_regions(parameters: Mapping[str, str], region: str) -> None:
    """Raise Problem if a resource is in another Region or partition, where the stack cannot use it."""
    own = [region, aws_client.partition_of(region)]
    for name, arn in parameters.items():
        place = arn.split(":")[3:0:-2] if name.endswith("Arn") else []
        for here, there in zip(own, place, strict=False):
            if there and there != here:  # an ARN of IAM has no Region
                step = f"set it to an ARN in {here}, or deploy the stack in {there}"
                raise Problem(f"{name} is in {there}, but the stack is in {here}", step)


def _check_replicas(template: str, parameters: Mapping[str, str], region: str) -> None:
    """Raise Problem if the replica Regions cannot hold replicas of the tokens of this stack."""
    given = parameters.get("ReplicaRegions", "")
    _matching("ReplicaRegions", given, *pattern(template, "ReplicaRegions"), next_step="correct it in SET")
    names = given.split(",") if given else []
    own = aws_client.partition_of(region)
    for name in names:
        partition = aws_client.partition_of(name)
        if name == region:
            what, step = f"{name}, the stack's own Region", f"remove {name} from ReplicaRegions"
        elif names.count(name) > 1:
            what, step = f"{name} twice", "remove one of the two"
        # A misspelled name has a partition, too.
        elif not partition or name not in aws_client.session().get_available_regions("ssm", partition):
            what = f"{name}, which is not a Region"
            step = "correct the name, or upgrade botocore in .venv if the Region is new"
        elif partition != own:
            what = f"{name}, which is in another AWS partition than {region}"
            step = f"remove {name}, and deploy a separate stack in its partition"
        else:
            continue
        raise Problem(f"ReplicaRegions names {what}", step)
    key = parameters.get("ParameterKmsKeyArn", "")
    if names and key and not is_multi_region_key(key):
        raise Problem(
            "ParameterKmsKeyArn is a single-Region key, which cannot encrypt the tokens in ReplicaRegions",
            "set it to a multi-Region key with replicas in these Regions, or remove it to use aws/ssm",
        )


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise Problem for a tag that the CLI could take for an option or a file."""
    if not all(map(_TAG.fullmatch, [*tags, *tags.values()])):
        step = 'use letters, digits and _ . : / = + @ - only, and do not begin with "-" or with "...://"'
        raise Problem("TAGS has a tag that cannot be passed to the AWS CLI", step)


def _matching(variable: str, value: str, pattern: str, sentence: str, *, next_step: str = EXAMPLE) -> str:
    """Return a variable's value if it is empty or matches the pattern; the sentence says what it must be."""
    if value and not re.fullmatch(pattern, value):
        raise Problem(f"{variable} {sentence}", next_step)
    return value


def _settings(text: str, known: Container[str]) -> dict[str, str]:
    """Return the values in "Name=value Name2=value2"; every name must be a parameter of the template."""
    pairs = _SETTING.findall(text)
    if text.strip() and (not pairs or not _SETTING.match(text)):
        step = 'write SET="Name=value Name2=value2", with the names in infra/template.yaml'
        raise Problem("SET is not valid", step)
    settings: dict[str, str] = {}
    for name, value in pairs:
        if name in _NOT_IN_SET:
            raise Problem(f"{name} cannot be in SET", _NOT_IN_SET[name])
        if name not in known:
            raise Problem(f"the template has no parameter {name}", "see Parameters in infra/template.yaml")
        if name in settings:
            raise Problem(f"{name} is in SET twice", "remove one of the two")
        settings[name] = value
    try:
        is_object = isinstance(json.loads(settings.get("TokenRequestParams", "{}")), dict)
    except ValueError:
        is_object = False
    if not is_object:
        step = """write TokenRequestParams={"expiration": "86400"}"""
        raise Problem("TokenRequestParams is not a JSON object", step)
    return settings


def _tags(text: str) -> dict[str, str]:
    """Return the tags in "key=value key2=value2". Keys and values have no spaces."""
    tags: dict[str, str] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not key or not equals:
            step = 'write TAGS="key=value key2=value2"; keys and values have no spaces'
            raise Problem("TAGS is not valid", step)
        tags[key] = value
    check_tags(tags)
    return tags
