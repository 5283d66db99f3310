"""What the demo prints, as a picture."""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Console

COLUMNS = 84
"""The width of the picture: a little more than the longest line of the demo."""


def recording_console() -> Console:
    """Return a console that prints, and keeps what it printed for a picture."""
    return Console(soft_wrap=True, record=True, width=COLUMNS)


def save(console: Console, path: Path) -> None:
    """Write what the console printed as an SVG, which loads no fonts from elsewhere."""
    svg = console.export_svg(title="make demo", unique_id="demo")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    path.write_text("\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n")
