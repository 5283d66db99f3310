"""The template's parameters, read as text: an installation for operators has no YAML parser."""

from __future__ import annotations

import json
import re

_SECTION = re.compile(r"^Parameters:\n(?:[ #].*\n|\n)+", re.MULTILINE)
_PARAMETER = re.compile(r"^  (\w+):\n((?:    .*\n)+)", re.MULTILINE)
_RULE = re.compile(r"^    (\w+): (.+)$", re.MULTILINE)
_SENTENCE = re.compile(r"""(?:ConstraintDescription|AssertDescription): (["']?)(.+?)\.?\1$""", re.MULTILINE)


def section(template: str) -> str:
    """Return the template's section Parameters, empty if it has none."""
    found = _SECTION.search(template)
    return found[0] if found else ""


def rules(template: str) -> dict[str, dict[str, str]]:
    """Return the rules of each parameter, such as its Default, in the template's order."""
    return {  # the template uses only the escapes that YAML and JSON share
        name: {key: json.loads(text) if text.startswith('"') else text for key, text in _RULE.findall(lines)}
        for name, lines in _PARAMETER.findall(section(template))
    }


def pattern(template: str, name: str) -> tuple[str, str]:
    """Return a parameter's AllowedPattern, which the whole value must match, and its sentence."""
    rule = rules(template)[name]
    return rule["AllowedPattern"], rule["ConstraintDescription"]


def own_words(template: str, said: str) -> tuple[str, ...]:
    """Return the parameters' names and the template's sentences that an error text of AWS contains.

    Only these may be printed. The rest of the text may quote a value.
    """
    sentences = [sentence for _quote, sentence in _SENTENCE.findall(template) if sentence in said]
    for sentence in sentences:
        said = said.replace(sentence, "")
    names = [name for name in rules(template) if re.search(rf"\b{name}\b", said)]
    return tuple(dict.fromkeys([*names, *sentences]))
