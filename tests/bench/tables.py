"""The bench's tables, in Markdown: infra/docs/performance.md has them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bench.measure import Cost, Runs
from bench.plan import WAYS, Found, per_run
from bench.world import PAGE

MB = 1_000_000
MOST_GROWTH = 1.25
"""The most by which the time of a rotation may grow from one fleet size to the next, to count as linear."""


def wall(cost: Cost) -> float:
    """Seconds by the clock on the wall."""
    return cost.wall


def cpu(cost: Cost) -> float:
    """Seconds of the processor."""
    return cost.cpu


def peak(cost: Cost) -> float:
    """Bytes."""
    return cost.peak


def reach(found: Found) -> str:
    """Table of the goals, and whether they are met."""
    rows = []
    for what, goal, measured, is_met in _goals(found):
        rows.append([what, goal, measured, "yes" if is_met else "**no**"])
    return _table(["what", "goal", "measured", "met"], rows)


def _goals(found: Found) -> Iterator[tuple[str, str, str, bool]]:
    for way, most in (("rotator, fresh", 0.60), ("rotator, renewal", 0.90)):
        ratio = found.ratio(way, wall)
        what = "fresh run" if "fresh" in way else "renewal"
        yield f"cold process to done, {what} / typical", f"<= {most:.2f}", f"{ratio:.2f}", ratio <= most
    fresh, renewal, typical = (
        found.middle(way, peak) / MB for way in ("rotator, fresh", "rotator, renewal", "typical")
    )
    measured = f"{fresh:.0f} / {renewal:.0f} MB (typical: {typical:.0f})"
    yield "peak memory, fresh / renewal", "<= 40 / 47 MB", measured, fresh <= 40 and renewal <= 47
    size, most_due = found.plan.fresh[-2], found.plan.due[-1]
    check = 1000 * per_run(found.fresh[size], cpu) / size
    yield f"CPU per check in a fleet of {size:,}", "<= 0.5 ms", f"{check:.2f} ms", check <= 0.5
    runs = found.due[most_due]
    renewal = 1000 * per_run(runs, cpu) / most_due
    yield "CPU per renewal, warm", "<= 8 ms", f"{renewal:.1f} ms", renewal <= 8
    pace = most_due / per_run(runs, wall)
    yield f"renewals per second at {most_due:,}, quota lifted", ">= 120", f"{pace:.0f}", pace >= 120
    calls, most = found.fresh[size].cold.aws_calls, _fresh_calls(size)
    yield f"AWS calls, fresh run of {size:,}", f"{most}: ceil(N/5) + pages of 10", str(calls), calls <= most
    written, read = _renewal_calls(runs, most_due)
    measured = f"{written:.2f} + {read:.2f}"
    yield "AWS calls, renewal", "3 writes + 3 reads", measured, written <= 3 and read <= 3
    last = found.plan.fresh[-1]
    whole = found.fresh[last].cold
    measured = f"{whole.wall:.1f} s, {whole.peak / MB:.0f} MB"
    is_met = whole.wall <= 10 and whole.peak <= 150 * MB
    yield f"{last:,} rotations, all fresh", "<= 10 s, <= 150 MB", measured, is_met


def processes(found: Found) -> str:
    """Table of processes that start, serve one rotation and end."""
    rows = [
        [
            way,
            f"{1000 * found.middle(way, wall):.0f} ms",
            f"{found.ratio(way, wall):.2f}",
            f"{1000 * found.middle(way, cpu):.0f} ms",
            f"{found.middle(way, peak) / MB:.0f} MB",
            f"{found.middle(way, lambda cost: cost.aws_calls):.0f}",
        ]
        for way in WAYS
    ]
    return _table(["one process, one rotation", "wall", "/ typical", "CPU", "peak memory", "AWS calls"], rows)


def fresh(found: Found) -> str:
    """Table of fleets in which every token is fresh."""
    rows = [
        [
            f"{size:,}",
            f"{per_run(runs, wall):.2f} s",
            f"{1000 * per_run(runs, cpu) / size:.2f} ms",
            f"{runs.cold.peak / MB:.0f} MB",
            f"{runs.cold.aws_calls:,}",
            f"{_fresh_calls(size):,}",
        ]
        for size, runs in found.fresh.items()
    ]
    return _table(
        ["all fresh", "wall", "CPU per check", "peak memory", "AWS calls", "ceil(N/5) + ceil(N/10)"], rows
    )


def due(found: Found) -> str:
    """Table of fleets in which every token is due."""
    rows = [_renewals(f"{size:,}", runs, size) for size, runs in found.due.items()]
    rows.append(_renewals("typical, one after another", found.typical, 1))
    header = [
        "all due",
        "wall",
        "renewals per second",
        "CPU per renewal",
        "peak memory",
        "AWS calls per renewal",
    ]
    return _table(header, rows)


def growth(found: Found) -> str:
    """Say what one rotation takes at each size, and whether that grows."""
    return "\n".join((_growth("fresh", found.fresh), _growth("due", found.due)))


def _growth(what: str, fleets: dict[int, Runs]) -> str:
    each = {size: 1000 * per_run(runs, wall) / size for size, runs in fleets.items()}
    steps = ", ".join(f"{milliseconds:.1f} ms at {size:,}" for size, milliseconds in each.items())
    *_, before, last = each.values()
    is_linear = last <= MOST_GROWTH * before
    return f"One {what} rotation takes {steps}: {'linear' if is_linear else 'more than linear'}."


def _renewals(name: str, runs: Runs, size: int) -> list[str]:
    seconds = per_run(runs, wall)
    written, read = _renewal_calls(runs, size)
    return [
        name,
        f"{seconds:.2f} s",
        f"{size / seconds:.0f}",
        f"{1000 * per_run(runs, cpu) / size:.1f} ms",
        f"{runs.cold.peak / MB:.0f} MB",
        f"{written:.2f} writes + {read:.2f} reads",
    ]


def _renewal_calls(runs: Runs, size: int) -> tuple[float, float]:
    """Calls of one renewal beyond its check: writes, and reads of parameters and secrets."""
    calls = runs.cold.calls
    again = max(0, calls.get("GetParameters", 0) - math.ceil(size / 5))
    return calls.get("PutParameter", 0) / size, (calls.get("GetSecretValue", 0) + again) / size


def _fresh_calls(size: int) -> int:
    """Five rotations a call, and the documents page by page."""
    return math.ceil(size / 5) + math.ceil(size / PAGE)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
