"""The picture: how long the stored token still lives, over time, with the outages shaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rotator.errors import SettingsError
from rotator.renewal.durations import describe_seconds
from rotator.simulation.scenario import DAY, Scenario
from rotator.simulation.simulate import Report, headline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HOUR = 3600.0
LIFE, OUTAGE, DEAD, LINE = "#1f6f8b", "#f2b134", "#c0392b", "#555555"
ENDINGS = (".svg", ".png")
ALL_AT_ONCE = 24
"""More lives of tokens than that are drawn from afar, with the worst part magnified below."""


class Panel(NamedTuple):
    """A part of the picture: what it shows, from when to when, in seconds since the beginning."""

    draw: Callable[[Axes, Report, Panel, float], None]
    begin: float
    end: float


def check_picture(path: Path) -> None:
    """Raise SettingsError if matplotlib is missing, or the file has another ending or no folder."""
    if path.suffix.lower() not in ENDINGS:
        raise SettingsError(f"{path.name} is no picture", advice="name it .svg or .png")
    if not path.parent.is_dir():
        raise SettingsError(f"there is no folder {path.parent}", advice="make it, or name another")
    try:
        import matplotlib  # noqa: F401, ICN001 - only whether it is there
    except ModuleNotFoundError as error:
        advice = "run `.venv/bin/pip install -e '.[plot]'` in the checkout"
        raise SettingsError("--plot needs matplotlib", advice=advice) from error


def plot(report: Report, path: Path) -> None:
    """Draw the report into an SVG or PNG file; raises SettingsError if it cannot be written."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    panels = _parts(report)
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
                f"{path} cannot be written: {error.strerror}", advice="name another"
            ) from error


def _settings(scenario: Scenario) -> str:
    life, interval = map(describe_seconds, (scenario.lifetime, scenario.guarantee.schedule_interval))
    outage = f", outages of {describe_seconds(scenario.outage)}" if scenario.outage else ""
    renew_at = f"{scenario.rotation.renew_at:g}"
    return f"tokens of {life} renewed at {renew_at} of their life, a run every {interval}{outage}"


def _parts(report: Report) -> list[Panel]:
    """The whole time; where that has too much to see, its least lives, and the worst of it magnified."""
    end = report.scenario.end
    if len(report.history) <= ALL_AT_ONCE:
        return [Panel(_draw_lives, 0.0, end)]
    worst = min(report.history, key=lambda published: published.token.ends_at - published.until)
    width = min(4 * report.scenario.lifetime, end)
    begin = min(max(0.0, worst.until - 0.65 * width), end - width)
    return [Panel(_draw_least_lives, 0.0, end), Panel(_draw_lives, begin, begin + width)]


def _draw_panel(axes: Axes, report: Report, panel: Panel) -> None:
    unit, name = (DAY, "days") if panel.end - panel.begin > 2 * DAY else (HOUR, "hours")
    for begin, end in report.outages:
        if begin < panel.end and end > panel.begin:
            axes.axvspan(begin / unit, end / unit, color=OUTAGE, alpha=0.5, lw=0, label="endpoint is down")
    panel.draw(axes, report, panel, unit)
    cache = report.scenario.guarantee.consumer_cache
    told = f"consumers cache for {describe_seconds(cache)}"
    axes.axhline(cache / HOUR, color=DEAD, lw=0.9, ls="--", label=told)
    axes.set_xlim(panel.begin / unit, panel.end / unit)
    axes.set_ylim(bottom=min(0.0, 1.3 * (report.least_remaining_life or 0.0) / HOUR))
    axes.set_xlabel(name)
    axes.set_ylabel("hours of life left")
    axes.grid(color=LINE, alpha=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    handles: dict[str, Any] = {}
    for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
        handles.setdefault(label, handle)
    axes.legend(
        handles.values(),
        handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=4,
        fontsize=7.5,
        frameon=False,
    )


def _draw_least_lives(axes: Axes, report: Report, _panel: Panel, unit: float) -> None:
    """A dot for every renewal: what was left of the token that it replaced."""
    cache = report.scenario.guarantee.consumer_cache
    renewals = [(published.until, published.token.ends_at - published.until) for published in report.history]
    for colour, label, is_good in (
        (LIFE, "life left at a renewal", True),
        (DEAD, "less than consumers cache for", False),
    ):
        dots = [(time / unit, life / HOUR) for time, life in renewals[:-1] if (life >= cache) is is_good]
        if dots:
            times, lives = zip(*dots, strict=True)
            axes.scatter(times, lives, s=7, color=colour, label=label, zorder=3)


def _draw_lives(axes: Axes, report: Report, panel: Panel, unit: float) -> None:
    """The saw: every token's life runs down until the next one takes its place."""
    corners = list(_corners(report, panel))
    times, lives = [time / unit for time, _ in corners], [life / HOUR for _, life in corners]
    axes.plot(times, lives, color=LIFE, lw=1.3, label="life left of the token in the parameter")
    for published in report.history:
        ends_at, until = published.token.ends_at, published.until
        if ends_at < until and panel.begin < until and ends_at < panel.end:
            axes.axvspan(
                ends_at / unit,
                until / unit,
                color=DEAD,
                alpha=0.75,
                lw=0,
                label="the stored token has expired",
            )


def _corners(report: Report, panel: Panel) -> Iterator[tuple[float, float]]:
    for published in report.history:
        since, until = max(published.since, panel.begin), min(published.until, panel.end)
        if since <= until:
            yield since, published.token.ends_at - since
            yield until, published.token.ends_at - until
