"""`make bench` on small numbers: that it measures everything, and not what comes of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

WAYS = ["typical", "rotator, fresh", "least, fresh", "rotator, renewal", "least, renewal"]


@pytest.fixture(scope="module")
def printed() -> str:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(ROOT / each) for each in (".", "tests", "tests/helpers"))
    }
    command = [sys.executable, "-m", "bench", "--quick"]
    bench = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200
    )
    assert bench.returncode == 0, bench.stderr[-2000:]
    return bench.stdout


def table(printed: str, first: str) -> list[list[str]]:
    """The cells of the table whose header begins so, without header and ruler."""
    (found,) = (part for part in printed.split("\n\n") if part.startswith(f"| {first} |"))
    rows = [line.strip("| ").split(" | ") for line in found.splitlines()]
    assert {len(row) for row in rows} == {len(rows[0])}
    return rows[2:]


def number(cell: str) -> float:
    found = re.match(r"[\d,]+(\.\d+)?", cell)
    assert found, cell
    return float(found[0].replace(",", ""))


def test_every_goal_has_a_measured_number_and_a_verdict(printed: str) -> None:
    goals = table(printed, "what")
    assert len(goals) == 9
    assert all(number(measured) > 0 for _, _, measured, _ in goals)
    assert {verdict for *_, verdict in goals} <= {"yes", "**no**"}


def test_report_states_date_and_machine(printed: str) -> None:
    assert re.match(r"Measured on \d{4}-\d\d-\d\d: \d+ cores, [\w-]+, Python 3\.\d+;", printed)


def test_processes_are_compared_with_typical_and_minimal_code(printed: str) -> None:
    processes = {row[0]: row[1:] for row in table(printed, "one process, one rotation")}
    assert list(processes) == WAYS
    assert processes["typical"][1] == "1.00"
    assert all(number(cell) > 0 for cells in processes.values() for cell in cells)


def test_calls_of_a_process_are_counted_by_the_server(printed: str) -> None:
    calls = {row[0]: number(row[-1]) for row in table(printed, "one process, one rotation")}
    assert [calls[way] for way in WAYS] == [2, 1, 1, 6, 4]


def test_minimal_process_needs_less_memory_than_rotator(printed: str) -> None:
    processes = {row[0]: row for row in table(printed, "one process, one rotation")}
    assert number(processes["least, fresh"][4]) < number(processes["rotator, fresh"][4])


def test_fresh_fleets_need_the_computed_number_of_calls(printed: str) -> None:
    fleets = table(printed, "all fresh")
    assert [number(row[0]) for row in fleets] == [1, 5, 12, 20]
    assert [row[4] for row in fleets] == [row[5] for row in fleets] == ["2", "2", "5", "6"]


def test_due_fleets_need_three_writes_per_rotation(printed: str) -> None:
    *fleets, typical = table(printed, "all due")
    assert [number(row[0]) for row in fleets] == [1, 5, 12]
    assert {number(row[5]) for row in fleets} == {3}
    assert typical[5] == "1.00 writes + 1.00 reads"


def test_report_states_how_duration_scales(printed: str) -> None:
    fresh, due = printed.splitlines()[-2:]
    assert re.fullmatch(r"One fresh rotation takes .* ms at 20: (more than )?linear\.", fresh)
    assert re.fullmatch(r"One due rotation takes .* ms at 12: (more than )?linear\.", due)
