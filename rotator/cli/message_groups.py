"""Messages about multiple rotations: what is true of several of them is shown once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

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


def texts(messages: Iterable[Message], warnings: Iterable[str]) -> Iterator[Text]:
    """Yield a few lines for each reason, in the order of their first messages; then the warnings."""
    groups = defaultdict[Hashable, list[Message]](list)
    for message in messages:
        groups[message.reason].append(message)
    for group in groups.values():
        yield from map(Text, _lines_of(group))
    for warning in warnings:
        yield Text("warning: ", style="yellow") + Text(warning)


def _lines_of(group: Sequence[Message]) -> Iterator[str]:
    shown, more = group[:MAX_SHOWN], len(group) - MAX_SHOWN
    and_more = f"and {more:,} more" if more > 0 else ""
    if len({message.text for message in group}) == 1:
        names = ", ".join(message.rotation for message in shown)
        yield f"{f'{names} {and_more}'.rstrip()}: {group[0].text}{_worst_outlook(group)}"
        return
    for message in shown:
        yield f"{message.rotation}: {message.text}{_worst_outlook([message])}"
    if and_more:
        yield f"{and_more} for the same reason{_worst_outlook(group)}"


def _worst_outlook(group: Sequence[Message]) -> str:
    worst = min(group, key=lambda message: message.seconds_remaining or 0)
    if not worst.outlook:
        return ""
    return f"; at worst: {worst.outlook}" if len(group) > 1 else f"; {worst.outlook}"
