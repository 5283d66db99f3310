"""``rotator simulate``: simulates outages and shows a report, JSON or a picture."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from rotator.cli.console import plain_table, standard_output
from rotator.cli.options import FAILED, json_option, print_json
from rotator.config import validators
from rotator.config.validators import InvalidValue
from rotator.renewal.durations import describe_seconds
from rotator.renewal.guarantee import Guarantee
from rotator.simulation.plot import check_picture, plot
from rotator.simulation.scenario import NO_FAULTS, Behaviour, Rates, Scenario
from rotator.simulation.simulate import Report, headline, simulate

MAX_SECONDS = 366 * 24 * 3600


class _Value(click.ParamType[Any]):
    """An option that is read by the validator of the setting with the same meaning."""

    def __init__(self, name: str, read: Callable[[Any], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._read(value)
        except InvalidValue as refused:
            self.fail(f"{value!r} is not {refused}", param, ctx)


def _duration(low: int, high: int = MAX_SECONDS) -> _Value:
    return _Value("duration", validators.seconds(low, high))


def _share(name: str, help_text: str) -> Callable[..., Any]:
    share = _Value("share", validators.number(0, 1, "a share from 0 to 1"))
    return click.option(name, type=share, default="0", help=help_text)


_DAYS = _Value("days", validators.number(0.01, 36_500, "a number from 0.01 to 36500"))
_SKEW = _Value("seconds", validators.number(-86_400, 86_400, "a number of seconds from -86400 to 86400"))


@click.command("simulate")
@click.option("--lifetime", type=_duration(1), default="24h", show_default=True, help="Lifetime of a token.")
@click.option(
    "--schedule", type=_duration(60), default="5m", show_default=True,
    envvar="ROTATOR_SCHEDULE_INTERVAL", help="Time between scheduled runs.",
)  # fmt: skip
@click.option(
    "--renew-at", type=_Value("fraction", validators.number(0.1, 0.95, "a fraction from 0.1 to 0.95")),
    default="0.667", show_default=True, envvar="ROTATOR_RENEW_AT",
    help="Fraction of the lifetime at which a token is renewed.",
)  # fmt: skip
@click.option(
    "--cache", type=_duration(0), default="5m", show_default=True,
    envvar="ROTATOR_CONSUMER_CACHE", help="Time for which consumers cache a token.",
)  # fmt: skip
@click.option(
    "--outage",
    type=_duration(0),
    default="0",
    help="Length of each outage of the endpoint, such as 6h. Default: none.",
)
@click.option(
    "--every",
    type=_duration(1),
    default="7d",
    show_default=True,
    help="Time from the beginning of one outage to the next.",
)
@click.option("--days", type=_DAYS, default="30", show_default=True, help="Days to simulate.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same result.")
@click.option(
    "--provider", type=click.Choice([kind.value for kind in Behaviour]), default="steady", show_default=True,
    help="Behaviour of the provider that issues the tokens.",
)  # fmt: skip
@click.option(
    "--clock-skew",
    type=_SKEW,
    default="0",
    help="Seconds by which the endpoint's clock is ahead; negative if behind.",
)
@_share("--endpoint-failures", "Share of token requests that fail at random, from 0 to 1.")
@_share("--aws-failures", "Share of AWS calls that fail, some of them after taking effect.")
@_share("--crashes", "Share of calls at which the process is killed.")
@_share("--missed", "Share of scheduled runs that are not started.")
@_share("--duplicated", "Share of scheduled runs that are started twice.")
@click.option(
    "--delay",
    type=_duration(0),
    default="0",
    help="Longest delay of a scheduled run, such as 30s. Default: none.",
)
@click.option("--plot", "picture", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.svg|png",
              help="Also draw the remaining lifetime over time into this file.")  # fmt: skip
@json_option
def command(picture: Path | None, *, as_json: bool, **options: Any) -> None:
    """Simulate outages and show what consumers notice.

    Runs the production code in virtual time, without AWS. Each outage begins at the worst moment: with the
    request that would have renewed the token. Give a DURATION as 90s, 5m, 24h or 7d.

    \b
    Example:
      rotator simulate --lifetime 24h --schedule 5m --outage 6h
    """  # noqa: D301
    if picture:
        check_picture(picture)
    with _progress() as on_progress:
        report = simulate(_scenario(**options), on_progress)
    if as_json:
        print_json(report.to_dict())
    else:
        _print(standard_output(), report)
    if picture:
        plot(report, picture)
    if report.world.violations:
        sys.exit(FAILED)


def _scenario(**options: Any) -> Scenario:
    base = Scenario()
    rates = {name: options[name] for name in ("crashes", "missed", "duplicated", "delay")}
    return replace(
        base,
        rotation=replace(base.rotation, renew_at=options["renew_at"]),
        lifetime=options["lifetime"],
        guarantee=Guarantee(schedule_interval=options["schedule"], consumer_cache=options["cache"]),
        days=options["days"],
        seed=options["seed"],
        outage=options["outage"],
        outages_every=options["every"],
        rates=Rates(endpoint=options["endpoint_failures"], aws=options["aws_failures"], **rates),
        behaviour=Behaviour(options["provider"]),
        clock_skew=options["clock_skew"],
    )


@contextmanager
def _progress() -> Iterator[Callable[[float], None]]:
    """Show a progress bar on standard error, if that is a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("simulating", total=1.0)
        yield lambda share: progress.update(task, completed=share)


