"""``make bench``: what the rotator costs, beside what most people would write and the least there is."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
from datetime import UTC, datetime

from bench import plan, tables
from bench.ground import Ground, prepared
from bench.stub import AWS_DELAY, TOKEN_DELAY


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="Measure what the rotator costs, in about four minutes.")
    parser.add_argument("--quick", action="store_true", help="see only that it works, in half a minute")
    options = parser.parse_args()
    with prepared() as ground:
        found = plan.measure(ground, plan.QUICK if options.quick else plan.Plan())
        machine = _machine(ground)
    print(
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {machine}; AWS answers after {1000 * AWS_DELAY:.0f} ms,"
    )
    print(f"the token endpoint after {1000 * TOKEN_DELAY:.0f} ms; the zip has {found.zip_size / 1e6:.1f} MB.")
    for part in (tables.reach, tables.processes, tables.fresh, tables.due, tables.growth):
        print(f"\n{part(found)}")


def _machine(ground: Ground) -> str:
    said = subprocess.run([ground.python, "--version"], capture_output=True, text=True, check=True).stdout
    version = ".".join(said.split()[1].split(".")[:2])
    return f"{os.cpu_count()} cores, {platform.machine().replace('_', '-')}, Python {version}"


if __name__ == "__main__":
    main()
