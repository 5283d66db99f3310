"""infra/docs/providers.md as its tests read it: each row's settings, exactly as they are printed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from conftest import CHECKOUT

GUIDE = CHECKOUT / "infra" / "docs" / "providers.md"
TEXT = GUIDE.read_text()

_ROW = re.compile(r"^\| (?!provider |---)(.+) \|$", re.MULTILINE)
_SETTING = re.compile(r"`(\w+)=([^`]*)`")
_LINK = re.compile(r"\[.+\]\((https://\S+)\)")


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    provider: str
    settings: Mapping[str, str]
    lifetime: str
    documentation: str
    tested_against: tuple[str, ...]

    def with_values(self, values: Mapping[str, str]) -> dict[str, str]:
        """The settings with values in the place of the words in capitals that stand for them."""
        words = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, values))})(?!\w)")
        return {key: words.sub(lambda found: values[found[0]], text) for key, text in self.settings.items()}


def _row(line: str) -> Row:
    provider, settings, lifetime, documentation, tested_against = line.split(" | ")
    link = _LINK.fullmatch(documentation)
    found = dict(_SETTING.findall(settings))
    assert link, documentation
    assert settings == ("<br>".join(f"`{key}={text}`" for key, text in found.items()) or "none")
    return Row(provider, found, lifetime, link[1], tuple(tested_against.split("; ")))


ROWS = {row.provider: row for row in map(_row, _ROW.findall(TEXT))}