def _print(console: Console, report: Report) -> None:
    console.print(f"{_summary(report)}\n", soft_wrap=True)
    console.print(plain_table((), _rows(report)))
    violations = report.world.violations
    bad = report.least_remaining_seconds is None or report.world.expired_seconds or violations
    colour = "red" if bad else "green"
    console.print(f"\n{headline(report).capitalize()}.", style=colour, soft_wrap=True)
    for violation in violations:
        console.print(f"violation: {violation}", style="red", soft_wrap=True)


def _summary(report: Report) -> str:
    """Return in a sentence what was simulated."""
    scenario = report.scenario
    lifetime, interval, cache, outage = map(
        describe_seconds,
        (
            scenario.lifetime,
            scenario.guarantee.schedule_interval,
            scenario.guarantee.consumer_cache,
            scenario.outage,
        ),
    )
    summary = (
        f"{scenario.days:g} days with tokens of {lifetime} renewed at {scenario.rotation.renew_at:g} "
        f"of their lifetime, a run every {interval}, consumers that cache for {cache}"
    )
    if scenario.outage:
        count = len(report.world.provider.outages)
        summary += f", and {count} outage{'s' * (count != 1)} of {outage} at the worst moment"
    faults = [f"{name} {rate:g}" for name, rate in asdict(scenario.rates).items() if rate]
    faults += [f"clock skew {scenario.clock_skew:g} s"] * bool(scenario.clock_skew)
    faults += [f"provider {scenario.behaviour}"] * (scenario.behaviour is not Behaviour.STEADY)
    return summary + (f"; {', '.join(faults)}." if faults else ".")


def _rows(report: Report) -> Iterator[tuple[str, str]]:
    scenario, world, least = report.scenario, report.world, report.least_remaining_seconds
    guaranteed = describe_seconds(replace(scenario, outage=0).guaranteed_lifetime)
    if scenario.outage:
        guaranteed += f", or {describe_seconds(scenario.guaranteed_lifetime)} with such an outage"
    how = "computed, and confirmed by simulating it" if report.longest_outage_confirmed else "NOT confirmed"
    if scenario.behaviour is not Behaviour.STEADY or scenario.rates != NO_FAULTS:
        how += ", with a steady provider and no other faults"
    revoked, late = world.consumers.revoked_seconds, world.outcomes["failed_late"]
    yield "guaranteed remaining lifetime", guaranteed
    yield (
        "least remaining lifetime",
        "no token was ever published" if least is None else describe_seconds(least),
    )
    yield "expired consumer-seconds", f"{world.expired_seconds:,.0f}"
    if revoked:
        yield "seconds with a revoked token", f"{revoked:,.0f}"
    yield "token requests", f"{world.token_requests:,}"
    yield "AWS calls", f"{world.aws_calls:,}"
    yield "runs", f"{world.runs:,}; {world.failed_runs:,} failed, {late:,} of them late"
    yield "longest outage survived", f"{describe_seconds(scenario.longest_outage)} ({how})"
