"""This machine's clock against those of AWS and of the token endpoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from urllib.parse import urlsplit

from rotator.doctor.check import NotChecked
from rotator.doctor.context import Instruments
from rotator.errors import RotatorError
from rotator.oauth.http_date import http_date
from rotator.renewal.durations import describe_seconds, seconds_until
from rotator.renewal.models import Rotation

LARGEST_SKEW = 60.0
"""Seconds between two clocks. AWS bears five minutes, but a token's life is counted in seconds."""

AWS = "AWS"


def compare_clocks(rotations: Sequence[Rotation], tools: Instruments) -> str:
    """Say how far the clocks differ.

    Raises RotatorError if that is too much, NotChecked if nobody tells the time. Who cannot be
    asked is the business of another check.
    """
    skews = list(_skews(rotations, tools))
    if not skews:
        raise NotChecked("neither AWS nor a token endpoint told the time")
    for who, skew in skews:
        if abs(skew) > LARGEST_SKEW:
            behind = "behind" if skew > 0 else "ahead of"
            raise RotatorError(
                f"this machine's clock is {describe_seconds(abs(skew))} {behind} {who}'s",
                advice=_advice(who, skews),
            )
    return ", ".join(f"{describe_seconds(abs(skew))} off {who}'s" for who, skew in skews)


def _skews(rotations: Sequence[Rotation], tools: Instruments) -> Iterator[tuple[str, float]]:
    """Whose clock is how many seconds ahead of this machine's. Dates of HTTP are whole seconds."""
    asked_at = tools.now()
    with suppress(RotatorError):
        yield from _skew(AWS, tools.inspector.aws_date(), asked_at)
    for endpoint in dict.fromkeys(rotation.token_endpoint for rotation in rotations):
        with suppress(RotatorError):
            answer = tools.reach(endpoint)
            yield from _skew(urlsplit(endpoint).netloc, answer.date, answer.requested_at)


def _skew(who: str, date: str | None, asked_at: datetime) -> Iterator[tuple[str, float]]:
    time = http_date(date) if date else None
    if time:
        yield who, seconds_until(time, asked_at)


def _advice(who: str, skews: Sequence[tuple[str, float]]) -> str:
    aws_agrees = who != AWS and any(other == AWS for other, _ in skews)
    if aws_agrees:
        return "AWS agrees with this machine: have the endpoint's operator set that clock"
    return "set this machine's clock, best by NTP"
