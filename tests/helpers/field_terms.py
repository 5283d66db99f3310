"""The terms that no text may use, and the field's terms in their place."""

from __future__ import annotations

import re

PRIVATE_TERMS = {
    r"ticks?|ticked|ticking": "scheduled run",
    r"claim(s|ed|ing)?": "lease, to acquire a lease",
    r"tells?|told|telling": "reports, logs, shows, notifies",
    r"ended|ends": "expires, is revoked, clears, times out",
    r"alive|dead(?!-letter)|outlives?|lives on": "valid, expired, revoked",
    r"life|dies|died": "lifetime, expires, crashes",
    r"promis(e|es|ed)": "guarantee",
    r"mend(s|ed)?|heal(s|ed)?": "fix, recover",
    r"nobody|somebody|whoever|anybody": "the caller, the operator, no worker",
    r"hangs?|hanging": "times out, does not respond",
    r"pace": "write rate",
    r"troubled?": "recent failure",
    r"patience": "retry budget",
    r"hand(s|ed)? over": "enqueue",
    r"poisoned": "dead-lettered",
    r"as ever|anew|alike|besides|so many|at the most|meanwhile|whence|shall|by way of": "plain connectives",
}
"""Terms that only this project would understand, and the field's terms in their place."""

_PRIVATE_TERM = {
    re.compile(rf"\b(?:{terms})\b", re.IGNORECASE): instead for terms, instead in PRIVATE_TERMS.items()
}


def private_terms(text: str) -> dict[str, str]:
    """Return the private terms in a text, each with the field's terms in its place."""
    return {
        found[0]: instead for pattern, instead in _PRIVATE_TERM.items() for found in pattern.finditer(text)
    }
