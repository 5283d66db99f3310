"""The template as the AWS CLI packages it: with the zip's path instead of a bucket and a key.

It is changed as text, so that everything else stays as it was reviewed. The committed template has no path,
because cfn-lint refuses a path. It can also be deployed without this module.
"""

from __future__ import annotations

import json
import re

CODE_PARAMETERS = ("CodeBucket", "CodeKey")

_PARAMETERS = re.compile(r"^Parameters:\n(?:[ #].*\n|\n)+", re.MULTILINE)
_CODE = re.compile(r"^( +)Code:\n(?:\1 .*\n)+", re.MULTILINE)
_SENTENCE = re.compile(r"""(?:ConstraintDescription|AssertDescription): (["']?)(.+?)\.?\1$""", re.MULTILINE)


def parameters_section(template: str) -> str:
    """Return the template's section Parameters, empty if it has none."""
    section = _PARAMETERS.search(template)
    return section[0] if section else ""


def parameter_names(template: str) -> tuple[str, ...]:
    """Return the names of the template's parameters, in its order."""
    return tuple(re.findall(r"^  (\w+):", parameters_section(template), re.MULTILINE))


def defaults(template: str) -> dict[str, str]:
    """Return the defaults of the template's parameters that have one."""
    found = re.findall(
        r"^  (\w+):\n(?:    .*\n)*?    Default: (.*)\n", parameters_section(template), re.MULTILINE
    )
    return {name: json.loads(value) if value.startswith('"') else value for name, value in found}


def rule(template: str, name: str) -> tuple[str, str]:
    """Return a parameter's AllowedPattern, which the whole value must match, and its sentence."""
    found = re.search(
        rf"^  {name}:\n(?:    .*\n)*?    AllowedPattern: (\".+\")\n"
        r"(?:    .*\n)*?    ConstraintDescription: (.+)\n",
        template,
        re.MULTILINE,
    )
    if not found:
        raise ValueError(f"the template must have a pattern and a sentence for {name}")
    return json.loads(found[1]), found[2]  # the template uses only the escapes that YAML and JSON share


def with_local_code(template: str, path: str) -> str:
    """Return the template with the function's code at a path, without the parameters for bucket and key.

    Raises:
        ValueError: The template has another structure.
    """
    changed, count = _CODE.subn(lambda code: f"{code[1]}Code: {path}\n", template)
    for name in CODE_PARAMETERS:
        changed = re.sub(rf"^  {name}:\n(?:    .*\n)+", "", changed, flags=re.MULTILINE)
        changed = re.sub(rf"\b{name}, |, {name}\b|^ +- {name}\n", "", changed, flags=re.MULTILINE)
    if count != 1 or any(name in changed for name in CODE_PARAMETERS):
        raise ValueError("the template must have one function with its code in CodeBucket and CodeKey")
    return changed


def own_words(template: str, said: str) -> tuple[str, ...]:
    """Return the parameters' names and the template's sentences that an error text of AWS contains.

    Only these may be printed. The rest of the text may quote a value.
    """
    sentences = [sentence for _quote, sentence in _SENTENCE.findall(template) if sentence in said]
    for sentence in sentences:
        said = said.replace(sentence, "")
    names = [name for name in parameter_names(template) if re.search(rf"\b{name}\b", said)]
    return tuple(dict.fromkeys([*names, *sentences]))
