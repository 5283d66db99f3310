"""Messages about multiple rotations: what is true of several of them is shown once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

MAX_SHOWN = 3
"""Rotations that are named, or whose messages are shown, for one reason."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message about one rotation.

    Attributes:
        rotation: Its name.
        text: What happened, and the next step.
        reason: What equal messages have in common, such as the class of an error and its advice.
        outlook: What it means to consumers, if it is a failure.
        seconds_remaining: The remaining lifetime of its token, None if that is not known.
    """

    rotation: str
    text: str
    reason: Hashable
    outlook: str = ""
    seconds_remaining: float | None = None


def lines(messages: Iterable[Message]) -> Iterator[str]:
    """Return a few lines for each reason, in the order of their first messages."""
    groups: dict[Hashable, list[Message]] = {}
    for message in messages:
        groups.setdefault(message.reason, []).append(message)
    for group in groups.values():
        yield from _lines_of(group)


def _lines_of(group: Sequence[Message]) -> Iterator[str]:
    more = len(group) - MAX_SHOWN
    if len({message.text for message in group}) == 1:
        names = ", ".join(message.rotation for message in group[:MAX_SHOWN])
        yield f"{names}{_and_more(more)}: {group[0].text}{_worst_outlook(group)}"
        return
    for message in group[:MAX_SHOWN]:
        yield f"{message.rotation}: {message.text}{_worst_outlook([message])}"
    if more > 0:
        yield f"{_and_more(more).lstrip()} for the same reason{_worst_outlook(group)}"


def _and_more(count: int) -> str:
    return f" and {count:,} more" if count > 0 else ""


def _worst_outlook(group: Sequence[Message]) -> str:
    worst = min(group, key=lambda message: message.seconds_remaining or 0)
    if not worst.outlook:
        return ""
    return f"; at worst: {worst.outlook}" if len(group) > 1 else f"; {worst.outlook}"
