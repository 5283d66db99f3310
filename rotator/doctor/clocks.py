"""The check of clocks: this machine's clock, compared with AWS and the token endpoints."""

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

LARGEST_SKEW_SECONDS = 60.0
"""The tolerated difference. AWS tolerates five minutes, but a token's lifetime is counted in seconds."""

AWS = "AWS"


def compare_clocks(rotations: Sequence[Rotation], tools: Instruments) -> str:
    """Return the differences of the clocks. A server that does not answer fails another check.

    Raises:
        RotatorError: A difference is too large.
        NotChecked: No server returned its time.
    """
    skews = list(_skews(rotations, tools))
    if not skews:
        raise NotChecked("neither AWS nor a token endpoint returned the time")
    for server, skew in skews:
        if abs(skew) > LARGEST_SKEW_SECONDS:
            behind = "behind" if skew > 0 else "ahead of"
            advice = "set this machine's clock, preferably by NTP"
            if server != AWS and skews[0][0] == AWS:  # AWS was compared first, and agrees
                advice = "report the endpoint's wrong clock to the provider; AWS agrees with this machine"
            raise RotatorError(
                f"this machine's clock is {describe_seconds(abs(skew))} {behind} {server}'s", advice=advice
            )
    return "differs by " + ", ".join(f"{describe_seconds(abs(skew))} from {server}" for server, skew in skews)


def _skews(rotations: Sequence[Rotation], tools: Instruments) -> Iterator[tuple[str, float]]:
    """Yield each server, and the seconds by which its clock is ahead. HTTP dates have whole seconds."""
    requested_at = tools.now()
    with suppress(RotatorError):
        yield from _skew(AWS, tools.inspector.aws_date(), requested_at)
    endpoints = dict.fromkeys((each.token_endpoint, each.ca_parameter_name) for each in rotations)
    for endpoint, ca_parameter_name in endpoints:
        with suppress(RotatorError):
            answer = tools.reach(endpoint, ca_parameter_name)
            yield from _skew(urlsplit(endpoint).netloc, answer.date, answer.requested_at)


def _skew(server: str, date: str | None, requested_at: datetime) -> Iterator[tuple[str, float]]:
    if date and (time := http_date(date)):
        yield server, seconds_until(time, requested_at)
