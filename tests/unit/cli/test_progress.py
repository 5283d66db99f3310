"""``rotator rotate --progress``: what a terminal and what a log are shown while results come in."""

from __future__ import annotations

import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
from rich.console import Console

from rotator.cli.rotate import LINE_INTERVAL_SECONDS, showing
from rotator.renewal.models import Outcome, Result


def results(*outcomes: Outcome) -> list[Result]:
    return [Result(name=f"tenant-{number}", outcome=outcome) for number, outcome in enumerate(outcomes)]


def shown(of: Iterable[Result], *, total: int, seconds_each: float = 0, terminal: bool = False) -> str:
    """Return the output for results that arrive at these intervals in seconds."""
    output, time = io.StringIO(), 0.0
    environ = {"TERM": "xterm" if terminal else "dumb", "COLUMNS": "100"}
    console = Console(file=output, force_terminal=terminal, width=100, _environ=environ)
    with showing(total, console, clock=lambda: time) as on_result:
        for result in of:
            time += seconds_each
            on_result(result)
    return output.getvalue()


def test_log_gets_periodic_lines_with_outcome_counts() -> None:
    some = results(*[Outcome.FRESH] * 3, Outcome.ROTATED, Outcome.FAILED, Outcome.FRESH)
    lines = shown(some, total=1312, seconds_each=LINE_INTERVAL_SECONDS / 2).splitlines()
    assert lines == [
        "2 of 1,312: 2 fresh",
        "4 of 1,312: 1 rotated, 3 fresh",
        "6 of 1,312: 1 rotated, 4 fresh, 1 failed",
    ]


def test_log_of_a_short_run_is_empty() -> None:
    assert shown(results(*[Outcome.FRESH] * 100), total=100, seconds_each=LINE_INTERVAL_SECONDS / 101) == ""


def test_terminal_bar_counts_outcomes_and_is_erased() -> None:
    text = shown(results(Outcome.FRESH, Outcome.ROTATED, Outcome.FAILED), total=3, terminal=True)
    assert "3/3" in text
    assert "1 rotated, 1 fresh, 1 failed" in text
    assert text.endswith("\x1b[1A\x1b[2K")  # the line is gone


def test_dumb_terminal_is_treated_as_a_log() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=100, _environ={"TERM": "dumb"})
    with showing(1, console) as on_result:
        on_result(results(Outcome.FRESH)[0])
    assert output.getvalue() == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_interrupt_during_progress_propagates(terminal: bool) -> None:
    def breaks() -> Iterable[Result]:
        yield from results(Outcome.FRESH)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shown(breaks(), total=2, terminal=terminal)


def test_progress_counts_results_of_concurrent_threads() -> None:
    output, time = io.StringIO(), 0.0
    console = Console(file=output, width=100)
    with showing(1001, console, clock=lambda: time) as on_result:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(on_result, results(*[Outcome.FRESH, Outcome.ROTATED] * 500)))
        time = LINE_INTERVAL_SECONDS
        on_result(results(Outcome.KEPT)[0])
    assert output.getvalue() == "1,001 of 1,001: 500 rotated, 500 fresh, 1 kept\n"
