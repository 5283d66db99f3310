"""Draws the output of the demo as a picture."""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Console

COLUMNS = 84
"""The width of the picture: slightly more than the longest line of the demo."""


def recording_console() -> Console:
    """Return a console that prints, and records its output for a picture."""
    return Console(soft_wrap=True, record=True, width=COLUMNS)


def save(console: Console, path: Path) -> None:
    """Write the recorded output as an SVG, which does not load fonts from other servers."""
    svg = console.export_svg(title="make demo", unique_id="demo")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    path.write_text("\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n")
