"""Draws a simulation: the stored token's remaining lifetime over time, with outages shaded."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rotator import extras
from rotator.errors import SettingsError
from rotator.renewal.durations import describe_seconds
from rotator.simulation.scenario import DAY, Scenario
from rotator.simulation.simulate import headline
from rotator.simulation.world import World

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HOUR = 3600.0
LIFETIME_COLOUR, OUTAGE_COLOUR, EXPIRED_COLOUR, GRID_COLOUR = "#1f6f8b", "#f2b134", "#c0392b", "#555555"

TOKENS_IN_DETAIL = 24
"""With more tokens, a first panel has a dot for each renewal, and a second one shows the worst part."""


class Panel(NamedTuple):
    """A part of the picture: the function that draws it, and its time in seconds since the beginning."""

    draw: Callable[[Axes, World, Panel], None]
    begin: float
    end: float

    @property
    def unit(self) -> float:
        """The unit of its time axis: a day or an hour, in seconds."""
        return DAY if self.end - self.begin > 2 * DAY else HOUR


def check_picture(path: Path) -> None:
    """Raise SettingsError if the file has an unsupported suffix or no folder, or matplotlib is missing."""
    if path.suffix.lower() not in (".svg", ".png"):
        raise SettingsError(
            f"--plot does not support the format of {path.name}", advice="name it .svg or .png"
        )
    if not path.parent.is_dir():
        raise SettingsError(
            f"the folder {path.parent} of the picture does not exist", advice="create it, or choose another"
        )
    if find_spec("matplotlib") is None:
        problem = "--plot needs matplotlib, which is not installed"
        raise SettingsError(problem, advice=extras.advice("plot"))


def plot(world: World, path: Path) -> None:
    """Draw a simulated world into an SVG or PNG file; raise SettingsError if it cannot be written."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    panels = _panels(world)
    # The same world gives the same bytes.
    with mpl.rc_context({"svg.hashsalt": "rotator", "font.size": 9, "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(9, 0.4 + 2.9 * len(panels)), layout="constrained")
        for number, panel in enumerate(panels, start=1):
            _draw_panel(figure.add_subplot(len(panels), 1, number), world, panel)
        figure.suptitle(f"{headline(world).capitalize()}\n{_settings(world.scenario)}", fontsize=9)
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


def _panels(world: World) -> list[Panel]:
    """Return a panel of the whole time and, if it has too many tokens, one of its worst part."""
    end, history = world.scenario.end, world.consumers.history
    if len(history) <= TOKENS_IN_DETAIL:
        return [Panel(_draw_lifetimes, 0.0, end)]
    worst = min(history, key=lambda published: published.remaining)
    width = min(4 * world.scenario.lifetime, end)
    begin = min(max(0.0, worst.until - 0.65 * width), end - width)
    return [Panel(_draw_least_lifetimes, 0.0, end), Panel(_draw_lifetimes, begin, begin + width)]


def _draw_panel(axes: Axes, world: World, panel: Panel) -> None:
    unit = panel.unit
    for begin, end in world.provider.outages:
        if begin < panel.end and end > panel.begin:
            span = begin / unit, end / unit
            axes.axvspan(*span, color=OUTAGE_COLOUR, alpha=0.5, lw=0, label="endpoint is down")
    panel.draw(axes, world, panel)
    cache = world.scenario.guarantee.consumer_cache
    cached = f"consumers cache for {describe_seconds(cache)}"
    axes.axhline(cache / HOUR, color=EXPIRED_COLOUR, lw=0.9, ls="--", label=cached)
    axes.set_xlim(panel.begin / unit, panel.end / unit)
    axes.set_ylim(bottom=min(0.0, 1.3 * (world.consumers.least_remaining_seconds or 0.0) / HOUR))
    axes.set_xlabel("days" if unit == DAY else "hours")
    axes.set_ylabel("remaining lifetime (hours)")
    axes.grid(color=GRID_COLOUR, alpha=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    by_label = dict(zip(labels, handles, strict=True))  # every outage has a handle of its own
    above: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 4}
    axes.legend(by_label.values(), by_label, fontsize=7.5, frameon=False, **above)


def _draw_least_lifetimes(axes: Axes, world: World, panel: Panel) -> None:
    """Draw a dot for every renewal: the remaining lifetime of the token that it replaced."""
    cache = world.scenario.guarantee.consumer_cache
    renewals = world.consumers.history[:-1]  # the last token was not replaced
    for colour, label, is_enough in (
        (LIFETIME_COLOUR, "remaining lifetime at a renewal", True),
        (EXPIRED_COLOUR, "shorter than the consumers' cache time", False),
    ):
        drawn = [each for each in renewals if (each.remaining >= cache) is is_enough]
        if drawn:
            times = [each.until / panel.unit for each in drawn]
            lifetimes = [each.remaining / HOUR for each in drawn]
            axes.scatter(times, lifetimes, s=7, color=colour, label=label, zorder=3)


def _draw_lifetimes(axes: Axes, world: World, panel: Panel) -> None:
    """Draw the remaining lifetime of every token, which decreases until the next token replaces it."""
    unit = panel.unit
    corners: list[tuple[float, float]] = []
    for each in world.consumers.history:
        since, until = max(each.since, panel.begin), min(each.until, panel.end)
        if since <= until:
            corners += [(when / unit, (each.token.expires_at - when) / HOUR) for when in (since, until)]
    label = "remaining lifetime of the stored token"
    axes.plot([x for x, _ in corners], [y for _, y in corners], color=LIFETIME_COLOUR, lw=1.3, label=label)
    label = "the stored token has expired"
    for each in world.consumers.history:
        begin, end = each.token.expires_at, each.until
        if begin < end and panel.begin < end and begin < panel.end:
            axes.axvspan(begin / unit, end / unit, color=EXPIRED_COLOUR, alpha=0.75, lw=0, label=label)
