"""The examination: every check in its order; each result is yielded before the next check begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
from urllib.parse import urlsplit

from rotator.doctor.check import Check, NotChecked, State, carry_out
from rotator.doctor.context import Instruments, Subject
from rotator.doctor.rotation import CHECKS as OF_A_ROTATION
from rotator.doctor.rotation import RotationChecks
from rotator.doctor.stack import CHECKS as OF_THE_STACK
from rotator.doctor.stack import StackChecks
from rotator.doctor.stored_state import check_replicas, check_stored, read_stored_for_display
from rotator.errors import RotatorError, SettingsError
from rotator.fleet.state_reader import StoredByName
from rotator.oauth.dates import http_date
from rotator.renewal import policy
from rotator.renewal.durations import describe_seconds, seconds_until
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Rotation, Stored

SETTINGS = "settings"
GUARANTEE = "guarantee"
IDENTITY = "AWS identity"
CLOCK = "clock"
STORED = "stored token"

AWS = "AWS"

LARGEST_SKEW_SECONDS = 60.0
"""The tolerated difference. AWS tolerates five minutes, but a token's lifetime is counted in seconds."""


def examine(subject: Subject | RotatorError, tools: Instruments) -> Iterator[Check]:
    """Yield every check of the subject; if its settings cannot be read, only the checks that need none.

    Nothing is written to AWS, but a token is requested unless the options forbid it. Calls to AWS need the
    check of the caller's identity, and comparisons with the time those of identity and clock (``timed``).
    """
    tools = replace(tools, reach=cache(tools.reach))
    identity = carry_out(IDENTITY, lambda: _identity(tools))
    if isinstance(subject, RotatorError):
        yield from _without_settings(subject, identity, tools)
        return
    rotations = subject.fleet.rotations
    found: StoredByName = {rotation.name: Stored() for rotation in rotations}
    if identity.state is State.OK:  # the first checks need the stored lifetimes
        found = read_stored_for_display(rotations, subject.ports.parameters, now=tools.now())
    yield from _settings(subject)
    guarantees = []
    for rotation in rotations:
        check = partial(_guarantee, rotation, found[rotation.name], subject.settings.guarantee)
        guarantees.append(carry_out(GUARANTEE, check, rotation=rotation.name))
    yield from guarantees
    yield identity
    clock = carry_out(CLOCK, lambda: _clocks(rotations, tools))
    yield clock
    # If no clock could be compared, the checks that depend on the time are still useful.
    timed = (identity,) if clock.state is State.SKIPPED else (identity, clock)
    for rotation, guarantee in zip(rotations, guarantees, strict=True):
        checks = RotationChecks(rotation, found[rotation.name], subject, tools)
        yield from checks.all(identity, timed, guarantee)
    yield from StackChecks(subject, tools).all(identity, timed)
    for rotation in rotations:
        check = partial(check_stored, rotation, found[rotation.name], tools.now())
        yield carry_out(STORED, check, needs=timed, rotation=rotation.name)
    yield from check_replicas(rotations, subject.replicas, found, tools.now(), timed)


def exit_code(checks: Iterable[Check]) -> int:
    """Return 0 if no check failed, 2 if the settings or the guarantee failed, 1 otherwise."""
    failed = {check.name for check in checks if check.state is State.FAILED}
    if failed & {SETTINGS, GUARANTEE}:
        return 2
    return 1 if failed else 0


def _without_settings(error: RotatorError, identity: Check, tools: Instruments) -> Iterator[Check]:
    def fail() -> str:
        raise error

    # Settings in AWS, those of a stack or in rotation documents, cannot be read without an identity.
    needs = () if isinstance(error, SettingsError) else (identity,)
    settings = carry_out(SETTINGS, fail, needs=needs)
    yield settings
    yield carry_out(GUARANTEE, str, needs=(settings,))
    yield identity
    yield carry_out(CLOCK, lambda: _clocks((), tools))
    for name in (*OF_A_ROTATION, *OF_THE_STACK, STORED):
        yield carry_out(name, str, needs=(settings,))


def _settings(subject: Subject) -> Iterator[Check]:
    """Yield one passed check for all valid rotations, and a failed check for each invalid document."""
    names = [rotation.name for rotation in subject.fleet.rotations]
    if names:
        rotations = f"the rotation {names[0]}" if len(names) == 1 else f"{len(names)} rotations"
        path = subject.settings.rotations_path
        under = f" under {path}" if path else ""
        source = f"the stack {subject.stack}" if subject.stack else "the environment"
        yield Check(name=SETTINGS, state=State.OK, found=f"{rotations}{under}, read from {source}")
    for name, error in subject.fleet.broken:
        yield Check(
            name=SETTINGS, state=State.FAILED, found=error.problem, advice=error.advice, rotation=name
        )


def _guarantee(rotation: Rotation, stored: Stored | RotatorError, guarantee: Guarantee) -> str:
    """Check the guarantee to consumers for the shorter of the requested and the stored token's lifetime."""
    status = None if isinstance(stored, RotatorError) else stored.token_status
    lifetimes = (status.lifetime if status else None, policy.asked_lifetime(rotation))
    lifetime = min((each for each in lifetimes if each is not None), default=None)
    if lifetime is None:
        raise NotChecked("the lifetime of this rotation's tokens is not known yet")
    if problem := guarantee.problem(lifetime, rotation.renew_at):
        raise problem
    least = guarantee.guaranteed_lifetime(lifetime, rotation.renew_at)
    return (
        f"consumers read tokens that are valid for at least {describe_seconds(least)} "
        f"and cache them for {describe_seconds(guarantee.consumer_cache)}"
    )


def _identity(tools: Instruments) -> str:
    caller = tools.inspector.identity()
    return f"account {caller.account}, {caller.arn}, Region {caller.region}"


def _clocks(rotations: Sequence[Rotation], tools: Instruments) -> str:
    """Compare this machine's clock with the servers. A server without an answer fails another check."""
    skews = [
        (server, seconds_until(time, requested_at))
        for server, date, requested_at in _dates(rotations, tools)
        if date and (time := http_date(date))
    ]
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


def _dates(rotations: Sequence[Rotation], tools: Instruments) -> Iterator[tuple[str, str | None, datetime]]:
    """Yield each server that answers, its ``Date`` header in whole seconds, and the time of the request."""
    requested_at = tools.now()
    with suppress(RotatorError):
        yield AWS, tools.inspector.aws_date(), requested_at
    endpoints = dict.fromkeys((each.token_endpoint, each.ca_parameter_name) for each in rotations)
    for endpoint, ca_parameter_name in endpoints:
        answer = tools.reach(endpoint, ca_parameter_name)
        if not isinstance(answer, RotatorError):
            yield urlsplit(endpoint).netloc, answer.date, answer.requested_at
