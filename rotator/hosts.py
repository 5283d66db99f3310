"""Hosts of token endpoints: what is known of each in a run, and how much it is given to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

OF_ONE_HOST = 36
"""Renewals that may be under way with the same host, however slow it is."""


class Known(Enum):
    """What is known of a host."""

    NOTHING = "it is to be asked before the next renewal"
    ASKED = "somebody asks it just now"
    UP = "it answers"


@dataclass
class Host:
    """A host of token endpoints. ``due`` counts all that the run began with.

    It is ``silent`` if it did not answer a contact: then one renewal at a time finds out whether it is down.
    """

    known: Known = Known.UP
    silent: bool = False
    due: int = 0
    under_way: int = 0


def host_of(url: str) -> str:
    """The name of an address's host, with its port."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 443}"
