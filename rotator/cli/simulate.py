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
from rotator.simulation.world import World


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


def _duration(low: int) -> _Value:
    return _Value("duration", validators.seconds(low, 366 * 86_400))


_DAYS = _Value("days", validators.number(0.01, 36_500, "a number from 0.01 to 36500"))
_FRACTION = _Value("fraction", validators.number(0.1, 0.95, "a fraction from 0.1 to 0.95"))
_SHARE = _Value("share", validators.number(0, 1, "a share from 0 to 1"))
_SKEW = _Value("seconds", validators.number(-86_400, 86_400, "a number of seconds from -86400 to 86400"))
_PROVIDER = click.Choice([kind.value for kind in Behaviour])


def _option(name: str, kind: Any, default: Any, text: str, setting: str | None = None) -> Callable[..., Any]:
    """Return an option. The help shows its default unless that is 0; the variable ``setting`` replaces it."""
    return click.option(
        name, type=kind, default=default, show_default=default != "0", envvar=setting, help=text
    )


@click.command("simulate")
@_option("--lifetime", _duration(1), "24h", "Lifetime of a token.")
@_option("--schedule", _duration(60), "5m", "Time between scheduled runs.", "ROTATOR_SCHEDULE_INTERVAL")
@_option(
    *("--renew-at", _FRACTION, "0.667"),
    *("Fraction of the lifetime at which a token is renewed.", "ROTATOR_RENEW_AT"),
)
@_option("--cache", _duration(0), "5m", "Time for which consumers cache a token.", "ROTATOR_CONSUMER_CACHE")
@_option("--outage", _duration(0), "0", "Length of each outage of the endpoint, such as 6h. Default: none.")
@_option("--every", _duration(1), "7d", "Time from the beginning of one outage to the next.")
@_option("--days", _DAYS, "30", "Days to simulate.")
@_option("--seed", int, 1, "The same seed gives the same result.")
@_option("--provider", _PROVIDER, "steady", "Behaviour of the provider that issues the tokens.")
@_option("--clock-skew", _SKEW, "0", "Seconds by which the endpoint's clock is ahead; negative if behind.")
@_option("--endpoint-failures", _SHARE, "0", "Share of token requests that fail at random, from 0 to 1.")
@_option("--aws-failures", _SHARE, "0", "Share of AWS calls that fail, some of them after taking effect.")
@_option("--crashes", _SHARE, "0", "Share of calls at which the process is killed.")
@_option("--missed", _SHARE, "0", "Share of scheduled runs that are not started.")
@_option("--duplicated", _SHARE, "0", "Share of scheduled runs that are started twice.")
@_option("--delay", _duration(0), "0", "Longest delay of a scheduled run, such as 30s. Default: none.")
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
        plot(report.world, picture)
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
    console.print(f"{_summary(report.world)}\n", soft_wrap=True)
    console.print(plain_table((), _rows(report)))
    world = report.world
    bad = not world.consumers.history or world.consumers.expired_seconds or world.violations
    console.print(f"\n{headline(world).capitalize()}.", style="red" if bad else "green", soft_wrap=True)
    for violation in world.violations:
        console.print(f"violation: {violation}", style="red", soft_wrap=True)


def _summary(world: World) -> str:
    """Return in a sentence what was simulated."""
    scenario, guarantee = world.scenario, world.scenario.guarantee
    summary = (
        f"{scenario.days:g} days with tokens of {describe_seconds(scenario.lifetime)} "
        f"renewed at {scenario.rotation.renew_at:g} of their lifetime, "
        f"a run every {describe_seconds(guarantee.schedule_interval)}, "
        f"consumers that cache for {describe_seconds(guarantee.consumer_cache)}"
    )
    if scenario.outage:
        count, outage = len(world.provider.outages), describe_seconds(scenario.outage)
        summary += f", and {count} outage{'s' * (count != 1)} of {outage} at the worst moment"
    faults = [f"{name} {rate:g}" for name, rate in asdict(scenario.rates).items() if rate]
    faults += [f"clock skew {scenario.clock_skew:g} s"] * bool(scenario.clock_skew)
    faults += [f"provider {scenario.behaviour}"] * (scenario.behaviour is not Behaviour.STEADY)
    return summary + (f"; {', '.join(faults)}." if faults else ".")


def _rows(report: Report) -> Iterator[tuple[str, str]]:
    world, scenario = report.world, report.world.scenario
    least = world.consumers.least_remaining_seconds
    guaranteed = describe_seconds(replace(scenario, outage=0).guaranteed_lifetime)
    if scenario.outage:
        guaranteed += f", or {describe_seconds(scenario.guaranteed_lifetime)} with such an outage"
    how = "computed, and confirmed by simulating it" if report.longest_outage_confirmed else "NOT confirmed"
    if scenario.behaviour is not Behaviour.STEADY or scenario.rates != NO_FAULTS:
        how += ", with a steady provider and no other faults"
    shortest = "no token was ever published" if least is None else describe_seconds(least)
    revoked, late = world.consumers.revoked_seconds, world.outcomes["failed_late"]
    yield "guaranteed remaining lifetime", guaranteed
    yield "least remaining lifetime", shortest
    yield "expired consumer-seconds", f"{world.consumers.expired_seconds:,.0f}"
    if revoked:
        yield "seconds with a revoked token", f"{revoked:,.0f}"
    yield "token requests", f"{world.provider.requests:,}"
    yield "AWS calls", f"{world.aws_calls:,}"
    yield "runs", f"{world.runs:,}; {world.failed_runs:,} failed, {late:,} of them late"
    yield "longest outage survived", f"{describe_seconds(scenario.longest_outage)} ({how})"
