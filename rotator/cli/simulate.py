"""``rotator simulate``: options in, a report, JSON or a picture out."""

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
from rotator.simulation.scenario import Behaviour, Rates, Scenario
from rotator.simulation.simulate import Report, headline, simulate

MAX_SECONDS = 366 * 24 * 3600


class _Value(click.ParamType[Any]):
    """An option read as the setting of the same meaning is."""

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


def _share(*names: str, tells: str) -> Callable[..., Any]:
    return click.option(
        *names, type=_Value("share", validators.number(0, 1, "a share from 0 to 1")), default="0", help=tells
    )


_DAYS = _Value("days", validators.number(0.01, 36_500, "a number from 0.01 to 36500"))
_SKEW = _Value("seconds", validators.number(-86_400, 86_400, "a number of seconds from -86400 to 86400"))


@click.command("simulate")
@click.option(
    "--lifetime", type=_duration(1), default="24h", show_default=True, help="How long a token lives."
)
@click.option(
    "--schedule", type=_duration(60), default="5m", show_default=True,
    envvar="ROTATOR_SCHEDULE_INTERVAL", help="How often the function runs.",
)  # fmt: skip
@click.option(
    "--renew-at", type=_Value("fraction", validators.number(0.1, 0.95, "a fraction from 0.1 to 0.95")),
    default="0.667", show_default=True, envvar="ROTATOR_RENEW_AT",
    help="The fraction of life after which a token is renewed.",
)  # fmt: skip
@click.option(
    "--cache", type=_duration(0), default="5m", show_default=True,
    envvar="ROTATOR_CONSUMER_CACHE", help="For how long consumers keep a token.",
)  # fmt: skip
@click.option("--outage", type=_duration(0), default="0", help="How long the endpoint is down, each time.")
@click.option("--every", type=_duration(1), default="7d", show_default=True, help="How often that happens.")
@click.option("--days", type=_DAYS, default="30", show_default=True, help="How long to simulate.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same result.")
@click.option(
    "--provider", type=click.Choice([kind.value for kind in Behaviour]), default="steady", show_default=True,
    help="What kind of provider issues the tokens.",
)  # fmt: skip
@click.option(
    "--clock-skew",
    type=_SKEW,
    default="0",
    help="Seconds that the endpoint's clock is ahead, or behind if negative.",
)
@_share("--endpoint-failures", tells="The share of token requests that fail at random.")
@_share("--aws-failures", tells="The share of AWS calls that fail, some after doing what was asked.")
@_share("--crashes", tells="The share of calls at which the process dies.")
@_share("--missed", tells="The share of runs that do not come.")
@_share("--duplicated", tells="The share of runs that come twice.")
@click.option("--delay", type=_duration(0), default="0", help="How late runs come at the most.")
@click.option("--plot", "picture", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.svg|png",
              help="Draw the remaining life over time.")  # fmt: skip
@json_option
def command(picture: Path | None, *, as_json: bool, **options: Any) -> None:
    """See what an outage would do to your consumers: the real job, in virtual time.

    Each outage begins at the worst moment, with the request that would have renewed the token.
    """
    if picture:
        check_picture(picture)
    with _progress() as tell:
        report = simulate(_scenario(**options), tell)
    if as_json:
        print_json(report.to_dict())
    else:
        _print(standard_output(), report)
    if picture:
        plot(report, picture)
    if report.broken_promises:
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
    """A bar on the terminal's standard error; nothing where that is no terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("simulating", total=1.0)
        yield lambda share: progress.update(task, completed=share)


def _print(console: Console, report: Report) -> None:
    console.print(f"{_summary(report)}\n", soft_wrap=True)
    console.print(plain_table((), _rows(report)))
    good = not (report.expired_seconds or report.broken_promises) and report.least_remaining_life is not None
    colour = "green" if good else "red"
    console.print(f"\n{headline(report).capitalize()}.", style=colour, soft_wrap=True)
    for promise in report.broken_promises:
        console.print(f"broken promise: {promise}", style="red", soft_wrap=True)


def _summary(report: Report) -> str:
    """What was simulated, in a sentence."""
    scenario = report.scenario
    life, interval, cache, outage = map(
        describe_seconds,
        (
            scenario.lifetime,
            scenario.guarantee.schedule_interval,
            scenario.guarantee.consumer_cache,
            scenario.outage,
        ),
    )
    said = (
        f"{scenario.days:g} days with tokens of {life} renewed at {scenario.rotation.renew_at:g} "
        f"of their life, a run every {interval}, consumers that cache for {cache}"
    )
    if scenario.outage:
        count = len(report.outages)
        said += f", and {count} outage{'s' * (count != 1)} of {outage} at the worst moment"
    troubles = [f"{name} {rate:g}" for name, rate in asdict(scenario.rates).items() if rate]
    troubles += [f"clock skew {scenario.clock_skew:g} s"] * bool(scenario.clock_skew)
    troubles += [f"provider {scenario.behaviour}"] * (scenario.behaviour is not Behaviour.STEADY)
    return said + (f"; {', '.join(troubles)}." if troubles else ".")


def _rows(report: Report) -> Iterator[tuple[str, str]]:
    scenario, least = report.scenario, report.least_remaining_life
    late = report.outcomes.get("failed_late", 0)
    promised = describe_seconds(replace(scenario, outage=0).guaranteed_lifetime)
    if scenario.outage:
        promised += f", and {describe_seconds(scenario.guaranteed_lifetime)} through such an outage"
    how = "computed, and confirmed by simulating it" if report.longest_outage_confirmed else "NOT confirmed"
    if scenario.behaviour is not Behaviour.STEADY or scenario.rates != Rates():
        how += ", with a steady provider and nothing else going wrong"
    yield "promised remaining life", promised
    yield "least remaining life", "no token was ever published" if least is None else describe_seconds(least)
    yield "expired consumer-seconds", f"{report.expired_seconds:,.0f}"
    if report.revoked_seconds:
        yield "seconds with a revoked token", f"{report.revoked_seconds:,.0f}"
    yield "token requests", f"{report.token_requests:,}"
    yield "AWS calls", f"{report.aws_calls:,}"
    yield "runs", f"{report.ticks:,}; {report.failed_ticks:,} failed, {late:,} of them late"
    yield "longest outage survived", f"{describe_seconds(scenario.longest_outage)} ({how})"
