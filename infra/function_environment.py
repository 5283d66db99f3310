"""The size of the function's environment variables, read from the template as text.

Lambda bounds them all together, and says so only when everything else has been created:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from infra.command import Problem
from infra.packaging import defaults

MAX_BYTES = 4096
NAMED = 3
"""In a message: the longest parameters."""

_SECTION = re.compile(r"^ +Variables:.*\n +Fn::If:\n +- One\n((?: {10}.*\n)+)", re.MULTILINE)
_ALTERNATIVE = re.compile(r"^ {10}- ", re.MULTILINE)
_VARIABLE = re.compile(r"^(?: {12})?(\w+): (.+)$", re.MULTILINE)
_WORD = re.compile(r"\w+")

_LONGEST_KEY_ARN = f"arn:aws-us-gov:kms:us-gov-east-1:123456789012:key/{'k' * 36}"
_LONGEST_QUEUE_URL = f"https://sqs.ap-southeast-2.amazonaws.com.cn/123456789012/{'q' * 80}"


def check(template: str, parameters: Mapping[str, str]) -> None:
    """Raise Problem if Lambda would refuse the variables that these parameters make."""
    found = size(template, parameters)
    if found <= MAX_BYTES:
        return
    values = {**defaults(template), **parameters}
    names = {name for text in _variables(template, values).values() for name in _WORD.findall(text)}
    longest = sorted(names & values.keys(), key=lambda name: len(values[name]), reverse=True)[:NAMED]
    raise Problem(
        f"the function's environment variables have {found:,} bytes, and Lambda takes {MAX_BYTES:,}; the "
        f"longest parameters are {', '.join(f'{name} ({len(values[name]):,})' for name in longest)}",
        "shorten these",
    )


def size(template: str, parameters: Mapping[str, str]) -> int:
    """Return how many bytes the variables have as JSON, at most, since Lambda measures that."""
    values = {**defaults(template), **parameters}
    if values.get("CreateKey") == "true":
        values["Key"] = _LONGEST_KEY_ARN
    if values.get("Workers") != "0":
        values["Work"] = _LONGEST_QUEUE_URL
    variables = {name: _value(text, values) for name, text in _variables(template, values).items()}
    return len(json.dumps(variables, separators=(",", ":"), ensure_ascii=False).encode())


def _value(text: str, values: Mapping[str, str]) -> str:
    """Return a variable's value: of functions, the values of all parameters and resources they name."""
    if text.startswith("!Sub "):
        return re.sub(r"\$\{(\w+)}", lambda name: values.get(name[1], ""), json.loads(text[len("!Sub ") :]))
    return "".join(values.get(name, "") for name in _WORD.findall(text))


def _variables(template: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return what the template has for each of the function's variables."""
    section = _SECTION.search(template)
    if not section:
        raise ValueError("the template must have the function's variables for one rotation and for many")
    one, many = _ALTERNATIVE.split(section[1])[1:]
    return dict(_VARIABLE.findall(many if values.get("RotationsPath") else one))
