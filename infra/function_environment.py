"""The size of the function's environment variables, read from the template as text.

Lambda limits their total size, and reports an excess only after CloudFormation has created other resources:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from infra.command import Problem
from infra.template_parameters import rules

MAX_BYTES = 4096
_SECTION = re.compile(r"^ +Variables:.*\n +Fn::If:\n +- One\n((?: {10}.*\n)+)", re.MULTILINE)
_VARIABLE = re.compile(r"^(?: {12})?(\w+): (.+)$", re.MULTILINE)
_WORD = re.compile(r"\w+")
_LONGEST_KEY_ARN = f"arn:aws-us-gov:kms:us-gov-east-1:123456789012:key/{'k' * 36}"
_LONGEST_QUEUE_URL = f"https://sqs.ap-southeast-2.amazonaws.com.cn/123456789012/{'q' * 80}"


def check(template: str, parameters: Mapping[str, str]) -> None:
    """Raise Problem if Lambda would refuse the environment variables with these parameters."""
    if (found := size(template, parameters)) <= MAX_BYTES:
        return
    values = _values(template, parameters)
    names = {name for text in _variables(template, values).values() for name in _WORD.findall(text)}
    longest = sorted(names & values.keys(), key=lambda name: len(values[name]), reverse=True)[:3]
    raise Problem(
        f"the function's environment variables have {found:,} bytes, but Lambda allows {MAX_BYTES:,}; the "
        f"longest parameters are {', '.join(f'{name} ({len(values[name]):,})' for name in longest)}",
        "shorten these parameters",
    )


def size(template: str, parameters: Mapping[str, str]) -> int:
    """Return the largest possible size of the variables as JSON in bytes, which is what Lambda limits."""
    values = _values(template, parameters)
    if values.get("CreateKey") == "true":
        values["Key"] = _LONGEST_KEY_ARN
    if values.get("Workers") != "0":
        values["Work"] = _LONGEST_QUEUE_URL
    variables = {name: _value(text, values) for name, text in _variables(template, values).items()}
    return len(json.dumps(variables, separators=(",", ":"), ensure_ascii=False).encode())


def _values(template: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters' values, and the defaults of those that are not given."""
    defaults = {name: rule["Default"] for name, rule in rules(template).items() if "Default" in rule}
    return {**defaults, **parameters}


def _value(text: str, values: Mapping[str, str]) -> str:
    """Return a variable's value. A function has the values of all parameters and resources it names."""
    if text.startswith("!Sub "):
        return re.sub(r"\$\{(\w+)}", lambda name: values.get(name[1], ""), json.loads(text[len("!Sub ") :]))
    return "".join(values.get(name, "") for name in _WORD.findall(text))


def _variables(template: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return the template's text for each of the function's variables."""
    section = _SECTION.search(template)
    if not section:
        raise ValueError("the template must have the function's variables for one rotation and for many")
    one, many = re.split(r"^ {10}- ", section[1], flags=re.MULTILINE)[1:]
    return dict(_VARIABLE.findall(many if values.get("RotationsPath") else one))
