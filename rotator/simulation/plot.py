"""Draws a simulation: the stored token's remaining lifetime over time, with outages shaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rotator import extras
from rotator.errors import SettingsError
from rotator.renewal.durations import describe_seconds
from rotator.simulation.scenario import DAY, Scenario
from rotator.simulation.simulate import Report, headline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HOUR = 3600.0
LIFETIME_COLOUR, OUTAGE_COLOUR, EXPIRED_COLOUR, GRID_COLOUR = "#1f6f8b", "#f2b134", "#c0392b", "#555555"
SUFFIXES = (".svg", ".png")

TOKENS_IN_DETAIL = 24
"""With more tokens, a first panel has a dot for each renewal, and a second one shows the worst part."""


class Panel(NamedTuple):
    """A part of the picture: the function that draws it, and its time in seconds since the beginning."""

    draw: Callable[[Axes, Report, Panel], None]
    begin: float
    end: float

    @property
    def unit(self) -> tuple[float, str]:
        """The unit of its time axis, in seconds, and its name."""
        return (DAY, "days") if self.end - self.begin > 2 * DAY else (HOUR, "hours")


def check_picture(path: Path) -> None:
    """Raise SettingsError if the file has an unsupported suffix or no folder, or matplotlib is missing."""
    if path.suffix.lower() not in SUFFIXES:
        raise SettingsError(
            f"--plot does not support the format of {path.name}", advice="name it .svg or .png"
        )
    if not path.parent.is_dir():
        raise SettingsError(
            f"the folder {path.parent} of the picture does not exist", advice="create it, or choose another"
        )
    try:
        import matplotlib  # noqa: F401, ICN001 - to check that it is installed
    except ModuleNotFoundError as error:
        problem = "--plot needs matplotlib, which is not installed"
        raise SettingsError(problem, advice=extras.advice("plot")) from error


def plot(report: Report, path: Path) -> None:
    """Draw the report into an SVG or PNG file; raise SettingsError if it cannot be written."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    panels = _panels(report)
    # The same report gives the same bytes.
    with mpl.rc_context({"svg.hashsalt": "rotator", "font.size": 9, "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(9, 0.4 + 2.9 * len(panels)), layout="constrained")
        for number, panel in enumerate(panels, start=1):
            _draw_panel(figure.add_subplot(len(panels), 1, number), report, panel)
        figure.suptitle(f"{headline(report).capitalize()}\n{_settings(report.scenario)}", fontsize=9)
        try:
            figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else {})
        except OSError as error:
            raise SettingsError(
                f"the picture {path} cannot be written: {error.strerror}", advice="choose another file"
            ) from error


def _settings(scenario: Scenario) -> str:
    lifetime, interval = map(describe_seconds, (scenario.lifetime, scenario.guarantee.schedule_interval))
    outage = f", outages of {describe_seconds(scenario.outage)}" if scenario.outage else ""
    renew_at = f"{scenario.rotation.renew_at:g}"
    return f"tokens of {lifetime} renewed at {renew_at} of their lifetime, a run every {interval}{outage}"


def _panels(report: Report) -> list[Panel]:
    """Return a panel of the whole time and, if it has too many tokens, one of its worst part."""
    end, history = report.scenario.end, report.world.consumers.history
    if len(history) <= TOKENS_IN_DETAIL:
        return [Panel(_draw_lifetimes, 0.0, end)]
    worst = min(history, key=lambda published: published.remaining)
    width = min(4 * report.scenario.lifetime, end)
    begin = min(max(0.0, worst.until - 0.65 * width), end - width)
    return [Panel(_draw_least_lifetimes, 0.0, end), Panel(_draw_lifetimes, begin, begin + width)]


def _draw_panel(axes: Axes, report: Report, panel: Panel) -> None:
    unit, unit_name = panel.unit
    for begin, end in report.world.provider.outages:
        if begin < panel.end and end > panel.begin:
            axes.axvspan(
                begin / unit, end / unit, color=OUTAGE_COLOUR, alpha=0.5, lw=0, label="endpoint is down"
            )
    panel.draw(axes, report, panel)
    cache = report.scenario.guarantee.consumer_cache
    cached = f"consumers cache for {describe_seconds(cache)}"
    axes.axhline(cache / HOUR, color=EXPIRED_COLOUR, lw=0.9, ls="--", label=cached)
    axes.set_xlim(panel.begin / unit, panel.end / unit)
    axes.set_ylim(bottom=min(0.0, 1.3 * (report.least_remaining_seconds or 0.0) / HOUR))
    axes.set_xlabel(unit_name)
    axes.set_ylabel("remaining lifetime (hours)")
    axes.grid(color=GRID_COLOUR, alpha=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    first_handles: dict[str, Any] = {}  # every outage has a handle of its own
    for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
        first_handles.setdefault(label, handle)
    axes.legend(
        first_handles.values(),
        first_handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=4,
        fontsize=7.5,
        frameon=False,
    )


def _draw_least_lifetimes(axes: Axes, report: Report, panel: Panel) -> None:
    """Draw a dot for every renewal: the remaining lifetime of the token that it replaced."""
    unit, _ = panel.unit
    cache = report.scenario.guarantee.consumer_cache
    renewals = report.world.consumers.history[:-1]  # the last token was not replaced
    for colour, label, is_enough in (
        (LIFETIME_COLOUR, "remaining lifetime at a renewal", True),
        (EXPIRED_COLOUR, "shorter than the consumers' cache time", False),
    ):
        dots = [
            (each.until / unit, each.remaining / HOUR)
            for each in renewals
            if (each.remaining >= cache) is is_enough
        ]
        if dots:
            times, lifetimes = zip(*dots, strict=True)
            axes.scatter(times, lifetimes, s=7, color=colour, label=label, zorder=3)


def _draw_lifetimes(axes: Axes, report: Report, panel: Panel) -> None:
    """Draw the remaining lifetime of every token, which decreases until the next token replaces it."""
    unit, _ = panel.unit
    corners = [(time / unit, remaining / HOUR) for time, remaining in _corners(report, panel)]
    times, lifetimes = zip(*corners, strict=True) if corners else ((), ())
    axes.plot(times, lifetimes, color=LIFETIME_COLOUR, lw=1.3, label="remaining lifetime of the stored token")
    for published in report.world.consumers.history:
        begin, end = published.token.expires_at, published.until
        if begin < end and panel.begin < end and begin < panel.end:
            label = "the stored token has expired"
            axes.axvspan(begin / unit, end / unit, color=EXPIRED_COLOUR, alpha=0.75, lw=0, label=label)


def _corners(report: Report, panel: Panel) -> Iterator[tuple[float, float]]:
    for published in report.world.consumers.history:
        since, until = max(published.since, panel.begin), min(published.until, panel.end)
        if since <= until:
            yield since, published.token.expires_at - since
            yield until, published.token.expires_at - until
